"""What a release asks of deployment/endpoint.yaml: pure functions from request, plan and what is live."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from slipway.deployment import guardrails
from slipway.errors import PolicyViolation, StackFailed, Superseded, TrialFailed
from slipway.plan import ReleasePlan
from slipway.registry.artefact import data_url
from slipway.request.request import FencedRequest
from slipway.request.schema import AutoScaling, EndpointSettings
from slipway.stages import sequences
from slipway.states import Environment, TrialOutcome, TrialVerdict

log = logging.getLogger(__name__)

# The names of the template's outputs, by which the next release finds out what is deployed.
ENDPOINT_CONFIG_NAME = "EndpointConfigName"
MODEL_PACKAGE_ARN = "ModelPackageArn"
REVISION = "Revision"
SEQUENCE = "Sequence"
SCALING_SUSPENDED = "ScalingSuspended"
TRIAL_OUTCOME = "TrialOutcome"


@dataclass(frozen=True)
class ServedModel:
    """What a variant serves.

    :param image: container image
    :param data_url: S3 URI of the artefact
    """

    image: str
    data_url: str


@dataclass(frozen=True)
class RegisteredModel:
    """The model of this release, as the Model Registry has it."""

    model: ServedModel
    package_arn: str


def candidate(package: Mapping[str, Any]) -> RegisteredModel:
    """Read the model of a release from its model package, which is what was tested and approved.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeModelPackage.html

    :param package: what DescribeModelPackage answered
    """
    container = package["InferenceSpecification"]["Containers"][0]
    return RegisteredModel(ServedModel(container["Image"], data_url(package)), package["ModelPackageArn"])


def data_urls(parameters: Mapping[str, str]) -> list[str]:
    """:returns: the artefacts that a stack with these parameters serves, as S3 URIs"""
    return [parameters[name] for name in ("ModelADataUrl", "ModelBDataUrl") if parameters.get(name)]


def live_model(outputs: Mapping[str, str], revision_id: str, *, judged: bool = False) -> ServedModel | None:
    """Find the model that the new one has to stand beside.

    It is the newest model of the release before; where trials are judged, a model becomes the live one by its promotion
    alone. A release that finds itself deployed, because its task runs again, sees what it saw the first time: the
    model-a it put beside itself, or nothing.

    :param outputs: the outputs of the stack as it is; empty for a stack that is not there
    :param revision_id: the release that asks
    :param judged: whether the model file has a trial
    :returns: None when the new model has nothing to stand beside
    """
    if "ModelADataUrl" not in outputs:
        return None
    first = ServedModel(outputs["ModelAImage"], outputs["ModelADataUrl"])
    on_trial = "ModelBDataUrl" in outputs
    if outputs.get(REVISION) == revision_id:
        return first if on_trial else None
    if judged or not on_trial:
        return first
    return ServedModel(outputs["ModelBImage"], outputs["ModelBDataUrl"])


def parameters(
    request: FencedRequest,
    plan: ReleasePlan,
    environment: Environment,
    new: RegisteredModel,
    outputs: Mapping[str, str],
) -> dict[str, str]:
    """Compute the template's parameters.

    :param request: what the zip asks for, fenced
    :param plan: the release
    :param environment: development or production
    :param new: the model of this release
    :param outputs: the outputs of the stack as it is; empty for a stack that is not there
    :returns: texts by parameter name; what is left out keeps the template's default
    :raises PolicyViolation: when A/B tests are wanted without a usable weight
    """
    settings = request.endpoint(environment)
    judged = request.model.trial is not None
    # A roll-back tries nothing out: all requests go to what has served before.
    tries = settings.ab_tests and not plan.rolls_back
    live = live_model(outputs, plan.revision_id, judged=judged) if tries else None
    return {
        "Revision": plan.revision_id,
        "Sequence": plan.sequence,
        "ModelPackageArn": new.package_arn,
        "EndpointName": plan.endpoint(environment),
        "Environment": environment.value,
        "ExecutionRoleArn": request.model.roles.endpoint,
        "InstanceType": settings.instance_type,
        "InitialInstanceCount": str(settings.initial_instance_count),
        **_variants(settings, new.model, live),
        **_capture(settings),
        **_scaling(settings.auto_scaling),
        **(_guarded(request) if environment is Environment.PRODUCTION else {}),
        **_isolation(request),
        **_trial_outcome(outputs, plan),
    }


def settled(deployed: Mapping[str, str], verdict: TrialVerdict, live_package_arn: str | None = None) -> dict[str, str]:
    """Compute the parameters that carry a verdict out.

    :param deployed: the stack's parameters as it is, with the model on trial or already without it
    :param verdict: what was decided
    :param live_package_arn: the model package of model-a, where it is known
    :returns: all parameters; those of a stack where it is done already are given back unchanged
    """
    ended = {
        TrialVerdict.PROMOTE: TrialOutcome.PROMOTED,
        TrialVerdict.KEEP: TrialOutcome.KEPT,
        TrialVerdict.RETIRE: TrialOutcome.RETIRED,
    }
    wanted = {**deployed, TRIAL_OUTCOME: ended[verdict].value}
    if verdict is TrialVerdict.KEEP or not deployed.get("ModelBDataUrl"):
        return wanted
    if verdict is TrialVerdict.PROMOTE:
        wanted |= {"ModelAImage": deployed["ModelBImage"], "ModelADataUrl": deployed["ModelBDataUrl"]}
    elif live_package_arn:
        wanted["ModelPackageArn"] = live_package_arn
    alone = {"ModelAWeight": "1", "ModelBImage": "", "ModelBDataUrl": "", "ModelBWeight": "0"}
    return {**wanted, **alone, SCALING_SUSPENDED: "false"}


def suspension(deployed: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str] | None:
    """Tell whether the variants have to be deregistered from auto scaling before a change.

    SageMaker refuses an update that takes a scalable variant away or gives it another instance type, and
    CloudFormation removes what a template no longer has only after it has updated the rest.
    https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-update.html

    :param deployed: the stack's parameters as it is
    :param wanted: its parameters after the change
    :returns: the parameters of the change that deregisters them and does nothing else; None where none is needed
    """
    scalable = deployed.get("AutoScaling") == "true" and deployed.get(SCALING_SUSPENDED) != "true"
    loses_trial = bool(deployed.get("ModelBDataUrl")) and not wanted.get("ModelBDataUrl")
    if scalable and (loses_trial or deployed["InstanceType"] != wanted["InstanceType"]):
        return {**deployed, SCALING_SUSPENDED: "true"}
    return None


def resumption(deployed: Mapping[str, str]) -> dict[str, str] | None:
    """Give the way back for a stack whose variants are deregistered for the moment.

    :param deployed: the stack's parameters as it is
    :returns: the parameters that register the variants again and do nothing else; None where they are not suspended
    """
    return {**deployed, SCALING_SUSPENDED: "false"} if deployed.get(SCALING_SUSPENDED) == "true" else None


def check_sequence(outputs: Mapping[str, str], plan: ReleasePlan, stack_name: str) -> None:
    """Refuse to put an older release in the place of a newer one.

    A stack of the future says nothing: somebody else than Slipway has written that.

    :param outputs: the outputs of the stack as it is
    :param plan: the release
    :param stack_name: for the message
    :raises Superseded: when a newer release is deployed
    """
    deployed = outputs.get(SEQUENCE)
    if deployed and (why := sequences.fault(deployed)):
        log.error("The stack %s is replaced, for its sequence %.40r %s", stack_name, deployed, why)
    elif deployed and datetime.fromisoformat(deployed) > datetime.fromisoformat(plan.sequence):
        raise Superseded(
            "A newer release is deployed already",
            resource=stack_name,
            why=f"it was uploaded, or production rolled back, at {deployed}; this one is of {plan.sequence}",
            fix="to serve this version nevertheless, trigger it with new_attempt",
        )


def check_not_retired(outputs: Mapping[str, str], plan: ReleasePlan, stack_name: str) -> None:
    """Refuse to deploy a model again that its trial has taken away: it would get every request at once.

    :param outputs: the outputs of the stack as it is
    :param plan: the release
    :param stack_name: for the message
    :raises TrialFailed: when this release's own trial ended that way
    """
    if outputs.get(REVISION) == plan.revision_id and outputs.get(TRIAL_OUTCOME) == TrialOutcome.RETIRED:
        raise TrialFailed(
            "The trial of this release has ended: its model was retired",
            resource=stack_name,
            why="production serves the live model alone",
            fix="for another trial, trigger this version with new_attempt",
        )


def check_served(endpoint: Mapping[str, Any] | None, outputs: Mapping[str, str], stack_name: str) -> None:
    """Refuse to call a deployment done while the endpoint serves something else.

    After an alarm has rolled an update back the endpoint is InService, with the configuration before.
    https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html

    :param endpoint: what DescribeEndpoint answered; None if there is no endpoint
    :param outputs: the outputs of the stack
    :param stack_name: for the message
    :raises StackFailed: when the endpoint is missing, not InService or of another configuration
    """
    wanted = outputs.get(ENDPOINT_CONFIG_NAME)
    if endpoint is None:
        why = "there is no endpoint"
    elif endpoint["EndpointStatus"] != "InService":
        why = f"the endpoint is {endpoint['EndpointStatus']}: {endpoint.get('FailureReason', 'no reason given')}"
    elif endpoint["EndpointConfigName"] != wanted:
        why = f"the endpoint serves {endpoint['EndpointConfigName']}, the stack says {wanted}"
    else:
        return
    raise StackFailed(
        "The stack is complete, but its endpoint does not serve this release",
        resource=stack_name,
        why=why,
        fix="look at the endpoint in the SageMaker console; an alarm may have rolled it back",
    )


def _variants(settings: EndpointSettings, new: ServedModel, live: ServedModel | None) -> dict[str, str]:
    if live is None:
        return {"ModelAImage": new.image, "ModelADataUrl": new.data_url, "ModelAWeight": "1"}
    weight = settings.initial_variant_weight
    if weight is None or not 0 < weight < 1:
        raise PolicyViolation(
            "An A/B test needs the new model's share of the requests",
            resource="deployment.json",
            why=f"InitialVariantWeight is {weight}, expected a number between 0 and 1, both excluded",
            fix="give it, or set ABTests to false",
        )
    return {
        "ModelAImage": live.image,
        "ModelADataUrl": live.data_url,
        # Decimal, so that 1 - 0.1 is the 0.9 that a person expects to read.
        "ModelAWeight": str(1 - Decimal(str(weight))),
        "ModelBImage": new.image,
        "ModelBDataUrl": new.data_url,
        "ModelBWeight": str(Decimal(str(weight))),
    }


def _trial_outcome(outputs: Mapping[str, str], plan: ReleasePlan) -> dict[str, str]:
    """What became of this release's own trial stays said when its task runs again."""
    if outputs.get(REVISION) != plan.revision_id or TRIAL_OUTCOME not in outputs:
        return {}
    return {TRIAL_OUTCOME: outputs[TRIAL_OUTCOME]}


def _capture(settings: EndpointSettings) -> dict[str, str]:
    if not settings.inference_monitoring:
        return {}
    return {
        "DataCapture": "true",
        "DataCaptureSamplingPercent": str(settings.inference_monitoring_sampling),
        "DataCaptureUri": str(settings.inference_monitoring_output_bucket),
    }


def _scaling(scaling: AutoScaling | None) -> dict[str, str]:
    if scaling is None:
        return {}
    return {
        "AutoScaling": "true",
        "ScalingMinCapacity": str(scaling.min_capacity),
        "ScalingMaxCapacity": str(scaling.max_capacity),
        "ScalingTargetValue": str(scaling.target_value),
        "ScaleInCooldownSeconds": str(scaling.scale_in_cooldown),
        "ScaleOutCooldownSeconds": str(scaling.scale_out_cooldown),
    }


def _guarded(request: FencedRequest) -> dict[str, str]:
    model = request.model
    return {
        **guardrails.parameters(model.deployment),
        **guardrails.alarm_parameters(model.alarms, model.approval.topic),
        **guardrails.schedule_parameters(model.scaling_schedule),
    }


def _isolation(request: FencedRequest) -> dict[str, str]:
    policy = request.model.policy
    wanted = {"NetworkIsolation": "true" if request.network_isolation else "false"}
    if policy.vpc:
        wanted["SecurityGroupIds"] = ",".join(policy.vpc.security_group_ids)
        wanted["SubnetIds"] = ",".join(policy.vpc.subnets)
    if policy.kms_key:
        wanted["DataCaptureKmsKeyId"] = policy.kms_key
    if policy.volume_kms_key:
        wanted["VolumeKmsKeyId"] = policy.volume_kms_key
    return wanted
