"""Template parameters from request, plan and what is live."""

from dataclasses import replace

import pytest
import yaml

from slipway import paths
from slipway.deployment import parameters as endpoint_stack
from slipway.deployment.parameters import RegisteredModel, ServedModel
from slipway.errors import PolicyViolation, StackFailed, Superseded, TrialFailed
from slipway.names import revision_id
from slipway.request.process import process_request
from slipway.request.request import fence, parse_zip
from slipway.states import Environment, TrialVerdict
from tests.unit.request_samples import AWS, BUCKET, KEY, DictStore, deployment, iris_model, request_zip, revision

IMAGE = "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1"
NEW = RegisteredModel(
    ServedModel(IMAGE, "s3://b-1/new.tar.gz"),
    "arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-iris-model/2",
)
LIVE = {
    "Revision": "e" * 32,
    "Sequence": "2020-01-01T00:00:00+00:00",
    "ModelAImage": "image:a",
    "ModelADataUrl": "s3://b-1/a.tar.gz",
    "EndpointConfigName": "config-1",
}
TRIAL = {**LIVE, "ModelBImage": "image:b", "ModelBDataUrl": "s3://b-1/b.tar.gz"}
DEV, PRD = Environment.DEVELOPMENT, Environment.PRODUCTION


def released(**production):
    """A fenced request and its plan."""
    document = deployment()
    document["ProductionEndpoint"] |= production
    data = request_zip(deploy=document)
    model = iris_model()
    model = model.model_copy(update={"policy": model.policy.model_copy(update={"image": IMAGE})})
    plan = process_request(model, revision(data), s3=DictStore({(BUCKET, KEY, "v1"): data}), aws=AWS)
    return fence(parse_zip(data), model, AWS), plan


def parameters(environment=PRD, outputs=None, **production):
    request, plan = released(**production)
    return endpoint_stack.parameters(request, plan, environment, NEW, outputs or {})


def test_every_parameter_is_one_of_the_template():
    text = paths.endpoint_template().read_text()
    known = yaml.safe_load(text[text.index("\nParameters:") : text.index("\nRules:")])["Parameters"]
    given = parameters(outputs=LIVE)
    assert given.keys() <= known.keys()
    required = {key for key, parameter in known.items() if "Default" not in parameter}
    assert required <= given.keys()
    assert all(isinstance(value, str) for value in given.values())


def test_development_of_the_lab():
    given = parameters(DEV)
    assert given["EndpointName"] == "iris-model-development"
    assert given["Environment"] == "development"
    assert (given["ModelADataUrl"], given["ModelAWeight"]) == (NEW.model.data_url, "1")
    assert (given["DataCapture"], given["DataCaptureSamplingPercent"]) == ("true", "100")
    assert "AutoScaling" not in given and "ModelBDataUrl" not in given


def test_production_of_the_lab_scales():
    given = parameters()
    scaling = {key: value for key, value in given.items() if "Scal" in key}
    assert scaling == {
        "AutoScaling": "true",
        "ScalingMinCapacity": "2",
        "ScalingMaxCapacity": "10",
        "ScalingTargetValue": "200.0",
        "ScaleInCooldownSeconds": "30",
        "ScaleOutCooldownSeconds": "60",
    }


def test_the_first_ab_release_has_one_variant_and_no_weight():
    given = parameters(outputs={})
    assert (given["ModelADataUrl"], given["ModelAWeight"]) == (NEW.model.data_url, "1")
    assert "ModelBDataUrl" not in given


@pytest.mark.parametrize(("outputs", "live"), [(LIVE, "s3://b-1/a.tar.gz"), (TRIAL, "s3://b-1/b.tar.gz")])
def test_a_later_ab_release_stands_beside_the_newest_model_of_the_one_before(outputs, live):
    given = parameters(outputs=outputs)
    assert (given["ModelADataUrl"], given["ModelAWeight"]) == (live, "0.9")
    assert (given["ModelBDataUrl"], given["ModelBWeight"]) == (NEW.model.data_url, "0.1")


@pytest.mark.parametrize(("outputs", "live"), [(LIVE, None), (TRIAL, "s3://b-1/a.tar.gz")])
def test_a_release_that_finds_itself_deployed_asks_for_the_same_again(outputs, live):
    own = {**outputs, "Revision": revision_id(BUCKET, KEY, "v1")}
    given = parameters(outputs=own)
    assert given["ModelADataUrl"] == (live or NEW.model.data_url)
    assert ("ModelBDataUrl" in given) == (live is not None)


def test_without_ab_tests_the_new_model_takes_all():
    given = parameters(outputs=TRIAL, ABTests=False)
    assert given["ModelADataUrl"] == NEW.model.data_url
    assert "ModelBDataUrl" not in given


@pytest.mark.parametrize("weight", [None, 0, 1, 1.5])
def test_a_missing_or_impossible_weight_is_never_a_silent_cut_over(weight):
    request, plan = released()
    settings = request.request.deployment.production_endpoint.model_copy(update={"initial_variant_weight": weight})
    broken = request.request.deployment.model_copy(update={"production_endpoint": settings})
    request = replace(request, request=replace(request.request, deployment=broken))
    with pytest.raises(PolicyViolation, match="InitialVariantWeight"):
        endpoint_stack.parameters(request, plan, PRD, NEW, LIVE)


def test_vpc_and_keys_come_from_the_model_file():
    request, plan = released()
    policy = request.model.policy.model_validate(
        {
            **request.model.policy.model_dump(),
            "vpc": {"security_group_ids": ["sg-1", "sg-2"], "subnets": ["subnet-1"]},
            "kms_key": "alias/data",
            "volume_kms_key": "alias/volume",
        }
    )
    request = replace(request, model=request.model.model_copy(update={"policy": policy}))
    given = endpoint_stack.parameters(request, plan, DEV, NEW, {})
    assert (given["SecurityGroupIds"], given["SubnetIds"]) == ("sg-1,sg-2", "subnet-1")
    assert (given["DataCaptureKmsKeyId"], given["VolumeKmsKeyId"]) == ("alias/data", "alias/volume")


def test_the_candidate_is_what_the_registry_holds():
    package = {
        "ModelPackageArn": NEW.package_arn,
        "InferenceSpecification": {"Containers": [{"Image": IMAGE, "ModelDataUrl": NEW.model.data_url}]},
    }
    assert endpoint_stack.candidate(package) == NEW


def test_an_older_release_is_superseded():
    _, plan = released()
    endpoint_stack.check_sequence({}, plan, "s")
    endpoint_stack.check_sequence(LIVE, plan, "s")
    endpoint_stack.check_sequence({"Sequence": plan.sequence}, plan, "s")
    with pytest.raises(Superseded, match=r"at 2025-05-01.*this one is of 2024"):
        endpoint_stack.check_sequence({"Sequence": "2025-05-01T00:00:00+00:00"}, plan, "s")


@pytest.mark.parametrize("sequence", ["9999-12-31T23:59:59+00:00", "soon", "2025-05-01T00:00:00"])
def test_a_stack_of_the_future_stands_in_nobodys_way(sequence, caplog):
    _, plan = released()
    endpoint_stack.check_sequence({"Sequence": sequence}, plan, "mlops-deploy-iris-model-prd")
    assert f"The stack mlops-deploy-iris-model-prd is replaced, for its sequence '{sequence}'" in caplog.text


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        (None, "no endpoint"),
        ({"EndpointStatus": "Failed", "FailureReason": "no ping"}, "Failed: no ping"),
        ({"EndpointStatus": "InService", "EndpointConfigName": "config-0"}, "serves config-0, the stack says config-1"),
    ],
)
def test_in_service_is_not_enough(endpoint, why):
    with pytest.raises(StackFailed, match=why):
        endpoint_stack.check_served(endpoint, LIVE, "s")


def test_served():
    endpoint_stack.check_served({"EndpointStatus": "InService", "EndpointConfigName": "config-1"}, LIVE, "s")


SCALED = {"AutoScaling": "true", "InstanceType": "ml.m4.xlarge", "ModelBDataUrl": ""}
WITH_TRIAL = {**SCALED, "ModelBDataUrl": "s3://b-1/b.tar.gz"}


@pytest.mark.parametrize(
    ("deployed", "wanted", "suspends"),
    [
        (SCALED, {"InstanceType": "ml.m4.xlarge"}, False),
        (SCALED, {"InstanceType": "ml.c5.xlarge"}, True),
        (SCALED, {"InstanceType": "ml.m4.xlarge", "ModelBDataUrl": "s3://b-1/c.tar.gz"}, False),
        (WITH_TRIAL, {"InstanceType": "ml.m4.xlarge"}, True),
        (WITH_TRIAL, {"InstanceType": "ml.m4.xlarge", "ModelBDataUrl": "s3://b-1/c.tar.gz"}, False),
        ({**SCALED, "ScalingSuspended": "true"}, {"InstanceType": "ml.c5.xlarge"}, False),
        ({**SCALED, "AutoScaling": "false"}, {"InstanceType": "ml.c5.xlarge"}, False),
        ({}, {"InstanceType": "ml.c5.xlarge"}, False),
    ],
)
def test_targets_are_deregistered_only_where_sagemaker_asks_for_it(deployed, wanted, suspends):
    step = endpoint_stack.suspension(deployed, wanted)
    assert step == ({**deployed, "ScalingSuspended": "true"} if suspends else None)
    if step:
        assert endpoint_stack.resumption(step) == {**deployed, "ScalingSuspended": "false"}
        assert endpoint_stack.suspension(step, wanted) is None
    assert endpoint_stack.resumption(SCALED) is None


def test_where_trials_are_judged_only_a_promoted_model_is_the_live_one():
    assert endpoint_stack.live_model(TRIAL, "0" * 32).data_url == "s3://b-1/b.tar.gz"
    assert endpoint_stack.live_model(TRIAL, "0" * 32, judged=True).data_url == "s3://b-1/a.tar.gz"
    assert endpoint_stack.live_model(LIVE, "0" * 32, judged=True).data_url == "s3://b-1/a.tar.gz"


def test_what_became_of_the_own_trial_stays_said_and_of_another_ones_does_not():
    own = {**TRIAL, "Revision": revision_id(BUCKET, KEY, "v1"), "TrialOutcome": "kept"}
    assert parameters(outputs=own)["TrialOutcome"] == "kept"
    assert "TrialOutcome" not in parameters(outputs={**TRIAL, "TrialOutcome": "kept"})


def deployed() -> dict:
    return {**parameters(outputs=LIVE), "ScalingSuspended": "false"}


def test_a_promotion_puts_b_in_the_place_of_a():
    settled = endpoint_stack.settled(deployed(), TrialVerdict.PROMOTE)
    assert (settled["ModelADataUrl"], settled["ModelAWeight"]) == (NEW.model.data_url, "1")
    assert (settled["ModelBImage"], settled["ModelBDataUrl"], settled["ModelBWeight"]) == ("", "", "0")
    assert settled["TrialOutcome"] == "promoted"
    assert settled["ModelPackageArn"] == NEW.package_arn


def test_a_retirement_leaves_the_live_model_alone():
    settled = endpoint_stack.settled(deployed(), TrialVerdict.RETIRE, "arn:live")
    assert (settled["ModelADataUrl"], settled["ModelAWeight"]) == ("s3://b-1/a.tar.gz", "1")
    assert (settled["ModelBDataUrl"], settled["TrialOutcome"]) == ("", "retired")
    assert settled["ModelPackageArn"] == "arn:live"


def test_a_kept_trial_changes_nothing_but_what_the_stack_says():
    assert endpoint_stack.settled(deployed(), TrialVerdict.KEEP) == {**deployed(), "TrialOutcome": "kept"}


@pytest.mark.parametrize("verdict", list(TrialVerdict))
def test_a_verdict_that_is_carried_out_asks_for_no_change(verdict):
    once = endpoint_stack.settled(deployed(), verdict)
    assert endpoint_stack.settled(once, verdict) == once


def test_a_suspended_stack_is_settled_with_its_scaling():
    suspended = endpoint_stack.suspension(deployed(), endpoint_stack.settled(deployed(), TrialVerdict.PROMOTE))
    assert suspended["ScalingSuspended"] == "true"
    assert endpoint_stack.settled(suspended, TrialVerdict.PROMOTE)["ScalingSuspended"] == "false"


def test_a_retired_release_is_not_deployed_again():
    _, plan = released()
    own = {**LIVE, "Revision": plan.revision_id, "TrialOutcome": "retired"}
    with pytest.raises(TrialFailed, match="new_attempt"):
        endpoint_stack.check_not_retired(own, plan, "stack")
    endpoint_stack.check_not_retired({**own, "TrialOutcome": "promoted"}, plan, "stack")
    endpoint_stack.check_not_retired({**own, "Revision": "0" * 32}, plan, "stack")
