"""Real model servers, run by the compute without a local AWS's API."""

import contextlib
import io
import json
import math
import os
import signal
import tarfile
from datetime import UTC, datetime, timedelta

import pytest

from demo.training_job import HYPERPARAMETERS
from tests.local_aws.compute.support import (
    BUCKET,
    IMAGE,
    OLD_IMAGE,
    ROW_OF,
    ComputeProcess,
    alive,
    csv,
    job,
    rows,
    variant,
    wait_until,
)
from tests.local_aws.sagemaker_cases import model_data

pytestmark = pytest.mark.local_aws

STRAIGHT = [{"name": "train", "s3_uri": f"s3://{BUCKET}/straight/train", "content_type": "text/csv"}]


@pytest.fixture(scope="module")
def s3(bucket):
    bucket.put_object(Bucket=BUCKET, Key="straight/train/data.csv", Body=csv(rows()).encode())
    return bucket


@pytest.fixture(scope="module")
def model(local_aws):
    """A model that answers class n for the row of class n."""
    return model_data(local_aws)


@pytest.fixture(scope="module")
def turned_model(local_aws):
    """A model that answers class n + 1 for the row of class n."""
    return model_data(local_aws, label_shift=1)


@pytest.fixture
def endpoint(compute, request):
    name = request.node.name.replace("[", "-").rstrip("]")
    yield name
    compute("remove", name=name)


def pids_of(compute):
    return [pid for _, pid in compute.containers()]


def deploy(compute, name, *variants):
    assert compute("deploy", name=name, variants=variants) is None


class TestOneEndpoint:
    """Tests that need one model server: requests, and deployments that fail."""

    @pytest.fixture(scope="class")
    def serving(self, compute, model):
        deploy(compute, "serving", variant("model-a", model))
        yield "serving"
        compute("remove", name="serving")

    def test_csv_in_and_out(self, compute, serving):
        answer = compute("invoke", name=serving, body="\n".join(ROW_OF.values()) + "\n")
        assert answer["status"] == 200
        assert answer["body"] == "0.0,1.0,2.0"
        assert answer["headers"]["Content-Type"].startswith("text/csv")
        assert answer["headers"]["x-Amzn-Invoked-Production-Variant"] == "model-a"

    def test_libsvm_in_and_csv_out_of_an_image_that_knows_nothing_else(self, compute, serving):
        answer = compute(
            "invoke",
            name=serving,
            body="0:5.0 1:5.1\n1 0:0.0 1:0.1",
            Content_Type="text/libsvm",
            Accept="application/json",
        )
        assert answer["body"] == "1.0,0.0"
        assert answer["headers"]["Content-Type"].startswith("text/csv")

    @pytest.mark.parametrize(
        ("body", "content_type", "status"),
        [("1,2,3", "text/csv", 400), ("a,b", "text/csv", 415), ("{}", "application/json", 415)],
    )
    def test_what_the_model_refuses_is_a_model_error(self, compute, serving, body, content_type, status):
        answer = compute("invoke", name=serving, body=body, Content_Type=content_type)
        assert answer["status"] == 424
        assert answer["headers"]["x-amzn-ErrorType"] == "ModelError"
        error = json.loads(answer["body"])
        assert error["OriginalStatusCode"] == status
        assert error["OriginalMessage"]
        assert error["Message"].startswith(f'Received client error ({status}) from primary with message "')
        assert error["LogStreamArn"].endswith(f":log-group:/aws/sagemaker/Endpoints/{serving}")

    def test_a_refused_request_does_not_spoil_those_beside_it(self, compute, serving):
        compute("start_load", name=serving, body=ROW_OF[2])
        for _ in range(20):
            assert compute("invoke", name=serving, body="1,2,3")["status"] == 424
        assert set(compute("end_load")) == {"200 2.0"}

    def test_what_is_not_there_is_a_validation_error(self, compute, serving):
        missing = compute("invoke", name="nowhere", body="1,2")
        assert (missing["status"], missing["headers"]["x-amzn-ErrorType"]) == (400, "ValidationError")
        assert json.loads(missing["body"])["Message"] == "Endpoint nowhere of account 123456789012 not found."
        assert compute("invoke", name=serving, body="1,2", target_variant="model-z")["status"] == 400

    def test_a_body_that_is_too_large_is_refused(self, compute, serving):
        answer = compute("invoke", name=serving, body="1" * 6_291_457)
        assert (answer["status"], answer["headers"]["x-amzn-ErrorType"]) == (400, "ValidationError")

    @pytest.mark.parametrize(
        ("contents", "reason"),
        [
            ("no archive", "Failed to extract model data archive"),
            (None, "Failed to download model data"),
            (
                "empty archive",
                "The primary container for production variant model-a did not pass the ping health check",
            ),
            ("escape", "Failed to extract model data archive"),
        ],
    )
    def test_a_failed_new_fleet_leaves_the_old_one_serving(self, compute, s3, serving, contents, reason):
        before = compute.containers()
        compute("start_load", name=serving, body=ROW_OF[1])
        url = f"s3://{BUCKET}/bad/model.tar.gz"
        s3.delete_object(Bucket=BUCKET, Key="bad/model.tar.gz")
        if contents:
            s3.put_object(Bucket=BUCKET, Key="bad/model.tar.gz", Body=archive(contents))
        failure = compute("deploy", name=serving, variants=[variant("model-a", url, instance_count=2)])
        assert reason in failure
        assert set(compute("end_load")) == {"200 1.0"}
        assert compute.containers() == before
        assert compute("instances", name=serving) == {"model-a": 1}


def test_from_version_1_5_on_each_prediction_has_a_line(compute, model, endpoint):
    deploy(compute, endpoint, variant("model-a", model, image=IMAGE))
    assert compute("invoke", name=endpoint, body="\n".join(ROW_OF.values()))["body"] == "0.0\n1.0\n2.0\n"


def test_a_new_model_replaces_the_old_without_a_failed_request(compute, model, turned_model, endpoint):
    deploy(compute, endpoint, variant("model-a", model))
    compute("start_load", name=endpoint, body=ROW_OF[0])
    for url in (turned_model, model, turned_model):
        deploy(compute, endpoint, variant("model-a", url, instance_count=2))
    counts = compute("end_load")
    assert set(counts) == {"200 0.0", "200 1.0"}
    assert compute("invoke", name=endpoint, body=ROW_OF[0])["body"] == "1.0"
    assert len(compute.containers()) == 2


def archive(contents):
    if contents == "no archive":
        return b"no archive"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        if contents == "escape":
            member = tarfile.TarInfo("../../outside")
            member.size = 4
            tar.addfile(member, io.BytesIO(b"evil"))
    return buffer.getvalue()


def test_an_endpoint_that_never_served_is_not_there(compute, endpoint):
    assert compute("deploy", name=endpoint, variants=[variant("model-a", f"s3://{BUCKET}/bad/none")])
    assert compute("invoke", name=endpoint, body="1,2")["status"] == 400
    assert compute.containers() == []


def test_an_unknown_image_is_refused(compute, model, endpoint):
    failure = compute("deploy", name=endpoint, variants=[variant("model-a", model, image="kmeans:1")])
    assert failure.startswith("Please make sure all images included in the model for the production variant model-a")


def test_traffic_follows_the_weights(compute, model, turned_model, endpoint):
    deploy(compute, endpoint, variant("model-a", model, weight=0.9), variant("model-b", turned_model, weight=0.1))
    requests = 1000
    counts = compute("spread", name=endpoint, body=ROW_OF[0], requests=requests)
    # Five standard deviations of a binomial: wrong once in a million runs.
    assert abs(counts["model-b"] - 0.1 * requests) < 5 * math.sqrt(requests * 0.1 * 0.9)
    compute("set_capacities", name=endpoint, weights={"model-b": 0.0}, counts={})
    assert compute("spread", name=endpoint, body=ROW_OF[0], requests=100) == {"model-a": 100}


def test_a_target_variant_is_asked_whatever_its_weight(compute, model, turned_model, endpoint):
    deploy(compute, endpoint, variant("model-a", model, weight=1.0), variant("model-b", turned_model, weight=0.0))
    for name, body in (("model-a", "0.0"), ("model-b", "1.0")):
        answer = compute("invoke", name=endpoint, body=ROW_OF[0], target_variant=name)
        assert answer["body"] == body
        assert answer["headers"]["x-Amzn-Invoked-Production-Variant"] == name


def test_instances_are_added_and_taken_away_under_load(compute, model, endpoint):
    deploy(compute, endpoint, variant("model-a", model))
    compute("start_load", name=endpoint, body=ROW_OF[1])
    for count in (3, 1, 2):
        compute("set_capacities", name=endpoint, weights={}, counts={"model-a": count})
        assert compute("instances", name=endpoint) == {"model-a": count}
        assert len(compute.containers()) == count
    assert set(compute("end_load")) == {"200 1.0"}


def test_a_dead_instance_is_started_again(compute, model, endpoint):
    deploy(compute, endpoint, variant("model-a", model, instance_count=2))
    (_, victim), _ = compute.containers()
    os.kill(victim, signal.SIGKILL)
    # Until the whole process is gone: its last thread may still hold the port.
    wait_until(lambda: victim not in pids_of(compute))
    assert compute("invoke", name=endpoint, body=ROW_OF[0])["status"] == 200
    wait_until(lambda: len(compute.containers()) == 2 and compute("instances", name=endpoint) == {"model-a": 2})
    assert victim not in pids_of(compute)


def test_nobody_notices_that_instances_die(compute, model, endpoint):
    deploy(compute, endpoint, variant("model-a", model, instance_count=3))
    compute("start_load", name=endpoint, body=ROW_OF[1])
    for _ in range(3):
        (_, victim), *_ = compute.containers()
        os.kill(victim, signal.SIGKILL)
        # A dead instance counts as healthy until its thread has noticed: only its new process shows that it has.
        wait_until(lambda victim=victim: len(pids := pids_of(compute)) == 3 and victim not in pids)
        wait_until(lambda: compute("instances", name=endpoint) == {"model-a": 3})
    assert set(compute("end_load")) == {"200 1.0"}


def test_an_endpoint_without_a_living_instance_says_so(compute, model, endpoint):
    deploy(compute, endpoint, variant("model-a", model))

    def asked_after_a_kill():
        for pid in pids_of(compute):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return compute("invoke", name=endpoint, body=ROW_OF[0])["status"]

    # It may be there again before it is asked; then it is killed again.
    wait_until(lambda: asked_after_a_kill() == 503)
    wait_until(lambda: compute("invoke", name=endpoint, body=ROW_OF[0])["status"] == 200)


def test_metrics_are_put_by_endpoint_and_variant(compute, local_aws, model, endpoint):
    deploy(compute, endpoint, variant("model-a", model, instance_count=2))
    for _ in range(3):
        compute("invoke", name=endpoint, body=ROW_OF[0])
    compute("invoke", name=endpoint, body="1,2,3")
    compute("put_metrics")
    sums = {name: datapoint_sum(local_aws, endpoint, name) for name in ("Invocations", "InvocationsPerInstance")}
    assert sums == {"Invocations": 4, "InvocationsPerInstance": 2}
    assert datapoint_sum(local_aws, endpoint, "Invocation4XXErrors") == 1
    assert datapoint_sum(local_aws, endpoint, "Invocation5XXErrors") == 0
    assert (
        datapoint_sum(local_aws, endpoint, "ModelLatency") > datapoint_sum(local_aws, endpoint, "OverheadLatency") > 0
    )


def test_utilization_is_put_by_endpoint_and_variant(compute, local_aws, model, endpoint):
    deploy(compute, endpoint, variant("model-a", model, instance_count=2))

    def used() -> bool:
        compute("invoke", name=endpoint, body="\n".join(list(ROW_OF.values()) * 1000))
        compute("measure")
        found = datapoints(local_aws, endpoint, "CPUUtilization", "/aws/sagemaker/Endpoints")
        return any(point["Maximum"] > 0 for point in found)

    # The kernel counts in hundredths of a second.
    wait_until(used)
    for name, least, most in [
        # None can have used more than the machine has.
        ("CPUUtilization", 0.0, 100 * os.cpu_count()),
        ("MemoryUtilization", 0.01, 100),
        ("DiskUtilization", 0.01, 100),
    ]:
        found = datapoints(local_aws, endpoint, name, "/aws/sagemaker/Endpoints")
        # The thread may have put samples as well.
        assert sum(point["SampleCount"] for point in found) >= 2
        assert least < max(point["Maximum"] for point in found) < most


def datapoint_sum(local_aws, endpoint, metric):
    return sum(point["Sum"] for point in datapoints(local_aws, endpoint, metric, "AWS/SageMaker"))


def datapoints(local_aws, endpoint, metric, namespace):
    now = datetime.now(UTC)
    return local_aws.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "model-a"}],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=2),
        Period=60,
        Statistics=["Sum", "SampleCount", "Maximum"],
    )["Datapoints"]


def test_removing_an_endpoint_leaves_no_process_and_no_files(compute, model):
    deploy(compute, "removed", variant("model-a", model, image=OLD_IMAGE, instance_count=2))
    compute("remove", name="removed")
    assert compute.containers() == []
    assert list((compute.state_dir / "hosting").rglob("removed")) == []
    compute("remove", name="removed")


def test_what_a_killed_host_leaves_is_reaped(s3, model, tmp_path):
    first = ComputeProcess(s3.meta.endpoint_url, tmp_path)
    # A variable that a library reads when it is loaded keeps the second one from being a fork.
    unforked = variant("model-b", model) | {"environment": {"OMP_NUM_THREADS": "1"}}
    deploy(first, "orphan", variant("model-a", model), unforked)
    first(
        "train", spec=job("orphan-job", hyperparameters=HYPERPARAMETERS | {"num_round": "100000000"}, channels=STRAIGHT)
    )
    wait_until(lambda: len(first.containers()) == 3)
    left = dict(first.containers())
    first.kill()
    # Only forks end with the host.
    wait_until(lambda: sum(alive(pid) for pid in left.values()) == 1)
    (orphan,) = (name for name, pid in left.items() if alive(pid))
    second = ComputeProcess(s3.meta.endpoint_url, tmp_path)
    assert second("orphans") == [orphan]
    wait_until(lambda: not alive(left[orphan]))
    assert second.containers() == []
    second.close()
