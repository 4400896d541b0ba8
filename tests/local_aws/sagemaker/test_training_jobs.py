"""CreateTrainingJob, DescribeTrainingJob, ListTrainingJobs and StopTrainingJob with real training."""

import io
import itertools
import tarfile
from datetime import UTC, datetime, timedelta

import pytest

from tests.local_aws.sagemaker_cases import (
    BUCKET,
    ROLE,
    channel,
    refused,
    training_request,
    unique,
    upload,
    wait,
    wait_for_job,
)

pytestmark = pytest.mark.local_aws
PREFIX = "training-jobs"


@pytest.fixture(scope="module")
def sagemaker(local_aws):
    upload(local_aws, PREFIX)
    return local_aws.client("sagemaker")


@pytest.fixture(scope="module")
def finished(local_aws, sagemaker):
    """A job that trained for real: its ARN and its description."""
    name = unique("finished")
    arn = sagemaker.create_training_job(**training_request(name, PREFIX, Tags=[{"Key": "team", "Value": "iris"}]))
    return arn["TrainingJobArn"], wait_for_job(local_aws, name)


def test_job_completes_with_artifact_metrics_and_times(local_aws, finished):
    arn, job = finished
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed", job.get("FailureReason")
    assert job["TrainingJobArn"] == arn
    metrics = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert metrics["validation:merror"] <= 0.1
    assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"] >= 1
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"] <= job["LastModifiedTime"]
    url = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert url == f"s3://{BUCKET}/{PREFIX}/{job['TrainingJobName']}/output/model.tar.gz"
    body = local_aws.client("s3").get_object(Bucket=BUCKET, Key=url.removeprefix(f"s3://{BUCKET}/"))["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert "xgboost-model" in archive.getnames()


def test_a_metric_that_is_no_number_is_a_text_as_in_the_json_of_aws(local_aws, sagemaker):
    """https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html: NaN is a text in JSON; auc needs two classes."""
    name, prefix, s3 = unique("one-class"), "one-class", local_aws.client("s3")
    for channel_name, rows in (("train", "0,1\n1,2\n0,1\n1,2\n"), ("validation", "1,2\n1,1\n")):
        s3.put_object(Bucket=BUCKET, Key=f"{prefix}/input/{channel_name}/data.csv", Body=rows.encode())
    parameters = {"objective": "binary:logistic", "num_round": "2", "eval_metric": "auc"}
    sagemaker.create_training_job(**training_request(name, prefix, HyperParameters=parameters))
    job = wait_for_job(local_aws, name)
    metrics = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert (job["TrainingJobStatus"], metrics["validation:auc"]) == ("Completed", "NaN")


def test_metrics_are_in_cloudwatch_where_the_sdk_looks(local_aws, finished):
    """https://docs.aws.amazon.com/sagemaker/latest/dg/training-metrics.html, and the SDK's TrainingJobAnalytics."""
    job = finished[1]
    names = [one["Name"] for one in job["AlgorithmSpecification"]["MetricDefinitions"]]
    assert "train:merror" in names
    answer = local_aws.client("cloudwatch").get_metric_statistics(
        Namespace="/aws/sagemaker/TrainingJobs",
        MetricName="train:merror",
        Dimensions=[{"Name": "TrainingJobName", "Value": job["TrainingJobName"]}],
        StartTime=job["CreationTime"] - timedelta(minutes=1),
        EndTime=job["LastModifiedTime"] + timedelta(minutes=1),
        Period=60,
        Statistics=["SampleCount", "Maximum"],
    )
    assert sum(point["SampleCount"] for point in answer["Datapoints"]) == 5
    (last,) = [one["Value"] for one in job["FinalMetricDataList"] if one["MetricName"] == "train:merror"]
    assert max(point["Maximum"] for point in answer["Datapoints"]) >= last


def test_what_the_sdk_sends_unasked_is_kept(local_aws, sagemaker):
    """SDK 2.x sends a hook without rules, and "" for no key; both are in the API's model."""
    name = unique("unasked")
    hook = {"S3OutputPath": f"s3://{BUCKET}/{PREFIX}", "CollectionConfigurations": []}
    output = {"S3OutputPath": f"s3://{BUCKET}/{PREFIX}", "KmsKeyId": ""}
    profiler = {"DisableProfiler": True}
    more = {"DebugHookConfig": hook, "OutputDataConfig": output, "ProfilerConfig": profiler}
    sagemaker.create_training_job(**training_request(name, PREFIX, **more))
    job = wait_for_job(local_aws, name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert {member: job[member] for member in more} == more


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"DebugHookConfig": {"S3OutputPath": "s3://b/p", "CollectionConfigurations": [{"CollectionName": "all"}]}},
            "The local AWS saves no tensors: it offers no CollectionConfigurations of DebugHookConfig.",
        ),
        (
            {"DebugRuleConfigurations": [{"RuleConfigurationName": "r", "RuleEvaluatorImage": "i"}]},
            "The local AWS offers no DebugRuleConfigurations.",
        ),
        (
            {"InputDataConfig": [{**channel("train", PREFIX), "CompressionType": "Gzip"}]},
            "Channel train: CompressionType Gzip is for Pipe mode",
        ),
        (
            {"InputDataConfig": [{**channel("train", PREFIX), "InputMode": "Pipe"}]},
            "Channel train: InputMode: the local AWS offers File and FastFile",
        ),
    ],
)
def test_what_would_do_nothing_here_is_refused(sagemaker, changes, reason):
    request = training_request(unique("refused"), PREFIX, **changes)
    refused(lambda: sagemaker.create_training_job(**request), "ValidationException", reason)


def test_rows_are_ranked_by_their_query(local_aws, sagemaker):
    """https://xgboost.readthedocs.io/en/stable/tutorials/learning_to_rank.html"""
    name, prefix, s3 = unique("ranked"), "ranked", local_aws.client("s3")
    rows = "".join(f"{row % 3} qid:{row // 3} 0:{row % 3} 1:{row % 2}\n" for row in range(30))
    s3.put_object(Bucket=BUCKET, Key=f"{prefix}/input/train/data.svm", Body=rows.encode())
    train = channel("train", prefix) | {"ContentType": "text/libsvm"}
    parameters = {"objective": "rank:ndcg", "num_round": "3", "eval_metric": "ndcg"}
    sagemaker.create_training_job(**training_request(name, prefix, HyperParameters=parameters, InputDataConfig=[train]))
    job = wait_for_job(local_aws, name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    metrics = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert metrics["train:ndcg"] == pytest.approx(1)


def test_the_containers_own_metrics_are_computed_beside_those_of_xgboost(local_aws, sagemaker):
    name = unique("own-metrics")
    parameters = {"objective": "multi:softmax", "num_class": "3", "num_round": "9", "early_stopping_rounds": "2"}
    parameters["eval_metric"] = "accuracy,merror,mse,f1"
    sagemaker.create_training_job(**training_request(name, PREFIX, HyperParameters=parameters))
    job = wait_for_job(local_aws, name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    metrics = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert {f"validation:{metric}" for metric in ("accuracy", "merror", "mse", "f1")} <= set(metrics)
    assert metrics["validation:accuracy"] == pytest.approx(1 - metrics["validation:merror"], abs=1e-4)


def test_a_channels_key_may_have_a_space(local_aws, sagemaker):
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html: the pattern of S3Uri."""
    name, train = unique("space"), channel("new data", PREFIX) | {"ChannelName": "train"}
    key = f"{PREFIX}/input/new data/a.csv"
    local_aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"0,1,2\n1,2,3\n2,3,4\n")
    sagemaker.create_training_job(**training_request(name, PREFIX, InputDataConfig=[train]))
    job = wait_for_job(local_aws, name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")


def test_transitions_follow_each_other(finished):
    transitions = finished[1]["SecondaryStatusTransitions"]
    names = [transition["Status"] for transition in transitions]
    assert names == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    for before, after in itertools.pairwise(transitions):
        assert before["StartTime"] <= before["EndTime"] == after["StartTime"]
    assert transitions[-1]["EndTime"] == finished[1]["TrainingEndTime"]
    assert all(transition["StatusMessage"] for transition in transitions)


def test_description_repeats_the_request(finished):
    job = finished[1]
    request = training_request(job["TrainingJobName"], PREFIX)
    algorithm = request.pop("AlgorithmSpecification")
    assert {member: job[member] for member in request} == request
    assert algorithm.items() <= job["AlgorithmSpecification"].items()
    assert job["EnableManagedSpotTraining"] is False
    assert "Tags" not in job


def test_tags_are_listed_by_arn(sagemaker, finished):
    assert sagemaker.list_tags(ResourceArn=finished[0])["Tags"] == [{"Key": "team", "Value": "iris"}]


def test_bad_hyperparameter_fails_with_a_reason(local_aws, sagemaker):
    name = unique("bad")
    request = training_request(name, PREFIX)
    request["HyperParameters"]["max_depth"] = "deep"
    sagemaker.create_training_job(**request)
    job = wait_for_job(local_aws, name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert "max_depth" in job["FailureReason"]
    assert job["SecondaryStatusTransitions"][-1]["Status"] == "Failed"
    assert job["FinalMetricDataList"] == []


def test_stopped_job(local_aws, sagemaker):
    name = unique("stopped")
    request = training_request(name, PREFIX)
    request["HyperParameters"] |= {"num_round": "1000000", "max_depth": "6"}
    sagemaker.create_training_job(**request)
    sagemaker.stop_training_job(TrainingJobName=name)
    assert sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] in ("Stopping", "Stopped")
    job = wait_for_job(local_aws, name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    refused(
        lambda: sagemaker.stop_training_job(TrainingJobName=name),
        "ValidationException",
        "The request was rejected because the training job is in status Stopped",
    )


def test_stop_while_training(local_aws, sagemaker):
    name = unique("stopped-late")
    request = training_request(name, PREFIX)
    request["HyperParameters"] |= {"num_round": "1000000", "max_depth": "6"}
    sagemaker.create_training_job(**request)
    describe = lambda: sagemaker.describe_training_job(TrainingJobName=name)  # noqa: E731
    wait(lambda: describe()["SecondaryStatus"], "Starting", "Downloading")
    sagemaker.stop_training_job(TrainingJobName=name)
    job = wait_for_job(local_aws, name)
    assert job["TrainingJobStatus"] == "Stopped"
    names = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert names.index("Training") < names.index("Stopping") < names.index("Stopped")


def test_job_over_its_runtime_is_stopped(local_aws, sagemaker):
    name = unique("long")
    request = training_request(name, PREFIX, StoppingCondition={"MaxRuntimeInSeconds": 1})
    request["HyperParameters"] |= {"num_round": "1000000", "max_depth": "6"}
    sagemaker.create_training_job(**request)
    job = wait_for_job(local_aws, name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_name_is_taken(sagemaker, finished):
    arn, job = finished
    refused(
        lambda: sagemaker.create_training_job(**training_request(job["TrainingJobName"], PREFIX)),
        "ResourceInUse",
        "Training job names must be unique within an AWS account and region, and a training job with this name already"
        f" exists ({arn})",
    )


def test_missing_job(sagemaker):
    for call in (sagemaker.describe_training_job, sagemaker.stop_training_job):
        refused(
            lambda call=call: call(TrainingJobName="nobody"), "ValidationException", "Requested resource not found."
        )


def test_missing_input_data(sagemaker):
    request = training_request(unique("empty"), PREFIX, InputDataConfig=[channel("train", "no-such-prefix")])
    refused(
        lambda: sagemaker.create_training_job(**request),
        "ValidationException",
        f'No S3 objects found under S3 URL "s3://{BUCKET}/no-such-prefix/input/train" given in input data source.'
        " Please ensure that the bucket exists in the selected region (us-west-2), that objects exist under that S3"
        f' prefix, and that the role "{ROLE}" has "s3:ListBucket" permissions on bucket "{BUCKET}".',
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"TrainingJobName": "no_underscores"},
            "at 'trainingJobName' failed to satisfy constraint: Member must satisfy",
        ),
        ({"TrainingJobName": "n" * 64}, "Member must have length less than or equal to 63"),
        ({"RoleArn": "arn:aws:iam::12:role/too-short-id"}, "at 'roleArn' failed to satisfy constraint"),
        (
            {"ResourceConfig": {"InstanceType": "ml.huge", "InstanceCount": 1, "VolumeSizeInGB": 30}},
            "at 'resourceConfig.instanceType' failed to satisfy constraint: Member must satisfy enum value set",
        ),
        ({"AlgorithmSpecification": {"TrainingInputMode": "File"}}, "You must provide a TrainingImage"),
        ({"ResourceConfig": {"InstanceType": "ml.m4.xlarge"}}, "InstanceCount must be specified"),
        ({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}, "Duplicate tag keys"),
    ],
)
def test_refused_request(sagemaker, changes, text):
    request = training_request(unique("refused"), PREFIX, **changes)
    refused(lambda: sagemaker.create_training_job(**request), "ValidationException", text)
    refused(
        lambda: sagemaker.describe_training_job(TrainingJobName=request["TrainingJobName"][:63].replace("_", "-")),
        "ValidationException",
        "Requested resource not found.",
    )


def test_an_image_that_is_not_in_its_repository_is_refused(local_aws, sagemaker):
    """https://github.com/aws/amazon-sagemaker-examples/issues/2450 and 2534 have the texts."""
    repository, digest = unique("images"), f"sha256:{'a' * 64}"
    registry = "123456789012.dkr.ecr.us-west-2.amazonaws.com"
    tagged, exact = f"{registry}/{repository}:1", f"{registry}/{repository}@{digest}"
    pulls = f"and role {ROLE} has proper pull permissions for SageMaker: ecr:BatchCheckLayerAvailability, "
    cases = [(tagged, f"Cannot find repository: {repository} in registry ID: 123456789012 Please check")]
    cases += [
        (tagged, f"Cannot find the requested image: {tagged} with tag: 1 and digest: null. Please check"),
        (exact, f"Cannot find the requested image: {exact} with tag: null and digest: {digest}. Please check"),
    ]
    for number, (image, text) in enumerate(cases):
        if number == 1:
            local_aws.client("ecr").create_repository(repositoryName=repository)
        specification = {"TrainingImage": image, "TrainingInputMode": "File"}
        request = training_request(unique("no-image"), PREFIX, AlgorithmSpecification=specification)
        for part in (text, pulls):
            refused(lambda request=request: sagemaker.create_training_job(**request), "ValidationException", part)


def test_list_filters_sorts_and_pages(local_aws, sagemaker):
    group = unique("listed")
    names = [f"{group}-{letter}" for letter in "abc"]
    for name in names:
        request = training_request(
            name, PREFIX, AlgorithmSpecification={"TrainingImage": "1.dkr/unknown:1", "TrainingInputMode": "File"}
        )
        sagemaker.create_training_job(**request)
        assert wait_for_job(local_aws, name)["TrainingJobStatus"] == "Failed"

    def listed(**parameters):
        pages = sagemaker.get_paginator("list_training_jobs").paginate(NameContains=group, **parameters)
        return [job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"]]

    assert listed() == names
    assert listed(SortBy="Name", SortOrder="Ascending", MaxResults=1) == names
    assert listed(SortBy="Status", SortOrder="Descending", MaxResults=2) == names[::-1]
    assert listed(StatusEquals="Failed", SortOrder="Ascending") == names
    assert listed(StatusEquals="Completed") == []
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for member in ("CreationTime", "LastModifiedTime"):
        assert listed(**{f"{member}Before": tomorrow}) == names
        assert listed(**{f"{member}After": tomorrow}) == []
    first = sagemaker.list_training_jobs(NameContains=group, MaxResults=1)
    assert first["TrainingJobSummaries"][0].keys() >= {
        "TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime", "TrainingJobStatus",
        "SecondaryStatus",
    }  # fmt: skip
    refused(lambda: sagemaker.list_training_jobs(NextToken="forged"), "ValidationException", "token")
