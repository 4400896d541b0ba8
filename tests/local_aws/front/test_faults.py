"""Injected faults as boto3 sees them, and as the call ledger shows them."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from tests.faults.injection import FaultInjection, InjectionRefused
from tests.local_aws.server import LocalAws

pytestmark = pytest.mark.local_aws


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    running = LocalAws(tmp_path_factory.mktemp("faulty") / "state", "--faults").start()
    running.client("s3").create_bucket(Bucket="faulty", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    yield running
    running.stop()


@pytest.fixture
def faults(aws):
    injection = FaultInjection(aws.endpoint_url)
    yield injection
    injection.clear()


def refused(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"].get("Message")


def request(aws, method, path, body=None, **headers):
    connection = HTTPConnection("127.0.0.1", aws.port, timeout=60)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


class TestErrors:
    """Each protocol has its own form of an error; boto3 reads the code, the text and the status from it."""

    @pytest.mark.parametrize(
        ("service", "operation", "arguments", "ledger_service"),
        [
            ("sagemaker", "list_models", {}, "sagemaker"),
            ("logs", "describe_log_groups", {}, "logs"),
            ("cloudformation", "list_stacks", {}, "cloudformation"),
            ("sns", "list_topics", {}, "sns"),
            ("sts", "get_caller_identity", {}, "sts"),
            ("iam", "list_roles", {}, "iam"),
            ("cloudwatch", "list_metrics", {}, "monitoring"),
            ("application-autoscaling", "describe_scalable_targets", {"ServiceNamespace": "sagemaker"}, None),
            ("s3", "list_objects_v2", {"Bucket": "faulty"}, "s3"),
            ("s3", "put_object", {"Bucket": "faulty", "Key": "big", "Body": b"1" * 1_000_000}, "s3"),
            ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "none", "Body": b"1"}, "sagemaker-runtime"),
        ],
    )
    def test_the_code_arrives(self, aws, faults, service, operation, arguments, ledger_service):
        client = aws.client(service)
        fault = faults.add(service=ledger_service or service, error="Throttling", message="Rate & <exceeded>", count=1)
        assert refused(getattr(client, operation), **arguments) == ("Throttling", 400, "Rate & <exceeded>")
        (call,) = [call for call in aws.ledger(outcome="Throttling") if call["fault"] == fault]
        assert (call["status"], call["operation"]) == (400, client.meta.method_to_api_mapping[operation])

    def test_an_answer_to_head_has_a_status_only(self, aws, faults):
        faults.add(service="s3", operation="HeadBucket", error="SlowDown")
        assert refused(aws.client("s3").head_bucket, Bucket="faulty")[:2] == ("503", 503)
        assert aws.ledger(operation="HeadBucket", outcome="SlowDown")

    def test_the_call_is_not_performed(self, aws, faults):
        group = {"ModelPackageGroupName": "refused"}
        sagemaker = aws.client("sagemaker")
        faults.add(service="sagemaker", operation="CreateModelPackageGroup", resource="ref*", error="InternalFailure")
        assert refused(sagemaker.create_model_package_group, **group)[:2] == ("InternalFailure", 500)
        assert sagemaker.list_model_package_groups(NameContains="refused")["ModelPackageGroupSummaryList"] == []

    def test_boto3_retries_what_aws_wants_retried(self, aws, faults):
        faults.add(service="sagemaker", operation="ListModels", error="ThrottlingException", count=2)
        retrying = aws.client("sagemaker", config=Config(retries={"mode": "standard", "total_max_attempts": 3}))
        assert retrying.list_models()["ResponseMetadata"]["RetryAttempts"] == 2

    def test_the_ledger_of_other_calls_names_no_fault(self, aws, faults):
        faults.add(service="s3", error="SlowDown")
        aws.client("sagemaker").list_endpoints()
        assert all("fault" not in call for call in aws.ledger(operation="ListEndpoints"))


class TestDroppedConnections:
    def test_before_the_effect(self, aws, faults):
        sagemaker = aws.client("sagemaker")
        fault = faults.add(service="sagemaker", operation="CreateModelPackageGroup", drop="before", count=1)
        with pytest.raises(ConnectionClosedError):
            sagemaker.create_model_package_group(ModelPackageGroupName="before")
        assert sagemaker.list_model_package_groups(NameContains="before")["ModelPackageGroupSummaryList"] == []
        (call,) = aws.ledger(operation="CreateModelPackageGroup", resource="before")
        assert (call["outcome"], call["status"], call["fault"]) == ("dropped", 0, fault)

    def test_after_the_effect(self, aws, faults):
        sagemaker = aws.client("sagemaker")
        fault = faults.add(service="sagemaker", operation="CreateModelPackageGroup", drop="after", count=1)
        with pytest.raises(ConnectionClosedError):
            sagemaker.create_model_package_group(ModelPackageGroupName="after")
        assert len(sagemaker.list_model_package_groups(NameContains="after")["ModelPackageGroupSummaryList"]) == 1
        (call,) = aws.ledger(operation="CreateModelPackageGroup", resource="after")
        assert (call["outcome"], call["status"], call["fault"]) == ("ok", 200, fault)

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_of_a_big_upload(self, aws, faults, when):
        s3 = aws.client("s3")
        faults.add(service="s3", operation="PutObject", resource=f"faulty/{when}", drop=when)
        with pytest.raises(ConnectionClosedError):
            s3.put_object(Bucket="faulty", Key=when, Body=b"1" * 3_000_000)
        found = [item["Size"] for item in s3.list_objects_v2(Bucket="faulty", Prefix=when).get("Contents", [])]
        assert found == ([3_000_000] if when == "after" else [])

    def test_an_effect_that_was_an_error_is_told_as_one(self, aws, faults):
        faults.add(service="s3", operation="GetObject", drop="after")
        with pytest.raises(ConnectionClosedError):
            aws.client("s3").get_object(Bucket="faulty", Key="never-there")
        (call,) = aws.ledger(operation="GetObject", resource="faulty/never-there")
        assert (call["outcome"], call["status"]) == ("NoSuchKey", 404)

    def test_an_invocation(self, aws, faults):
        faults.add(service="sagemaker-runtime", drop="after")
        with pytest.raises(ConnectionClosedError):
            aws.client("sagemaker-runtime").invoke_endpoint(EndpointName="dropped", Body=b"1")
        (call,) = aws.ledger(operation="InvokeEndpoint", resource="dropped")
        assert (call["outcome"], "fault" in call) == ("ValidationError", True)


class TestLatency:
    def test_a_slow_call_is_performed(self, aws, faults):
        sagemaker = aws.client("sagemaker")
        fault = faults.add(service="sagemaker", operation="ListModelPackageGroups", latency_seconds=1.5, count=1)
        started = time.monotonic()
        sagemaker.list_model_package_groups()
        assert time.monotonic() - started >= 1.5
        assert [call["outcome"] for call in aws.ledger(operation="ListModelPackageGroups") if "fault" in call] == ["ok"]
        assert [one["hits"] for one in faults.list() if one["id"] == fault] == [1]

    def test_the_others_are_not_held_up(self, aws, faults):
        faults.add(service="sagemaker", operation="ListModels", latency_seconds=300)
        impatient = aws.client("sagemaker", config=Config(read_timeout=1, retries={"total_max_attempts": 1}))
        with pytest.raises(ReadTimeoutError):
            impatient.list_models()
        aws.client("sagemaker").list_endpoints()


class TestBlackout:
    def test_nothing_is_served_and_nothing_recorded_as_performed(self, aws, faults):
        before = len(aws.ledger())
        fault = faults.blackout(600)
        for service, operation in (
            ("sagemaker", "list_models"),
            ("sts", "get_caller_identity"),
            ("s3", "list_buckets"),
        ):
            with pytest.raises(ConnectionClosedError):
                getattr(aws.client(service), operation)()
        assert not aws.healthy()
        calls = aws.ledger()[before:]
        assert [(call["outcome"], call["fault"]) for call in calls] == [("dropped", fault)] * 3
        faults.remove(fault)
        assert aws.healthy()
        aws.client("sagemaker").list_models()

    def test_it_ends_by_itself(self, aws, faults, eventually):
        faults.blackout(1)
        eventually(aws.healthy, bool)
        assert [one["active"] for one in faults.list()] == [False]

    def test_an_answer_that_was_under_way_is_lost_and_its_effect_told(self, aws, faults, eventually):
        sqs = aws.client("sqs")
        queue = sqs.create_queue(QueueName="under-way")["QueueUrl"]
        # Reports when the call has begun; then it waits for a message.
        faults.add(service="sqs", operation="ReceiveMessage", drop="after")
        with ThreadPoolExecutor(1) as threads:
            asked = threads.submit(sqs.receive_message, QueueUrl=queue, WaitTimeSeconds=3)
            eventually(lambda: faults.list()[0]["hits"], bool)
            fault = faults.blackout(600)
            with pytest.raises(ConnectionClosedError):
                asked.result()
        (call,) = aws.ledger(operation="ReceiveMessage")
        assert (call["outcome"], call["fault"]) == ("ok", fault)

    def test_what_aws_does_within_itself_goes_on(self, aws, faults):
        client = aws.client("s3")
        client.put_object(Bucket="faulty", Key="inside", Body=b"1")
        faults.add(service="s3", error="SlowDown")
        inside = aws.client("s3", config=Config(user_agent_extra="sagemaker.amazonaws.com"))
        assert inside.get_object(Bucket="faulty", Key="inside")["Body"].read() == b"1"
        assert refused(client.get_object, Bucket="faulty", Key="inside")[0] == "SlowDown"


class TestControl:
    def test_faults_are_listed_with_what_they_met(self, aws, faults):
        fault = faults.add(service="sagemaker", operation="ListModels", error="ThrottlingException", count=3)
        refused(aws.client("sagemaker").list_models)
        assert faults.list() == [
            {
                "id": fault,
                "service": "sagemaker",
                "operation": "ListModels",
                "error": "ThrottlingException",
                "count": 3,
                "probability": 1.0,
                "latency_seconds": 0.0,
                "hits": 1,
                "active": True,
            }
        ]

    def test_a_fault_that_means_nothing_is_refused(self, faults):
        with pytest.raises(InjectionRefused, match="sagemakr is not a service"):
            faults.add(service="sagemakr", error="Throttling")
        assert faults.list() == []

    def test_an_unknown_id_is_said_to_be_unknown(self, faults):
        with pytest.raises(InjectionRefused, match="no fault 0123abcd"):
            faults.remove("0123abcd")

    @pytest.mark.parametrize(
        ("method", "headers", "status"),
        [
            ("POST", {"Content-Type": "text/plain"}, 415),
            ("POST", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
            ("POST", {"Content-Type": "application/json", "Origin": "http://evil.example"}, 403),
            ("POST", {"Content-Type": "application/json", "Origin": "null"}, 403),
            ("DELETE", {"Origin": "http://evil.example"}, 403),
            ("OPTIONS", {"Origin": "http://evil.example", "Access-Control-Request-Method": "DELETE"}, 403),
            ("PUT", {"Content-Type": "application/json"}, 405),
        ],
    )
    def test_no_web_page_can_write(self, aws, faults, method, headers, status):
        fault = faults.add(service="s3", error="SlowDown")
        body = json.dumps({"error": "InternalError"})
        assert request(aws, method, "/_local_aws/faults", body, **headers)[0] == status
        assert [one["id"] for one in faults.list()] == [fault]

    @pytest.mark.parametrize("body", ["", "{", "\xff"])
    def test_what_is_not_json_is_refused(self, aws, body):
        status, text = request(
            aws, "POST", "/_local_aws/faults", body.encode("latin-1"), **{"Content-Type": "application/json"}
        )
        assert status == 400
        assert "not JSON" in text

    def test_without_the_flag_there_are_no_faults(self, local_aws):
        with pytest.raises(InjectionRefused, match="--faults"):
            FaultInjection(local_aws.endpoint_url).add(error="SlowDown")
        local_aws.client("sagemaker").list_models()
