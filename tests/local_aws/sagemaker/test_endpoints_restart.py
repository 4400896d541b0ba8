"""Training jobs and endpoints after a stop and after a kill of the local AWS."""

import threading
import time

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.local_aws.sagemaker.test_endpoint_stack import Stack
from tests.local_aws.sagemaker_cases import (
    broken_model_data,
    create_config,
    create_model,
    lend_model_data,
    predict,
    training_request,
    upload,
    variant,
    wait,
    wait_for_endpoint,
)
from tests.local_aws.server import eventually

pytestmark = pytest.mark.local_aws
PREFIX = "restart"
INTERRUPTED = "the local AWS went down"


def start_long_job(aws, name):
    """Start a training job that does not end by itself; return a function that waits until its container runs."""
    upload(aws, PREFIX)
    request = training_request(name, PREFIX)
    request["HyperParameters"] |= {"num_round": "100000000"}
    sagemaker = aws.client("sagemaker")
    sagemaker.create_training_job(**request)
    look = lambda: sagemaker.describe_training_job(TrainingJobName=name)["SecondaryStatus"]  # noqa: E731
    return lambda: wait(look, "Starting", "Downloading") == "Training"


def create_endpoint(aws, name, model):
    config = create_config(aws, variant(model))
    aws.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=config)
    return config


def start_rolling(aws, name, config):
    """Begin a rolling deployment and wait until the new instance has traffic."""
    sagemaker = aws.client("sagemaker")
    policy = {"MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50}, "WaitIntervalInSeconds": 3600}
    sagemaker.update_endpoint(
        EndpointName=name, EndpointConfigName=config, DeploymentConfig={"RollingUpdatePolicy": policy}
    )

    def look():
        pending = sagemaker.describe_endpoint(EndpointName=name)["PendingDeploymentSummary"]
        return pending["ProductionVariants"][0].get("VariantStatus", [{}])[0].get("Status")

    eventually(look, lambda status: status == "Baking")


def codes_meanwhile(aws, endpoint, act):
    """Invoke an endpoint repeatedly while something is done; return the codes of AWS's errors."""
    codes, done = set(), threading.Event()

    def ask():
        while not done.is_set():
            try:
                predict(aws, endpoint)
            except ClientError as error:
                codes.add(error.response["Error"]["Code"])
            except BotoCoreError:
                # Nothing listens.
                time.sleep(0.01)

    asking = threading.Thread(target=ask)
    asking.start()
    act()
    done.set()
    asking.join()
    return codes


def assert_failed_by_interruption(aws, name):
    job = aws.client("sagemaker").describe_training_job(TrainingJobName=name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert INTERRUPTED in job["FailureReason"]
    assert job["SecondaryStatusTransitions"][-1]["Status"] == "Failed"
    assert job["TrainingEndTime"] >= job["CreationTime"]


def test_stop_and_start(local_aws, new_local_aws):
    aws = new_local_aws().start()
    job_runs = start_long_job(aws, "cut-off")
    create_endpoint(aws, "serving", create_model(aws, lend_model_data(local_aws, aws)))
    before = wait_for_endpoint(aws, "serving")
    assert job_runs()
    # It is never reported as unknown, which a caller would take as final.
    assert codes_meanwhile(aws, "serving", aws.restart) <= {"ServiceUnavailable"}
    assert_failed_by_interruption(aws, "cut-off")
    assert predict(aws, "serving")[0] == 0
    after = wait_for_endpoint(aws, "serving")
    assert {m: after[m] for m in after if m != "ResponseMetadata"} == {
        m: before[m] for m in before if m != "ResponseMetadata"
    }


def test_changes_that_come_before_endpoints_serve_again_are_made_after_that(local_aws, new_local_aws):
    """As from a release that went on while the local AWS was killed and started again."""
    aws = new_local_aws().start()
    model = create_model(aws, lend_model_data(local_aws, aws))
    names = ("updated", "weighed", "deleted")
    for name in names:
        create_endpoint(aws, name, model)
    assert {wait_for_endpoint(aws, name)["EndpointStatus"] for name in names} == {"InService"}
    config = create_config(aws, variant(model))
    aws.kill()
    starting = threading.Thread(target=aws.start)
    starting.start()
    sagemaker = aws.client("sagemaker")
    weights = [{"VariantName": "model-a", "DesiredInstanceCount": 2}]
    ask_while_it_starts(lambda: sagemaker.update_endpoint(EndpointName="updated", EndpointConfigName=config))
    sagemaker.update_endpoint_weights_and_capacities(EndpointName="weighed", DesiredWeightsAndCapacities=weights)
    sagemaker.delete_endpoint(EndpointName="deleted")
    assert not aws.healthy()
    starting.join()

    updated, weighed = (wait_for_endpoint(aws, name) for name in names[:2])
    assert [one["EndpointStatus"] for one in (updated, weighed)] == ["InService"] * 2
    assert not [one["FailureReason"] for one in (updated, weighed) if "FailureReason" in one]
    assert updated["EndpointConfigName"] == config
    assert weighed["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert [predict(aws, name)[0] for name in names[:2]] == [0, 0]
    with pytest.raises(ClientError, match="Could not find endpoint"):
        wait_for_endpoint(aws, "deleted")


def ask_while_it_starts(call):
    """Repeat a call until the server, which is being started, takes it."""
    for _ in range(2000):
        try:
            return call()
        except BotoCoreError:
            time.sleep(0.01)
    raise AssertionError("nothing listens")


@pytest.mark.rare
def test_kill_in_the_middle_of_everything(local_aws, new_local_aws):
    # Slow enough that each change is still in progress when the process is killed.
    aws = new_local_aws("--pace", "5").start()
    sagemaker = aws.client("sagemaker")
    job_runs = start_long_job(aws, "cut-off")
    good = create_model(aws, lend_model_data(local_aws, aws))
    configs = {name: create_endpoint(aws, name, good) for name in ("shifting", "updating", "weighing", "untouched")}
    for name in configs:
        assert wait_for_endpoint(aws, name)["EndpointStatus"] == "InService"
    assert job_runs()
    start_rolling(aws, "shifting", create_config(aws, variant(good)))
    create_endpoint(aws, "creating", good)
    other = create_config(aws, variant(good, InitialInstanceCount=2))
    sagemaker.update_endpoint(EndpointName="updating", EndpointConfigName=other)
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="weighing", DesiredWeightsAndCapacities=[{"VariantName": "model-a", "DesiredInstanceCount": 2}]
    )
    aws.kill()
    aws.start()

    assert_failed_by_interruption(aws, "cut-off")
    assert wait_for_endpoint(aws, "creating")["EndpointStatus"] == "InService"
    assert predict(aws, "creating")[0] == 0
    for name in ("shifting", "updating", "weighing"):
        endpoint = wait_for_endpoint(aws, name)
        assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", configs[name])
        assert INTERRUPTED in endpoint["FailureReason"]
        (summary,) = endpoint["ProductionVariants"]
        assert (summary["CurrentInstanceCount"], summary["DesiredInstanceCount"]) == (1, 1)
        assert predict(aws, name)[0] == 0
    assert "FailureReason" not in wait_for_endpoint(aws, "untouched")
    assert predict(aws, "untouched")[0] == 0
    for name in ("creating", *configs):
        sagemaker.delete_endpoint(EndpointName=name)
        with pytest.raises(ClientError, match="Could not find endpoint"):
            wait_for_endpoint(aws, name)


def test_stop_while_a_stack_waits_for_its_endpoint(new_local_aws):
    aws = new_local_aws("--pace", "120").start()
    stack = Stack(aws)
    stack.begin("create_stack", ModelDataUrl=broken_model_data(aws))
    look = lambda: [e["EndpointStatus"] for e in aws.client("sagemaker").list_endpoints()["Endpoints"]]  # noqa: E731
    assert wait(look, []) == ["Creating"]
    assert aws.stop() == 0
    aws.arguments = ()
    aws.start()
    # The creation continues, and fails for its own reason.
    assert stack.settled()[0] == "ROLLBACK_COMPLETE"
    assert "model" in stack.reasons("CREATE_FAILED")["Endpoint"]
    assert stack.delete() == "DELETE_COMPLETE"
