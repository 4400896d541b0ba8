"""Application Auto Scaling through boto3 and through CloudFormation, on a variant of a real endpoint."""

import pytest
from botocore.exceptions import ClientError

from tests.local_aws.sagemaker_cases import IMAGE, ROLE, model_data, refused, unique, wait

pytestmark = pytest.mark.local_aws

DIMENSION = "sagemaker:variant:DesiredInstanceCount"
TRACKING = {
    "TargetValue": 200.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    "ScaleInCooldown": 30,
    "ScaleOutCooldown": 60,
}


@pytest.fixture(scope="module")
def scaling(local_aws):
    return local_aws.client("application-autoscaling")


@pytest.fixture(scope="module")
def endpoint(local_aws):
    """A real endpoint with variants a and b; each test leaves them without targets."""
    sagemaker, name = local_aws.client("sagemaker"), unique("scaled")
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": model_data(local_aws)},
    )
    variant = {"ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m4.xlarge"}
    variants = [{**variant, "VariantName": letter} for letter in "ab"]
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    wait(lambda: sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"], "Creating")
    yield name
    sagemaker.delete_endpoint(EndpointName=name)


@pytest.fixture(params="a")
def target(scaling, endpoint, request):
    """A registered target of variant a, gone after the test."""
    identity = of(endpoint, request.param)
    scaling.register_scalable_target(**identity, MinCapacity=1, MaxCapacity=10)
    yield identity
    if scaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[identity["ResourceId"]])[
        "ScalableTargets"
    ]:
        scaling.deregister_scalable_target(**identity)


def of(endpoint, variant):
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
        "ScalableDimension": DIMENSION,
    }


def error_of(call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def put(scaling, identity, name="track", **changes):
    return scaling.put_scaling_policy(
        PolicyName=name,
        **identity,
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={**TRACKING, **changes},
    )


def targets_of(scaling, identity):
    return scaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[identity["ResourceId"]])[
        "ScalableTargets"
    ]


def test_target_is_registered_and_described(scaling, target):
    (found,) = targets_of(scaling, target)
    assert {member: found[member] for member in target} == target
    assert (found["MinCapacity"], found["MaxCapacity"]) == (1, 10)
    assert found["RoleARN"].endswith("AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint")
    assert found["SuspendedState"]["DynamicScalingInSuspended"] is False
    assert ":scalable-target/" in found["ScalableTargetARN"]


def test_registering_again_changes_what_is_given(scaling, target):
    before = targets_of(scaling, target)[0]
    scaling.register_scalable_target(**target, MaxCapacity=4)
    after = targets_of(scaling, target)[0]
    assert (after["MinCapacity"], after["MaxCapacity"]) == (1, 4)
    assert after["ScalableTargetARN"] == before["ScalableTargetARN"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"MinCapacity": 5, "MaxCapacity": 4}, "Maximum capacity cannot be less than minimum capacity"),
        ({"MinCapacity": -1, "MaxCapacity": 4}, "Minimum capacity cannot be less than 0"),
        ({"MinCapacity": 1}, "MinCapacity and MaxCapacity are required"),
        ({"ScalableDimension": "ecs:service:DesiredCount"}, "Unsupported service namespace, resource type or"),
        ({"ResourceId": "variant/x"}, "Unsupported service namespace, resource type or scalable dimension"),
        ({"ResourceId": "endpoint/nothing/variant/a"}, 'Could not find endpoint "arn:aws:sagemaker:'),
    ],
)
def test_bad_targets_are_refused(scaling, endpoint, changes, message):
    bounds = {} if "MinCapacity" in changes else {"MinCapacity": 1, "MaxCapacity": 4}
    code, text = error_of(scaling.register_scalable_target, **{**of(endpoint, "b"), **bounds, **changes})
    assert code == "ValidationException"
    assert text.startswith(message)


def test_variant_must_be_there(scaling, endpoint):
    code, message = error_of(scaling.register_scalable_target, **of(endpoint, "nothing"), MinCapacity=1, MaxCapacity=2)
    assert code == "ValidationException"
    assert message.startswith("Could not find variant nothing")


def test_policy_is_put_changed_described_and_deleted(scaling, target):
    arn = put(scaling, target)["PolicyARN"]
    assert arn.endswith(f":resource/sagemaker/{target['ResourceId']}:policyName/track")
    assert put(scaling, target, TargetValue=100.0)["PolicyARN"] == arn
    (found,) = scaling.describe_scaling_policies(**target)["ScalingPolicies"]
    assert found["PolicyType"] == "TargetTrackingScaling"
    assert found["TargetTrackingScalingPolicyConfiguration"] == {**TRACKING, "TargetValue": 100.0}
    scaling.delete_scaling_policy(PolicyName="track", **target)
    assert scaling.describe_scaling_policies(**target)["ScalingPolicies"] == []
    code, message = error_of(scaling.delete_scaling_policy, PolicyName="track", **target)
    assert (code, message.startswith("No scaling policy found for service namespace: sagemaker")) == (
        "ObjectNotFoundException",
        True,
    )


def test_one_policy_for_one_metric(scaling, target):
    put(scaling, target)
    with pytest.raises(ClientError) as refused:
        put(scaling, target, "other")
    assert "Only one TargetTrackingScaling policy" in refused.value.response["Error"]["Message"]


def test_policy_needs_a_target_and_a_configuration(scaling, endpoint, target):
    code, message = error_of(
        scaling.put_scaling_policy,
        PolicyName="x",
        **of(endpoint, "b"),
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=TRACKING,
    )
    assert code == "ObjectNotFoundException"
    assert message == (
        f"No scalable target registered for service namespace: sagemaker, resource ID: endpoint/{endpoint}/variant/b, "
        f"scalable dimension: {DIMENSION}"
    )
    code, _ = error_of(scaling.put_scaling_policy, PolicyName="x", **target, PolicyType="TargetTrackingScaling")
    assert code == "ValidationException"
    code, _ = error_of(
        scaling.put_scaling_policy,
        PolicyName="x",
        **target,
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 1.0,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"},
        },
    )
    assert code == "ValidationException"


def test_deregistering_deletes_the_policies(scaling, target):
    put(scaling, target)
    scaling.deregister_scalable_target(**target)
    assert scaling.describe_scaling_policies(**target)["ScalingPolicies"] == []
    code, message = error_of(scaling.deregister_scalable_target, **target)
    assert (code, message.startswith("No scalable target registered")) == ("ObjectNotFoundException", True)


def test_activities_of_a_target_that_never_scaled(scaling, target):
    assert scaling.describe_scaling_activities(**target)["ScalingActivities"] == []


def test_lists_are_paged(scaling, endpoint):
    for variant in "ab":
        scaling.register_scalable_target(**of(endpoint, variant), MinCapacity=1, MaxCapacity=2)
    pages = scaling.get_paginator("describe_scalable_targets").paginate(
        ServiceNamespace="sagemaker",
        ResourceIds=[of(endpoint, variant)["ResourceId"] for variant in "ab"],
        PaginationConfig={"PageSize": 1},
    )
    assert [len(page["ScalableTargets"]) for page in pages] == [1, 1]
    code, _ = error_of(scaling.describe_scalable_targets, ServiceNamespace="sagemaker", NextToken="no")
    assert code == "InvalidNextTokenException"
    for variant in "ab":
        scaling.deregister_scalable_target(**of(endpoint, variant))


def test_tags(scaling, target):
    arn = targets_of(scaling, target)[0]["ScalableTargetARN"]
    scaling.tag_resource(ResourceARN=arn, Tags={"a": "1", "b": "2"})
    scaling.untag_resource(ResourceARN=arn, TagKeys=["a"])
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"b": "2"}
    assert error_of(scaling.list_tags_for_resource, ResourceARN=f"{arn}0")[0] == "ResourceNotFoundException"
    too_many = {f"key{number}": "" for number in range(51)}
    assert error_of(scaling.tag_resource, ResourceARN=arn, Tags=too_many)[0] == "TooManyTagsException"


def test_deleting_an_endpoint_deregisters_its_variants(scaling, endpoint, local_aws):
    sagemaker, name = local_aws.client("sagemaker"), unique("Leaving")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=endpoint)
    wait(lambda: sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"], "Creating")
    for owner in (name, endpoint):
        scaling.register_scalable_target(**of(owner, "a"), MinCapacity=1, MaxCapacity=2)
        put(scaling, of(owner, "a"))
    sagemaker.delete_endpoint(EndpointName=name)
    assert targets_of(scaling, of(name, "a")) == []
    assert scaling.describe_scaling_policies(**of(name, "a"))["ScalingPolicies"] == []
    assert len(targets_of(scaling, of(endpoint, "a"))) == 1
    scaling.deregister_scalable_target(**of(endpoint, "a"))


def template(endpoint, variant, maximum="10", value="200.0", policy=True):
    """Numbers as strings, as template parameters give them."""
    resources = {
        "Target": {
            "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
            "Properties": {**of(endpoint, variant), "MinCapacity": "1", "MaxCapacity": maximum},
        },
        "Policy": {
            "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
            "Properties": {
                "PolicyName": "of-a-stack",
                "PolicyType": "TargetTrackingScaling",
                "ScalingTargetId": {"Ref": "Target"},
                "TargetTrackingScalingPolicyConfiguration": {**TRACKING, "TargetValue": value},
            },
        },
    }
    outputs = {"Target": {"Value": {"Ref": "Target"}}}
    if policy:
        outputs["Policy"] = {"Value": {"Ref": "Policy"}}
    else:
        del resources["Policy"]
    return {"Resources": resources, "Outputs": outputs}


@pytest.mark.parametrize("target", ["b"], indirect=True)
def test_a_scalable_variant_keeps_its_instance_type_and_its_place(scaling, endpoint, target, local_aws):
    """https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-update.html"""
    sagemaker = local_aws.client("sagemaker")
    live = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint)["ProductionVariants"]
    larger = [{**variant, "InstanceType": "ml.c5.xlarge"} for variant in live]
    for variants in (larger, [v for v in live if v["VariantName"] == "a"]):
        name = unique("other")
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
        refused(
            lambda name=name: sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=name),
            "ValidationException",
            'The variant(s) "[b]" must be deregistered as scalable targets',
        )
    assert sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"] == endpoint


def test_stack_scales_a_variant(local_aws, scaling, endpoint):
    stack = local_aws.deploy("scaled", template(endpoint, "a"))
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    assert outputs["Target"] == f"endpoint/{endpoint}/variant/a|{DIMENSION}|sagemaker"
    (policy,) = scaling.describe_scaling_policies(**of(endpoint, "a"))["ScalingPolicies"]
    assert policy["PolicyARN"] == outputs["Policy"]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 200.0
    arn = targets_of(scaling, of(endpoint, "a"))[0]["ScalableTargetARN"]

    assert local_aws.deploy("scaled", template(endpoint, "a", "4", "50"))["StackStatus"] == "UPDATE_COMPLETE"
    (target,) = targets_of(scaling, of(endpoint, "a"))
    assert (target["MaxCapacity"], target["ScalableTargetARN"]) == (4, arn)

    assert local_aws.deploy("scaled", template(endpoint, "b"))["StackStatus"] == "UPDATE_COMPLETE"
    assert targets_of(scaling, of(endpoint, "a")) == []
    assert len(targets_of(scaling, of(endpoint, "b"))) == 1
    (policy,) = scaling.describe_scaling_policies(**of(endpoint, "b"))["ScalingPolicies"]

    assert local_aws.deploy("scaled", template(endpoint, "b", policy=False))["StackStatus"] == "UPDATE_COMPLETE"
    assert scaling.describe_scaling_policies(**of(endpoint, "b"))["ScalingPolicies"] == []
    local_aws.client("cloudformation").delete_stack(StackName="scaled")
    assert local_aws.stack(stack["StackId"])["StackStatus"] == "DELETE_COMPLETE"
    assert targets_of(scaling, of(endpoint, "b")) == []


def test_stack_keeps_the_scheduled_actions_of_its_target(local_aws, scaling, endpoint):
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-applicationautoscaling-scalabletarget.html"""
    evening = {
        "ScheduledActionName": "evening",
        "Schedule": "cron(0 20 * * ? *)",
        "Timezone": "Europe/Berlin",
        "StartTime": "2026-01-01T00:00:00Z",
        "ScalableTargetAction": {"MinCapacity": "1", "MaxCapacity": "2"},
    }
    morning = {**evening, "ScheduledActionName": "morning", "Schedule": "cron(0 8 * * ? *)"}

    def deploy(*actions):
        described = template(endpoint, "b")
        described["Resources"]["Target"]["Properties"]["ScheduledActions"] = list(actions)
        return local_aws.deploy("scheduled", described)

    def kept():
        identity = {"ServiceNamespace": "sagemaker", "ResourceId": of(endpoint, "b")["ResourceId"]}
        found = scaling.describe_scheduled_actions(**identity)["ScheduledActions"]
        return {action["ScheduledActionName"]: action for action in found}

    stack = deploy(evening, morning)
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert kept()["evening"]["ScalableTargetAction"] == {"MinCapacity": 1, "MaxCapacity": 2}
    assert kept()["morning"]["Timezone"] == "Europe/Berlin"
    assert deploy({**morning, "Schedule": "cron(0 9 * * ? *)"})["StackStatus"] == "UPDATE_COMPLETE"
    assert {name: action["Schedule"] for name, action in kept().items()} == {"morning": "cron(0 9 * * ? *)"}
    assert deploy({**morning, "Schedule": "whenever"})["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert kept()["morning"]["Schedule"] == "cron(0 9 * * ? *)"
    local_aws.client("cloudformation").delete_stack(StackName="scheduled")
    assert local_aws.stack(stack["StackId"])["StackStatus"] == "DELETE_COMPLETE"
    assert kept() == {}


def test_stack_with_bad_bounds_rolls_back(local_aws, scaling, endpoint):
    failed = local_aws.deploy("bad-bounds", template(endpoint, "b", maximum="0"))
    assert failed["StackStatus"] == "ROLLBACK_COMPLETE"
    events = local_aws.client("cloudformation").describe_stack_events(StackName="bad-bounds")["StackEvents"]
    reasons = [event.get("ResourceStatusReason") for event in events if event["LogicalResourceId"] == "Target"]
    assert "Maximum capacity cannot be less than minimum capacity" in reasons
    assert targets_of(scaling, of(endpoint, "b")) == []


def test_failed_update_restores_the_bounds(local_aws, scaling, endpoint):
    local_aws.deploy("bounds", template(endpoint, "b", "6"))
    failed = local_aws.deploy("bounds", template(endpoint, "b", "8", value="no number"))
    assert failed["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert targets_of(scaling, of(endpoint, "b"))[0]["MaxCapacity"] == 6
    local_aws.client("cloudformation").delete_stack(StackName="bounds")
    local_aws.stack(failed["StackId"])


def test_stack_does_not_take_over_a_registered_target(local_aws, target, endpoint):
    assert local_aws.deploy("taking", template(endpoint, "a"))["StackStatus"] == "ROLLBACK_COMPLETE"
