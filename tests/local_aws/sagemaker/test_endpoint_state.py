"""What DescribeEndpoint shows of a deployment, stage by stage."""

import pytest

from local_aws.compute.update_policy import UpdateStage
from local_aws.sagemaker.endpoint_plan import Plan, PlannedVariant
from local_aws.sagemaker.endpoint_state import (
    deployed,
    in_service_again,
    plan_update,
    plan_weights,
    progressed,
    rollback_failed,
    weights_settled,
)


def plan(config, instances):
    container = {"Image": "image", "ModelDataUrl": "s3://bucket/model.tar.gz"}
    return Plan(config, (PlannedVariant("model-a", f"{config}-model", container, instances, 1.0),), {})


@pytest.fixture
def endpoint():
    """A document during an update from two instances to four."""
    document = {"EndpointName": "it", "EndpointArn": "arn:it", "EndpointStatus": "Creating"}
    deployed(document, plan("old", 2))
    plan_update(document, plan("new", 4), {"DeploymentConfig": {"RollingUpdatePolicy": {}}})
    return document


def told(endpoint, status, new, old=None):
    progressed(endpoint, UpdateStage(status, {"model-a": f"{status}."}, {"model-a": new}, old and {"model-a": old}))
    (live,) = endpoint["ProductionVariants"]
    (pending,) = endpoint["PendingDeploymentSummary"]["ProductionVariants"]
    statuses = [variant.get("VariantStatus", [{}])[0].get("Status") for variant in (live, pending)]
    return endpoint["EndpointStatus"], statuses, (live["CurrentInstanceCount"], pending["CurrentInstanceCount"])


def test_stages(endpoint):
    assert told(endpoint, "Creating", 0) == ("Updating", [None, "Creating"], (2, 0))
    assert told(endpoint, "ActivatingTraffic", 1) == ("Updating", [None, "ActivatingTraffic"], (2, 1))
    assert told(endpoint, "Baking", 1) == ("Updating", [None, "Baking"], (2, 1))
    # Here the old instances are terminated.
    assert told(endpoint, "Deleting", 2, old=1) == ("Updating", ["Deleting", None], (1, 2))
    assert told(endpoint, "Baking", 2, old=1) == ("Updating", [None, "Baking"], (1, 2))
    # Here the new instances are terminated.
    assert told(endpoint, "RollingBack", 2, old=1) == ("RollingBack", [None, "Deleting"], (1, 2))
    assert endpoint["LastDeploymentConfig"] == {"RollingUpdatePolicy": {}}


def test_taken_back_is_as_before_with_the_reason(endpoint):
    told(endpoint, "Baking", 1, old=1)
    # A start after a kill begins with this.
    assert [spec.instance_count for spec in Plan.live(endpoint).specs()] == [2]
    in_service_again(endpoint, "breached")
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", "old")
    assert endpoint["FailureReason"] == "breached"
    assert endpoint["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert "PendingDeploymentSummary" not in endpoint


def test_failed_roll_back_says_what_is_left(endpoint):
    told(endpoint, "RollingBack", 2, old=1)
    rollback_failed(endpoint, "breached")
    (variant,) = endpoint["ProductionVariants"]
    assert endpoint["EndpointStatus"] == "UpdateRollbackFailed"
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (1, 2)


def test_scaling_is_the_live_variants_status(endpoint):
    deployed(endpoint, plan("new", 4))
    plan_weights(endpoint, [{"VariantName": "model-a", "DesiredInstanceCount": 6}])
    (variant,) = endpoint["ProductionVariants"]
    (status,) = variant["VariantStatus"]
    assert (status["Status"], status["StatusMessage"]) == ("Updating", "Scaling out desired instance count to 6.")
    weights_settled(endpoint)
    assert "VariantStatus" not in variant
    assert variant["CurrentInstanceCount"] == 6
