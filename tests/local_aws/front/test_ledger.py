"""The call ledger: every call a whole line, written before its answer, and read while it is written."""

import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest
from botocore.exceptions import ClientError

from tests.local_aws.server import OPERATOR_ARN
from tests.local_aws.signing import signed

pytestmark = pytest.mark.local_aws


def test_line_says_who_did_what_to_what_and_how_it_ended(local_aws):
    answer = local_aws.client("sagemaker").create_model_package_group(ModelPackageGroupName="written")
    (call,) = local_aws.ledger(operation="CreateModelPackageGroup", resource="written")
    assert list(call) == [
        "time",
        "service",
        "operation",
        "resource",
        "outcome",
        "status",
        "caller",
        "region",
        "request_id",
        "milliseconds",
        "iam",
    ]
    assert call["milliseconds"] > 0
    assert call["service"] == "sagemaker"
    assert (call["outcome"], call["status"]) == ("ok", 200)
    assert call["caller"] == OPERATOR_ARN
    assert call["region"] == "us-west-2"
    assert call["request_id"] == answer["ResponseMetadata"]["RequestId"]
    assert call["time"].endswith("+00:00")


def test_s3_operations_are_named(local_aws):
    s3 = local_aws.client("s3")
    s3.create_bucket(Bucket="ledger", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.put_bucket_versioning(Bucket="ledger", VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket="ledger", Key="a folder/a file", Body=b"1" * 300_000)["VersionId"]
    s3.get_object(Bucket="ledger", Key="a folder/a file", VersionId=version)["Body"].read()
    s3.head_object(Bucket="ledger", Key="a folder/a file")
    s3.copy_object(Bucket="ledger", Key="copy", CopySource="ledger/a folder/a file")
    s3.list_object_versions(Bucket="ledger")
    s3.list_objects_v2(Bucket="ledger")
    with pytest.raises(ClientError):
        s3.head_object(Bucket="ledger", Key="none")
    with pytest.raises(ClientError):
        s3.get_object(Bucket="ledger", Key="none")
    s3.delete_objects(Bucket="ledger", Delete={"Objects": [{"Key": "copy"}]})
    s3.delete_object(Bucket="ledger", Key="a folder/a file", VersionId=version)
    calls = [call for call in local_aws.ledger(service="s3") if call["resource"].split("/")[0] == "ledger"]
    assert [(call["operation"], call["resource"], call["outcome"]) for call in calls] == [
        ("CreateBucket", "ledger", "ok"),
        ("PutBucketVersioning", "ledger", "ok"),
        ("PutObject", "ledger/a folder/a file", "ok"),
        ("GetObject", "ledger/a folder/a file", "ok"),
        ("HeadObject", "ledger/a folder/a file", "ok"),
        ("CopyObject", "ledger/copy", "ok"),
        ("ListObjectVersions", "ledger", "ok"),
        ("ListObjectsV2", "ledger", "ok"),
        ("HeadObject", "ledger/none", "404"),
        ("GetObject", "ledger/none", "NoSuchKey"),
        ("DeleteObjects", "ledger", "ok"),
        ("DeleteObject", "ledger/a folder/a file", "ok"),
    ]


def test_bucket_in_the_host_is_named_as_one_in_the_path(local_aws):
    s3 = local_aws.client("s3")
    s3.create_bucket(Bucket="hosted", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    name = f"hosted.localhost:{local_aws.port}"
    headers = signed("PUT", f"http://{name}/a/key", "s3", b"1", {"Host": name})
    connection = HTTPConnection("127.0.0.1", local_aws.port, timeout=30)
    connection.request("PUT", "/a/key", b"1", headers)
    assert connection.getresponse().status == 200
    (call,) = local_aws.ledger(operation="PutObject", resource="hosted/a/key")
    assert call["caller"] == OPERATOR_ARN


def test_other_protocols_are_named(local_aws):
    local_aws.client("sts").get_caller_identity()
    local_aws.client("logs").create_log_group(logGroupName="/ledger/group")
    local_aws.client("cloudwatch").put_metric_data(Namespace="Ledger", MetricData=[{"MetricName": "one", "Value": 1.0}])
    local_aws.client("sns").create_topic(Name="ledger-topic")
    with pytest.raises(ClientError):
        local_aws.client("cloudformation").describe_stacks(StackName="no-such-stack")
    with pytest.raises(ClientError):
        local_aws.client("iam").get_role(RoleName="no-such-role")
    assert local_aws.ledger(service="sts", operation="GetCallerIdentity", outcome="ok")
    assert local_aws.ledger(service="logs", operation="CreateLogGroup", resource="/ledger/group")
    assert local_aws.ledger(service="monitoring", operation="PutMetricData", outcome="ok")
    assert local_aws.ledger(service="sns", operation="CreateTopic", resource="ledger-topic")
    assert local_aws.ledger(service="cloudformation", resource="no-such-stack", outcome="ValidationError")
    assert local_aws.ledger(service="iam", resource="no-such-role", outcome="NoSuchEntity")


def test_a_call_is_written_before_its_answer_is_there(local_aws):
    sagemaker = local_aws.client("sagemaker")
    for number in range(30):
        request_id = sagemaker.list_training_jobs()["ResponseMetadata"]["RequestId"]
        assert local_aws.ledger(request_id=request_id), f"call {number} was answered before it was written"


def test_cloudformation_is_the_caller_of_what_it_does(local_aws):
    resource = {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"ModelPackageGroupName": "by-a-stack"}}
    local_aws.deploy("ledger", {"Resources": {"Group": resource}})
    (call,) = local_aws.ledger(operation="CreateModelPackageGroup", resource="by-a-stack")
    assert call["caller"] == "cloudformation.amazonaws.com"
    assert local_aws.ledger(operation="CreateStack", resource="ledger")[0]["caller"] == OPERATOR_ARN


def test_lines_stay_whole_under_parallel_calls(local_aws):
    def call(number):
        local_aws.client("sagemaker").list_models(NameContains=f"n{number}")

    before = len(local_aws.ledger(operation="ListModels"))
    with ThreadPoolExecutor(8) as threads:
        done = [threads.submit(call, number) for number in range(80)]
        while not all(one.done() for one in done):
            # Reads every complete line as JSON.
            local_aws.ledger()
            time.sleep(0.05)
    assert len(local_aws.ledger(operation="ListModels")) == before + 80


def test_the_file_only_grows(local_aws):
    path = local_aws.state_dir / "ledger.jsonl"
    before, identity = path.read_bytes(), path.stat().st_ino
    local_aws.client("sagemaker").list_models()
    assert path.stat().st_ino == identity
    assert path.read_bytes().startswith(before)


def test_secrets_are_not_written(local_aws):
    iam = local_aws.client("iam")
    iam.create_user(UserName="ledger")
    made = iam.create_access_key(UserName="ledger")["AccessKey"]["SecretAccessKey"]
    local_aws.client("sqs").create_queue(QueueName="very-secret", Attributes={"Policy": "very-secret-value"})
    written = (local_aws.state_dir / "ledger.jsonl").read_text()
    assert not [secret for secret in (made, "very-secret-value") if secret in written]
