"""Template parameters from request, plan and what is live."""

import math
import re
from dataclasses import replace

import pytest
import yaml
from pydantic import ValidationError

from slipway import paths
from slipway.deployment.parameters import (
    RegisteredModel,
    ServedModel,
    alarm_parameters,
    candidate,
    live_model,
    release_parameters,
    resumption,
    schedule_parameters,
    settled,
    suspension,
)
from slipway.errors import PolicyViolation, RequestRefused
from slipway.names import revision_id
from slipway.request.fence import fence, parse_zip
from slipway.request.process import process_request
from slipway.states import Environment, TrialVerdict
from tests.unit.model.test_serving import MORNING, with_sections
from tests.unit.request_samples import AWS, BUCKET, KEY, DictStore, deployment, iris_model, request_zip, revision

TOPIC = "arn:aws:sns:us-west-2:123456789012:ops"
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
    return release_parameters(request, plan, environment, NEW, outputs or {})


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
        release_parameters(request, plan, PRD, NEW, LIVE)


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
    given = release_parameters(request, plan, DEV, NEW, {})
    assert (given["SecurityGroupIds"], given["SubnetIds"]) == ("sg-1,sg-2", "subnet-1")
    assert (given["DataCaptureKmsKeyId"], given["VolumeKmsKeyId"]) == ("alias/data", "alias/volume")


def test_the_candidate_is_what_the_registry_holds():
    package = {
        "ModelPackageArn": NEW.package_arn,
        "InferenceSpecification": {"Containers": [{"Image": IMAGE, "ModelDataUrl": NEW.model.data_url}]},
    }
    assert candidate(package) == NEW


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
    step = suspension(deployed, wanted)
    assert step == ({**deployed, "ScalingSuspended": "true"} if suspends else None)
    if step:
        assert resumption(step) == {**deployed, "ScalingSuspended": "false"}
        assert suspension(step, wanted) is None
    assert resumption(SCALED) is None


def test_where_trials_are_judged_only_a_promoted_model_is_the_live_one():
    assert live_model(TRIAL, "0" * 32).data_url == "s3://b-1/b.tar.gz"
    assert live_model(TRIAL, "0" * 32, judged=True).data_url == "s3://b-1/a.tar.gz"
    assert live_model(LIVE, "0" * 32, judged=True).data_url == "s3://b-1/a.tar.gz"


def test_what_became_of_the_own_trial_stays_said_and_of_another_ones_does_not():
    own = {**TRIAL, "Revision": revision_id(BUCKET, KEY, "v1"), "TrialOutcome": "kept"}
    assert parameters(outputs=own)["TrialOutcome"] == "kept"
    assert "TrialOutcome" not in parameters(outputs={**TRIAL, "TrialOutcome": "kept"})


def deployed() -> dict:
    return {**parameters(outputs=LIVE), "ScalingSuspended": "false"}


def test_a_promotion_puts_b_in_the_place_of_a():
    made = settled(deployed(), TrialVerdict.PROMOTE)
    assert (made["ModelADataUrl"], made["ModelAWeight"]) == (NEW.model.data_url, "1")
    assert (made["ModelBImage"], made["ModelBDataUrl"], made["ModelBWeight"]) == ("", "", "0")
    assert made["TrialOutcome"] == "promoted"
    assert made["ModelPackageArn"] == NEW.package_arn


def test_a_retirement_leaves_the_live_model_alone():
    made = settled(deployed(), TrialVerdict.RETIRE, "arn:live")
    assert (made["ModelADataUrl"], made["ModelAWeight"]) == ("s3://b-1/a.tar.gz", "1")
    assert (made["ModelBDataUrl"], made["TrialOutcome"]) == ("", "retired")
    assert made["ModelPackageArn"] == "arn:live"


def test_a_kept_trial_changes_nothing_but_what_the_stack_says():
    assert settled(deployed(), TrialVerdict.KEEP) == {**deployed(), "TrialOutcome": "kept"}


@pytest.mark.parametrize("verdict", list(TrialVerdict))
def test_a_verdict_that_is_carried_out_asks_for_no_change(verdict):
    once = settled(deployed(), verdict)
    assert settled(once, verdict) == once


def test_a_suspended_stack_is_settled_with_its_scaling():
    suspended = suspension(deployed(), settled(deployed(), TrialVerdict.PROMOTE))
    assert suspended["ScalingSuspended"] == "true"
    assert settled(suspended, TrialVerdict.PROMOTE)["ScalingSuspended"] == "false"


def test_alarms_become_parameters():
    model = with_sections(alarms={"error_4xx_share": 0.05, "error_5xx_share": 0, "latency_p99_ms": 1.5, "periods": 3})
    assert alarm_parameters(model.alarms, TOPIC) == {
        "AlarmError5xxShare": "0",
        "AlarmError4xxShare": "0.05",
        "AlarmLatencyP99Microseconds": "1500",
        "AlarmTopicArn": TOPIC,
        "AlarmPeriodSeconds": "60",
        "AlarmPeriods": "3",
    }
    own = with_sections(alarms={"model_error_share": 1, "topic": f"{TOPIC}-own"}).alarms
    given = alarm_parameters(own, TOPIC)
    assert (given["AlarmModelErrorShare"], given["AlarmTopicArn"]) == ("1", f"{TOPIC}-own")
    assert "AlarmTopicArn" not in alarm_parameters(model.alarms, None)
    assert alarm_parameters(None, TOPIC) == {}


def test_schedules_become_parameters():
    night = {"name": "night", "schedule": "rate(1 day)", "timezone": "Europe/Berlin"}
    model = with_sections(scaling_schedule=[MORNING, {**night, "min_capacity": 1, "max_capacity": 2}])
    assert schedule_parameters(model.scaling_schedule) == {
        "ScalingSchedule1": "morning|cron(0 7 ? * MON-FRI *)|Etc/UTC|2|10",
        "ScalingSchedule2": "night|rate(1 day)|Europe/Berlin|1|2",
    }


SCALING = {**deployment()["ProductionEndpoint"]["AutoScaling"]}
WIDEST = [
    {"AutoScaling": {**SCALING, field: value}}
    for field, value in [
        ("TargetValue", 0.001),
        ("TargetValue", 1e9),
        ("ScaleInCooldown", 0),
        ("ScaleInCooldown", 2**31 - 1),
        ("ScaleOutCooldown", 2**31 - 1),
    ]
] + [{"InitialVariantWeight": 0.000001}, {"InitialVariantWeight": 0.999999}, {"InferenceMonitoringSampling": 0}]
TOO_WIDE = [
    {"AutoScaling": {**SCALING, field: value}}
    for field, value in [("TargetValue", 0.0009), ("TargetValue", 1e22), ("ScaleInCooldown", 2**31)]
] + [{"InitialVariantWeight": 1e-7}, {"InitialVariantWeight": 1 - 1e-9}]


def fits(value: str, parameter: dict) -> bool:
    if parameter["Type"] != "Number":
        return re.fullmatch(parameter.get("AllowedPattern", "[^a]*|.*"), value) is not None
    plain = re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value)
    return bool(plain) and parameter.get("MinValue", 0) <= float(value) <= parameter.get("MaxValue", math.inf)


@pytest.mark.parametrize("production", WIDEST)
def test_what_a_zip_may_say_is_what_the_template_takes(production):
    text = paths.endpoint_template().read_text()
    known = yaml.safe_load(text[text.index("\nParameters:") : text.index("\nRules:")])["Parameters"]
    given = parameters(outputs=LIVE, **production)
    assert [name for name, value in given.items() if not fits(value, known[name])] == []


@pytest.mark.parametrize("production", TOO_WIDE)
def test_what_the_template_would_refuse_is_refused_before_training(production):
    with pytest.raises(RequestRefused, match=rf"ProductionEndpoint.*({'|'.join(production)})"):
        released(**production)


def test_scaling_of_development_is_refused_before_training():
    document = deployment()
    document["DevelopmentEndpoint"]["AutoScaling"] = SCALING
    with pytest.raises(RequestRefused, match=r"DevelopmentEndpoint\.AutoScaling, because only production is scaled"):
        parse_zip(request_zip(deploy=document))


def test_a_fleet_is_not_larger_than_the_template_takes():
    policy = iris_model().policy.model_dump()
    with pytest.raises(ValidationError, match="less than or equal to 100"):
        with_sections(policy={**policy, "endpoint": {**policy["endpoint"], "max_instance_count": 101}})
