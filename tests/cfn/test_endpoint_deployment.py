"""EndpointDeployOperator with endpoint.yaml against a SageMaker that serves: order, approval, trials, drift."""

import pytest

from slipway.errors import NameConflict, NotApproved, StackFailed, Superseded
from slipway.model.config import ModelConfig
from tests.cfn.releases import DEV, PRD, Model
from tests.local_aws.sagemaker_cases import (
    ROWS,
    broken_model_data,
    create_config,
    create_model,
    model_data,
    predict,
    variant,
    wait_for_endpoint,
)
from tests.unit.stage_runs import MemoryDocuments

pytestmark = pytest.mark.local_aws


@pytest.fixture
def model(aws) -> Model:
    return Model(aws)


def endpoint(aws, release, environment):
    return aws.client("sagemaker").describe_endpoint(EndpointName=release.plan.endpoint(environment))


def variants(aws, release):
    found = endpoint(aws, release, PRD)["ProductionVariants"]
    return {item["VariantName"]: item["DesiredWeight"] for item in found}


def served(aws, release, variant_name):
    """The artefact behind a variant."""
    sagemaker = aws.client("sagemaker")
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint(aws, release, PRD)["EndpointConfigName"])
    names = {item["VariantName"]: item["ModelName"] for item in config["ProductionVariants"]}
    return sagemaker.describe_model(ModelName=names[variant_name])["PrimaryContainer"]["ModelDataUrl"]


def scalable_targets(aws, release):
    prefix = f"endpoint/{release.plan.endpoint(PRD)}/"
    found = aws.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    return {
        item["ResourceId"].removeprefix(prefix): item
        for item in found["ScalableTargets"]
        if item["ResourceId"].startswith(prefix)
    }


def changes_of(aws, stack):
    return [
        call["operation"]
        for call in aws.ledger(service="cloudformation")
        if call["operation"] in ("CreateChangeSet", "ExecuteChangeSet", "DeleteStack")
        and stack in str(call["resource"])
    ]


def test_development_serves_the_release_and_then_the_next_one(aws, model):
    first = model.release(model_data(aws))
    result = first.deploy(DEV)
    assert result["change"] == "created"
    assert result["outputs"]["ModelADataUrl"] == first.model_data_url
    assert result["outputs"]["Revision"] == first.plan.revision_id
    assert endpoint(aws, first, DEV)["EndpointConfigName"] == result["outputs"]["EndpointConfigName"]
    assert predict(aws, first.plan.endpoint(DEV), ROWS[0]) == (0, "model-a")

    second = model.release(model_data(aws, label_shift=1))
    assert second.deploy(DEV)["change"] == "updated"
    assert predict(aws, second.plan.endpoint(DEV), ROWS[0]) == (1, "model-a")

    assert second.deploy(DEV)["change"] == "unchanged"
    with pytest.raises(Superseded, match="newer release"):
        first.deploy(DEV)
    assert predict(aws, second.plan.endpoint(DEV), ROWS[0]) == (1, "model-a")


def test_the_stack_says_whose_it_is(aws, model):
    release = model.release(model_data(aws))
    release.deploy(DEV)
    tags = {tag["Key"]: tag["Value"] for tag in aws.stack(release.plan.stack(DEV))["Tags"]}
    assert tags == release.plan.tags()


def test_production_waits_for_the_record_and_not_for_a_green_square(aws, model):
    release = model.release(model_data(aws), ABTests=False)
    with pytest.raises(NotApproved, match=r"nobody has decided.*alice, carol.*update-model-package.*clear this task"):
        release.deploy(PRD)
    release.approve(approved=False)
    with pytest.raises(NotApproved, match="alice rejected it"):
        release.deploy(PRD)
    assert changes_of(aws, release.plan.stack(PRD)) == []


def test_an_approval_of_one_release_does_not_deploy_another(aws, model):
    model.release(model_data(aws)).approve()
    second = model.release(model_data(aws, label_shift=1))
    with pytest.raises(NotApproved, match="nobody has decided"):
        second.deploy(PRD)


def test_an_ab_test_keeps_the_live_model_beside_the_new_one(aws, model):
    urls = [model_data(aws), model_data(aws, label_shift=1), model_data(aws, label_shift=2)]
    releases = []
    for url in urls:
        releases.append(model.release(url, InitialVariantWeight=0.1).approve())
        releases[-1].deploy(PRD)
        if len(releases) == 1:
            # There is no live model, so no A/B test: the new model gets all requests.
            assert variants(aws, releases[0]) == {"model-a": 1.0}
            targets = scalable_targets(aws, releases[0])
            assert targets.keys() == {"variant/model-a"}
            assert (targets["variant/model-a"]["MinCapacity"], targets["variant/model-a"]["MaxCapacity"]) == (1, 10)
    last = releases[-1]
    assert variants(aws, last) == pytest.approx({"model-a": 0.9, "model-b": 0.1})
    assert (served(aws, last, "model-a"), served(aws, last, "model-b")) == tuple(
        release.model_data_url for release in releases[1:]
    )
    # The same release again compares with the same live model, not with itself.
    assert last.deploy(PRD)["change"] == "unchanged"
    assert served(aws, last, "model-a") == releases[1].model_data_url
    after = scalable_targets(aws, last)
    assert after.keys() == {"variant/model-a", "variant/model-b"}
    assert after["variant/model-a"]["CreationTime"] == targets["variant/model-a"]["CreationTime"]


def updates_of(aws, release):
    """What CloudFormation did to the endpoint and its targets, in order."""
    names = ("UpdateEndpoint", "RegisterScalableTarget", "DeregisterScalableTarget")
    name = release.plan.endpoint(PRD)
    calls = aws.ledger(outcome="ok")
    return [call["operation"] for call in calls if call["operation"] in names and name in str(call["resource"])]


def test_another_instance_type_deregisters_updates_and_registers_again(aws, model):
    first = model.release(model_data(aws), ABTests=False, InstanceType="ml.m4.xlarge").approve()
    first.deploy(PRD)
    aws.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=first.plan.endpoint(PRD),
        DesiredWeightsAndCapacities=[{"VariantName": "model-a", "DesiredInstanceCount": 2}],
    )
    wait_for_endpoint(aws, first.plan.endpoint(PRD))
    before = updates_of(aws, first)

    second = model.release(model_data(aws, label_shift=1), ABTests=False, InstanceType="ml.c5.xlarge").approve()
    result = second.deploy(PRD)
    assert (result["change"], result["outputs"]["Revision"]) == ("updated", second.plan.revision_id)
    assert updates_of(aws, second)[len(before) :] == [
        "DeregisterScalableTarget",
        "UpdateEndpoint",
        "RegisterScalableTarget",
    ]
    live = endpoint(aws, second, PRD)["ProductionVariants"]
    assert [(item["VariantName"], item["CurrentInstanceCount"]) for item in live] == [("model-a", 2)]
    assert scalable_targets(aws, second).keys() == {"variant/model-a"}
    assert predict(aws, second.plan.endpoint(PRD), ROWS[0]) == (1, "model-a")


def test_the_end_of_a_trial_deregisters_the_variant_that_goes(aws, model):
    for shift in (0, 1):
        trial = model.release(model_data(aws, label_shift=shift), InitialVariantWeight=0.1).approve()
        trial.deploy(PRD)
    assert scalable_targets(aws, trial).keys() == {"variant/model-a", "variant/model-b"}
    last = model.release(model_data(aws, label_shift=2), ABTests=False).approve()
    last.deploy(PRD)
    assert variants(aws, last) == {"model-a": 1.0}
    assert scalable_targets(aws, last).keys() == {"variant/model-a"}


def test_a_failed_change_of_the_instance_type_leaves_what_was_with_its_scaling(aws, model):
    good = model.release(model_data(aws), ABTests=False, InstanceType="ml.m4.xlarge").approve()
    good.deploy(PRD)
    bad = model.release(broken_model_data(aws), ABTests=False, InstanceType="ml.c5.xlarge").approve()
    with pytest.raises(StackFailed, match=r"UPDATE_ROLLBACK_COMPLETE; Endpoint \(AWS::SageMaker::Endpoint\)"):
        bad.deploy(PRD)
    assert scalable_targets(aws, good).keys() == {"variant/model-a"}
    assert predict(aws, good.plan.endpoint(PRD), ROWS[0]) == (0, "model-a")
    stack = aws.stack(good.plan.stack(PRD))
    assert {tag["Key"]: tag["Value"] for tag in stack["Tags"]} == good.plan.tags()
    assert {item["OutputKey"]: item["OutputValue"] for item in stack["Outputs"]}["Revision"] == good.plan.revision_id


def deregister(client, target):
    client.deregister_scalable_target(**target)


def delete_policy(client, target):
    (policy,) = client.describe_scaling_policies(ServiceNamespace="sagemaker", ResourceId=target["ResourceId"])[
        "ScalingPolicies"
    ]
    client.delete_scaling_policy(**target, PolicyName=policy["PolicyName"])


def raise_the_ceiling(client, target):
    client.register_scalable_target(**target, MaxCapacity=9)


@pytest.mark.parametrize(
    ("by_hand", "again"),
    [(deregister, False), (deregister, True), (delete_policy, False), (raise_the_ceiling, True)],
)
def test_scaling_that_was_changed_by_hand_is_put_right(aws, model, by_hand, again):
    first = model.release(model_data(aws), ABTests=False).approve()
    first.deploy(PRD)
    client = aws.client("application-autoscaling")
    before = scalable_targets(aws, first)["variant/model-a"]
    by_hand(client, {key: before[key] for key in ("ServiceNamespace", "ResourceId", "ScalableDimension")})

    last = first if again else model.release(model_data(aws, label_shift=1), ABTests=False).approve()
    last.deploy(PRD)
    after = scalable_targets(aws, last)["variant/model-a"]
    assert (after["MinCapacity"], after["MaxCapacity"]) == (before["MinCapacity"], before["MaxCapacity"])
    policies = client.describe_scaling_policies(ServiceNamespace="sagemaker", ResourceId=before["ResourceId"])
    assert [one["PolicyName"] for one in policies["ScalingPolicies"]] == [f"{last.plan.endpoint(PRD)}-model-a"]
    assert last.deploy(PRD)["change"] == "unchanged"


def test_an_update_that_somebody_else_began_is_waited_for(aws, model):
    first = model.release(model_data(aws), ABTests=False).approve()
    first.deploy(PRD)
    aws.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=first.plan.endpoint(PRD),
        DesiredWeightsAndCapacities=[{"VariantName": "model-a", "DesiredInstanceCount": 2}],
    )
    second = model.release(model_data(aws, label_shift=1), ABTests=False).approve()
    assert second.deploy(PRD)["change"] == "updated"
    assert endpoint(aws, second, PRD)["ProductionVariants"][0]["CurrentInstanceCount"] == 2


def test_a_model_that_does_not_start_leaves_the_old_one_serving(aws, model):
    good = model.release(model_data(aws))
    good.deploy(DEV)
    before = endpoint(aws, good, DEV)["EndpointConfigName"]
    bad = model.release(broken_model_data(aws))
    with pytest.raises(StackFailed, match=r"UPDATE_ROLLBACK_COMPLETE; Endpoint \(AWS::SageMaker::Endpoint\)"):
        bad.deploy(DEV)
    assert predict(aws, good.plan.endpoint(DEV), ROWS[0]) == (0, "model-a")
    assert endpoint(aws, good, DEV)["EndpointConfigName"] == before
    # The stack does not hold the release that failed, so it allows the one before. The board would refuse it as older,
    # but is new here.
    model.documents = MemoryDocuments()
    assert good.deploy(DEV)["change"] == "unchanged"


def test_an_endpoint_moved_by_hand_is_drift_and_one_deleted_by_hand_is_made_again(aws, model):
    release = model.release(model_data(aws), ABTests=False, AutoScaling=None).approve()
    release.deploy(PRD)
    sagemaker, name = aws.client("sagemaker"), release.plan.endpoint(PRD)
    ours = endpoint(aws, release, PRD)["EndpointConfigName"]
    other = create_config(aws, variant(create_model(aws, model_data(aws, label_shift=1))))
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=other)
    wait_for_endpoint(aws, name)
    newer = model.release(model_data(aws, label_shift=2), ABTests=False, AutoScaling=None).approve()
    with pytest.raises(StackFailed, match=f"drifted.*{other}.*{ours}"):
        newer.deploy(PRD)
    assert endpoint(aws, newer, PRD)["EndpointConfigName"] == other

    sagemaker.delete_endpoint(EndpointName=name)
    # At first it may still be Deleting, and have the other configuration.
    assert newer.deploy(PRD)["change"] == "created"
    assert predict(aws, name, ROWS[0])[0] == 2


def test_an_endpoint_outside_the_stack_is_left_alone(aws, model):
    release = model.release(model_data(aws))
    name = release.plan.endpoint(DEV)
    config = create_config(aws, variant(create_model(aws, model_data(aws))))
    aws.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=config)
    wait_for_endpoint(aws, name)
    with pytest.raises(NameConflict, match="outside the stack"):
        release.deploy(DEV)
    assert endpoint(aws, release, DEV)["EndpointConfigName"] == config


def scheduled(aws, release):
    """The scheduled actions of each variant: when, and between which bounds."""
    client = aws.client("application-autoscaling")
    found = client.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]
    prefix = f"endpoint/{release.plan.endpoint(PRD)}/variant/"
    return {
        (action["ResourceId"].removeprefix(prefix), action["ScheduledActionName"]): (
            action["Schedule"],
            action["Timezone"],
            action["ScalableTargetAction"],
        )
        for action in found
        if action["ResourceId"].startswith(prefix)
    }


def test_the_bounds_of_scaling_follow_the_clock_through_releases(aws, model):
    unscheduled = model.config
    morning = {"name": "morning", "schedule": "cron(0 7 ? * MON,TUE *)", "timezone": "Europe/Berlin"}
    night = {"name": "night", "schedule": "rate(1 day)"}
    model.config = ModelConfig.model_validate(
        unscheduled.model_dump()
        | {
            "scaling_schedule": [
                {**morning, "min_capacity": 2, "max_capacity": 10},
                {**night, "min_capacity": 1, "max_capacity": 2},
            ]
        }
    )
    for shift in (0, 1):
        release = model.release(model_data(aws, label_shift=shift), InitialVariantWeight=0.1).approve()
        release.deploy(PRD)
    expected = {
        "morning": ("cron(0 7 ? * MON,TUE *)", "Europe/Berlin", {"MinCapacity": 2, "MaxCapacity": 10}),
        "night": ("rate(1 day)", "Etc/UTC", {"MinCapacity": 1, "MaxCapacity": 2}),
    }
    variants = ("model-a", "model-b")
    assert scheduled(aws, release) == {(one, name): action for one in variants for name, action in expected.items()}
    model.config = unscheduled
    last = model.release(model_data(aws, label_shift=2), InitialVariantWeight=0.1).approve()
    last.deploy(PRD)
    assert scheduled(aws, last) == {}
