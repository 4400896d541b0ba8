"""The parameters of endpoint.yaml: pure functions of the request, the plan and what is live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from slipway.deployment import guardrails
from slipway.errors import PolicyViolation
from slipway.model.serving import MAX_SCHEDULES, Alarms, ScheduledAction
from slipway.plan import ReleasePlan
from slipway.registry.artefact import data_url
from slipway.request.fence import FencedRequest
from slipway.request.schema import AutoScaling, EndpointSettings
from slipway.states import Environment, TrialOutcome, TrialVerdict

# Names of the template's outputs, from which the next release reads what is deployed.
ENDPOINT_CONFIG_NAME = "EndpointConfigName"
MODEL_PACKAGE_ARN = "ModelPackageArn"
REVISION = "Revision"
SEQUENCE = "Sequence"
SCALING_SUSPENDED = "ScalingSuspended"
TRIAL_OUTCOME = "TrialOutcome"


@dataclass(frozen=True)
class ServedModel:
    """The model that a variant serves.

    :param image: container image
    :param data_url: S3 URI of the artefact
    """

    image: str
    data_url: str


@dataclass(frozen=True)
class RegisteredModel:
    """The model of this release, as registered in the Model Registry."""

    model: ServedModel
    package_arn: str


def candidate(package: Mapping[str, Any]) -> RegisteredModel:
    """Read the model of a release from its model package, which was tested and approved.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeModelPackage.html

    :param package: what DescribeModelPackage answered
    """
    container = package["InferenceSpecification"]["Containers"][0]
    return RegisteredModel(ServedModel(container["Image"], data_url(package)), package["ModelPackageArn"])


def data_urls(parameters: Mapping[str, str]) -> list[str]:
    """Return the S3 URIs of the artefacts that a stack with these parameters serves."""
    return [parameters[name] for name in ("ModelADataUrl", "ModelBDataUrl") if parameters.get(name)]


def images(parameters: Mapping[str, str]) -> list[str]:
    """Return the URIs of the container images that a stack with these parameters serves, each once."""
    found = (parameters.get(name) for name in ("ModelAImage", "ModelBImage"))
    return list(dict.fromkeys(image for image in found if image))


def live_model(outputs: Mapping[str, str], revision_id: str, *, judged: bool = False) -> ServedModel | None:
    """Find the live model that the new one is compared with in an A/B test.

    It is the newest model of the previous release. Where trials are judged, only a promotion makes a model the live
    one. A release that is deployed already, because its task runs again, gets the same answer as the first time.

    :param outputs: the outputs of the stack; empty if there is no stack
    :param revision_id: the release that asks
    :param judged: whether the model file has a trial
    :returns: the live model; None if there is none
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


def release_parameters(
    request: FencedRequest,
    plan: ReleasePlan,
    environment: Environment,
    new: RegisteredModel,
    outputs: Mapping[str, str],
) -> dict[str, str]:
    """Compute the template's parameters for a release.

    :param request: the request of the zip, within the model file's policy
    :param plan: the release
    :param environment: development or production
    :param new: the model of this release
    :param outputs: the outputs of the stack; empty if there is no stack
    :returns: texts by parameter name; missing ones keep the template's default
    :raises PolicyViolation: when the zip wants an A/B test without a valid weight
    """
    settings = request.endpoint(environment)
    judged = request.model.trial is not None
    # A roll-back starts no A/B test: all requests go to the earlier model.
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
    """Compute the parameters that carry out the verdict on a trial.

    :param deployed: the stack's current parameters, with the model on trial or already without it
    :param verdict: the verdict
    :param live_package_arn: the model package of model-a, if known
    :returns: all parameters; unchanged if the stack has them already
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


def suspension(
    deployed: Mapping[str, str], wanted: Mapping[str, str], *, register_again: bool = False
) -> dict[str, str] | None:
    """Compute the parameters that deregister the variants from auto scaling, if a change needs that first.

    SageMaker refuses an update that removes a scalable variant or changes its instance type, and CloudFormation
    removes scalable targets only after it has updated the endpoint.
    https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-update.html

    :param deployed: the stack's current parameters
    :param wanted: its parameters after the change
    :param register_again: whether auto scaling has drifted from the stack: CloudFormation does not touch a target that
        the stack has already, so it must be removed and made again
    :returns: parameters that only deregister the variants; None if that is not needed
    """
    scalable = deployed.get("AutoScaling") == "true" and deployed.get(SCALING_SUSPENDED) != "true"
    loses_trial = bool(deployed.get("ModelBDataUrl")) and not wanted.get("ModelBDataUrl")
    if scalable and (register_again or loses_trial or deployed["InstanceType"] != wanted["InstanceType"]):
        return {**deployed, SCALING_SUSPENDED: "true"}
    return None


def resumption(deployed: Mapping[str, str]) -> dict[str, str] | None:
    """Compute the parameters that register deregistered variants again.

    :param deployed: the stack's current parameters
    :returns: parameters that only register the variants; None if they are registered
    """
    return {**deployed, SCALING_SUSPENDED: "false"} if deployed.get(SCALING_SUSPENDED) == "true" else None


def _variants(settings: EndpointSettings, new: ServedModel, live: ServedModel | None) -> dict[str, str]:
    if live is None:
        return {"ModelAImage": new.image, "ModelADataUrl": new.data_url, "ModelAWeight": "1"}
    weight = settings.initial_variant_weight
    if weight is None or not 0 < weight < 1:
        raise PolicyViolation(
            "An A/B test needs the new model's share of the requests",
            resource="deployment.json in trainingjob.zip: ProductionEndpoint.InitialVariantWeight",
            why=f"InitialVariantWeight is {weight}, expected a number between 0 and 1, both excluded",
            fix="set InitialVariantWeight, or set ABTests to false",
        )
    return {
        "ModelAImage": live.image,
        "ModelADataUrl": live.data_url,
        # Decimal, so that 1 - 0.1 is 0.9.
        "ModelAWeight": f"{1 - Decimal(str(weight)):f}",
        "ModelBImage": new.image,
        "ModelBDataUrl": new.data_url,
        "ModelBWeight": f"{Decimal(str(weight)):f}",
    }


def _trial_outcome(outputs: Mapping[str, str], plan: ReleasePlan) -> dict[str, str]:
    """Keep the outcome of this release's own trial when its task runs again."""
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


def alarm_parameters(alarms: Alarms | None, topic: str | None) -> dict[str, str]:
    """Return the parameters of a model file's alarms.

    :param alarms: the model file's alarms
    :param topic: the topic to notify if the alarms name none
    :returns: texts by parameter name; empty without alarms
    """
    if alarms is None:
        return {}
    shares = {
        "AlarmError5xxShare": alarms.error_5xx_share,
        "AlarmError4xxShare": alarms.error_4xx_share,
        "AlarmModelErrorShare": alarms.model_error_share,
    }
    wanted = {name: f"{share:.6f}".rstrip("0").rstrip(".") for name, share in shares.items() if share is not None}
    if alarms.latency_p99_ms is not None:
        wanted["AlarmLatencyP99Microseconds"] = str(round(alarms.latency_p99_ms * 1000))
    if told := alarms.topic or topic:
        wanted["AlarmTopicArn"] = told
    return wanted | {"AlarmPeriodSeconds": str(alarms.period_seconds), "AlarmPeriods": str(alarms.periods)}


def schedule_parameters(actions: Sequence[ScheduledAction]) -> dict[str, str]:
    """Return the parameters of a model file's scheduled actions.

    :param actions: the scheduled actions, at most as many as the template has parameters for
    :returns: texts by parameter name
    """
    return {
        f"ScalingSchedule{number}": "|".join(
            (action.name, action.schedule, action.timezone, str(action.min_capacity), str(action.max_capacity))
        )
        for number, action in enumerate(actions[:MAX_SCHEDULES], start=1)
    }


def _guarded(request: FencedRequest) -> dict[str, str]:
    model = request.model
    return {
        **guardrails.parameters(model.deployment),
        **alarm_parameters(model.alarms, model.news_topic),
        **schedule_parameters(model.scaling_schedule),
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
