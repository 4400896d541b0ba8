"""The metrics of a job's log: a slow expression delays only its own metric."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from demo.training_job import HYPERPARAMETERS
from local_aws.compute import metrics as metrics_module
from local_aws.compute.metrics import FinalMetrics
from tests.local_aws.compute.support import BUCKET, IMAGE, csv, rows
from tests.local_aws.server import REGION

pytestmark = pytest.mark.local_aws

# Each further a doubles the time.
SLOW = "(a+)+$"
ROLE = "arn:aws:iam::123456789012:role/tests"


def found(definitions, lines):
    metrics = FinalMetrics(tuple(definitions))
    for line in lines:
        metrics.read(line)
    notes = metrics.end()
    return [(metric.name, metric.value) for metric in metrics.values()], notes


def test_the_last_value_of_a_metric_counts():
    definitions = [("loss", r"loss=(\S+)"), ("none", "nothing=(.*)"), ("groupless", "loss"), ("optional", "loss(x)?")]
    assert found(definitions, ["loss=0.5", "loss=0.25\r", "loss=unknown", "loss=ä", "other"]) == ([("loss", 0.25)], [])


def test_a_log_without_lines_has_no_metrics():
    assert found([("loss", r"loss=(\S+)")], []) == ([], [])


@pytest.mark.parametrize(
    "wrong", ["loss=(", "(?P<n>a)(?P<n>b)", "(" * 400 + ")" * 400, r"(?<=a+)b", "a{99999999999999}"]
)
def test_what_is_no_regular_expression_costs_its_metric_only(wrong):
    values, notes = found([("wrong", wrong), ("loss", r"loss=(\S+)")], ["loss=0.5"])
    assert values == [("loss", 0.5)]
    # Some Python versions accept some of them.
    assert all(note.startswith("Metrics: wrong was given up, its Regex ") for note in notes)


@pytest.mark.parametrize("slow", [SLOW, r"(.*a){12}b", r"(?:(?:a|aa)+)+c", r"(a*)*\1b"])
def test_a_slow_expression_costs_its_metric_only_and_nobody_waits_for_it(slow):
    began = time.monotonic()
    values, notes = found([("slow", slow), ("loss", r"loss=(\S+)")], ["loss=0.5", "a" * 5000 + "!", "loss=0.25"])
    assert values == [("loss", 0.25)]
    assert notes == ["Metrics: slow was given up, its Regex takes more than 0.1 s for a line of the log."]
    # Trying every way would take years.
    assert time.monotonic() - began < 120


def test_other_threads_go_on_while_an_expression_is_slow():
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(found, [(f"slow{n}", f"{SLOW}|{n}") for n in range(40)], ["a" * 5000 + "!"])
        ticks = 0
        while not slow.done():
            time.sleep(0.01)
            ticks += 1
    assert len(slow.result()[1]) == 40
    # A match in this process would block it, because it holds the interpreter's lock.
    assert ticks > 50


def test_an_expression_that_is_slow_a_little_each_time_is_given_up(monkeypatch):
    # 16384 characters, each compared with the next thousand: some hundredths of a second.
    values, notes = found(
        [("sum", r"(?:a(?=.{0,300}b))*c(\d)"), ("loss", r"loss=(\S+)")], ["a" * 3000] * 20_000 + ["loss=1"]
    )
    assert values == [("loss", 1.0)]
    assert len(notes) == 1


def test_a_matcher_that_dies_costs_the_metrics_and_not_the_log(monkeypatch, tmp_path):
    broken = tmp_path / "matcher.py"
    broken.write_text("import sys; sys.stdin.readline(); sys.exit(1)")
    monkeypatch.setattr(metrics_module, "_MATCHER", broken)
    values, notes = found([("loss", r"loss=(\S+)")], ["loss=0.5" + " " * 1000] * 5000)
    assert values == []
    assert len(notes) == 1


def test_the_matcher_has_nothing_of_the_servers_environment(monkeypatch, tmp_path):
    told = tmp_path / "environment"
    spy = tmp_path / "matcher.py"
    spy.write_text(f"import os, sys; open({str(told)!r}, 'w').write(repr(dict(os.environ))); sys.stdin.read()")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret of the server's")
    monkeypatch.setattr(metrics_module, "_MATCHER", spy)
    found([("loss", "x")], ["x"])
    assert "a secret of the server's" not in told.read_text()


def test_a_matcher_whose_server_is_killed_ends(tmp_path):
    matcher = subprocess.Popen([sys.executable, "-I", "-S", metrics_module._MATCHER], stdin=subprocess.PIPE)
    matcher.stdin.write(f'[["slow", "{SLOW}"]]\n{"a" * 5000}!\n'.encode())
    matcher.stdin.close()
    assert matcher.wait(120) == 0


def request(name, definitions):
    data = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/metrics/train"}}
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": definitions,
        },
        "HyperParameters": HYPERPARAMETERS | {"num_round": "5"},
        "InputDataConfig": [{"ChannelName": "train", "DataSource": data, "ContentType": "text/csv"}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 300},
    }


def test_a_job_completes_whatever_its_definitions_and_the_server_answers_meanwhile(local_aws, eventually):
    s3, sagemaker = local_aws.client("s3"), local_aws.client("sagemaker")
    if BUCKET not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=BUCKET, Key="metrics/train/data.csv", Body=csv(rows(count=60)).encode())
    # Each line of the log ends with a digit, which makes the second of these try every way to divide it.
    definitions = [
        {"Name": "rounds", "Regex": r"^\[([0-9]+)\]"},
        {"Name": "slow", "Regex": r"((.+)+)+#never"},
        {"Name": "wrong", "Regex": "("},
    ]
    sagemaker.create_training_job(**request("metrics", definitions))
    slowest = 0.0

    def look():
        nonlocal slowest
        began = time.monotonic()
        job = sagemaker.describe_training_job(TrainingJobName="metrics")
        slowest = max(slowest, time.monotonic() - began)
        return job

    job = eventually(look, lambda job: job["TrainingJobStatus"] not in ("InProgress", "Stopping"), 120)
    assert job["TrainingJobStatus"] == "Completed", job
    values = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert values["rounds"] == 4
    assert not {"slow", "wrong"} & set(values)
    events = local_aws.client("logs").filter_log_events(logGroupName="/aws/sagemaker/TrainingJobs")["events"]
    notes = [event["message"] for event in events if event["message"].startswith("Metrics: ")]
    assert {note.split()[1] for note in notes} >= {"slow", "wrong"}
    assert slowest < 5


@pytest.mark.parametrize(
    ("definitions", "what"),
    [
        ([{"Name": f"m{n}", "Regex": "x"} for n in range(41)], "40"),
        ([{"Name": "m", "Regex": "x" * 501}], "500"),
        ([{"Name": "m" * 256, "Regex": "x"}], "255"),
    ],
)
def test_definitions_beyond_aws_limits_are_refused(local_aws, definitions, what):
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AlgorithmSpecification.html
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_MetricDefinition.html
    with pytest.raises(ClientError) as refused:
        local_aws.client("sagemaker").create_training_job(**request("limits", definitions))
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert f"less than or equal to {what}" in refused.value.response["Error"]["Message"]
