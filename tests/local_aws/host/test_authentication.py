"""Only those who sign with a key of the local AWS may use it."""

import hashlib
import hmac
import json
import os
import re
import time
import urllib.request
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from urllib.error import HTTPError
from urllib.parse import urlsplit

import boto3
import pytest
from botocore import UNSIGNED, auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from local_aws.host.credentials import AccessKey, CredentialsError, from_environment, kept
from tests.aws_keys import CREDENTIALS
from tests.local_aws.server import AIRFLOW_ARN, OPERATOR_ARN, REGION
from tests.local_aws.signing import address, signed

pytestmark = pytest.mark.local_aws
STRANGER = AccessKey.new()
FORGER = AccessKey(CREDENTIALS.operator.access_key_id, "another secret")
# One service of each protocol, a call of it, and its answers to no key, an unknown key and a wrong signature.
# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
QUERY = ("MissingAuthenticationToken", "InvalidClientTokenId", "SignatureDoesNotMatch")
JSON = ("MissingAuthenticationTokenException", "UnrecognizedClientException", "InvalidSignatureException")
SERVICES = {
    "sts": ("get_caller_identity", {}, QUERY),
    "iam": ("list_users", {}, QUERY),
    "cloudformation": ("list_stacks", {}, QUERY),
    "sns": ("list_topics", {}, QUERY),
    "cloudwatch": ("list_dashboards", {}, QUERY),
    "sagemaker": ("list_models", {}, JSON),
    "sagemaker-runtime": ("invoke_endpoint", {"EndpointName": "e", "Body": b"1"}, JSON),
    "logs": ("describe_log_groups", {}, JSON),
    "kms": ("list_keys", {}, JSON),
    "application-autoscaling": ("describe_scalable_targets", {"ServiceNamespace": "sagemaker"}, JSON),
    "resourcegroupstaggingapi": ("get_resources", {}, JSON),
    "s3": ("list_buckets", {}, ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch")),
}


def client(aws, service, key, config=None):
    return boto3.client(
        service,
        endpoint_url=aws.endpoint_url,
        region_name=REGION,
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
        config=(config or Config()).merge(Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})),
    )


def code_of(call, **parameters):
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    return refused.value.response["Error"]["Code"]


def send(aws, method, path, headers, body=b""):
    connection = HTTPConnection("127.0.0.1", aws.port, timeout=30)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


@pytest.mark.parametrize("service", SERVICES)
def test_each_protocol_refuses_as_aws_does_and_nothing_is_written(local_aws, service):
    operation, parameters, codes = SERVICES[service]
    before = len(local_aws.asked())
    unsigned = client(local_aws, service, STRANGER, Config(signature_version=UNSIGNED))
    clients = unsigned, client(local_aws, service, STRANGER), client(local_aws, service, FORGER)
    found = [code_of(getattr(one, operation), **parameters) for one in clients]
    assert found == list(codes)
    assert len(local_aws.asked()) == before


def test_the_former_constant_key_is_of_no_use(local_aws):
    former = AccessKey("123456789012", "local")
    assert code_of(client(local_aws, "sts", former).get_caller_identity) == "SignatureDoesNotMatch"
    for name in ("test", ""):
        answer = send(
            local_aws, "GET", "/", signed("GET", f"{local_aws.endpoint_url}/", "s3", key=AccessKey(name, "test"))
        )
        assert answer[0] == 403


@pytest.mark.parametrize(("user", "arn"), [("operator", OPERATOR_ARN), ("airflow", AIRFLOW_ARN)])
def test_sts_the_ledger_and_sagemaker_tell_who_it_was(local_aws, user, arn):
    key = getattr(CREDENTIALS, user)
    identity = client(local_aws, "sts", key).get_caller_identity()
    assert (identity["Arn"], identity["Account"]) == (arn, "123456789012")
    sagemaker = client(local_aws, "sagemaker", key)
    group = f"who-{user}"
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    package = sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    described = sagemaker.describe_model_package(ModelPackageName=package)
    assert described["CreatedBy"]["IamIdentity"] == {"Arn": arn, "PrincipalId": identity["UserId"]}
    assert described["LastModifiedBy"]["IamIdentity"] == {"Arn": arn, "PrincipalId": identity["UserId"]}
    (call,) = local_aws.ledger(operation="CreateModelPackageGroup", resource=group)
    assert call["caller"] == arn


def test_who_changed_it_last_is_told_from_who_made_it(local_aws):
    operator, airflow = (client(local_aws, "sagemaker", key) for key in (CREDENTIALS.operator, CREDENTIALS.airflow))
    operator.create_model_package_group(ModelPackageGroupName="changed")
    package = operator.create_model_package(ModelPackageGroupName="changed")["ModelPackageArn"]
    airflow.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Rejected")
    described = operator.describe_model_package(ModelPackageName=package)
    assert described["CreatedBy"]["IamIdentity"]["Arn"] == OPERATOR_ARN
    assert described["LastModifiedBy"]["IamIdentity"]["Arn"] == AIRFLOW_ARN


def test_keys_that_iam_and_sts_give_out_are_good_until_they_are_taken_back(local_aws):
    iam = local_aws.client("iam")
    iam.create_user(UserName="keyed")
    made = iam.create_access_key(UserName="keyed")["AccessKey"]
    key = AccessKey(made["AccessKeyId"], made["SecretAccessKey"])
    assert client(local_aws, "sts", key).get_caller_identity()["Arn"].endswith(":user/keyed")
    iam.update_access_key(UserName="keyed", AccessKeyId=key.access_key_id, Status="Inactive")
    assert code_of(client(local_aws, "sts", key).get_caller_identity) == "InvalidClientTokenId"
    role = "arn:aws:iam::123456789012:role/slipway-airflow"
    airflow = client(local_aws, "sts", CREDENTIALS.airflow)
    session = airflow.assume_role(RoleArn=role, RoleSessionName="night")["Credentials"]
    keys = {
        "aws_access_key_id": session["AccessKeyId"],
        "aws_secret_access_key": session["SecretAccessKey"],
    }
    sagemaker = local_aws.client("sagemaker", **keys, aws_session_token=session["SessionToken"])
    sagemaker.list_models()
    (call,) = local_aws.ledger(
        operation="ListModels", caller="arn:aws:sts::123456789012:assumed-role/slipway-airflow/night"
    )
    assert call["outcome"] == "ok"
    for token in ({}, {"aws_session_token": "another"}):
        forger = local_aws.client("sagemaker", **keys, **token)
        assert code_of(forger.list_models) == "UnrecognizedClientException"


def test_a_signature_is_for_this_request_alone(local_aws):
    url = f"{local_aws.endpoint_url}/"
    body = json.dumps({"ModelPackageGroupName": "signed"}).encode()
    kind = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "SageMaker.CreateModelPackageGroup"}
    headers = signed("POST", url, "sagemaker", body, kind)
    other = {**headers, "X-Amz-Target": "SageMaker.DeleteModelPackageGroup"}
    added = {**headers, "X-Amz-Security-Token": "more"}
    later = {**headers, "X-Amz-Date": datetime.now(UTC).strftime("%Y%m%dT000001Z")}
    for status, answer in (
        send(local_aws, "POST", "/", headers, body.replace(b"signed", b"forged")),
        send(local_aws, "POST", "/?x=1", headers, body),
        send(local_aws, "POST", "/path", headers, body),
        send(local_aws, "PUT", "/", headers, body),
        send(local_aws, "POST", "/", other, body),
        send(local_aws, "POST", "/", added, body),
        send(local_aws, "POST", "/", later, body),
    ):
        assert (status, "InvalidSignatureException" in answer) == (400, True), answer
    assert send(local_aws, "POST", "/", headers, body)[0] == 200


def test_a_head_that_was_sent_before_is_checked_like_the_first(local_aws):
    iam = local_aws.client("iam")
    iam.create_user(UserName="repeats")
    made = iam.create_access_key(UserName="repeats")["AccessKey"]
    key = AccessKey(made["AccessKeyId"], made["SecretAccessKey"])
    path = "/endpoints/nowhere/invocations"
    headers = signed("POST", f"{local_aws.endpoint_url}{path}", "sagemaker", b"1,2", key=key)

    def sent(body=b"1,2", **more):
        status, answer = send(local_aws, "POST", path, headers | more, body)
        return status, answer

    for _ in range(2):
        status, answer = sent()
        assert (status, "is not authorized to perform: sagemaker:InvokeEndpoint" in answer) == (403, True), answer
    for refused in (sent(b"1,3"), sent(Origin="http://127.0.0.1"), sent(Host="elsewhere")):
        assert refused[0] in (400, 403)
        assert "is not authorized to perform" not in refused[1]
    iam.update_access_key(UserName="repeats", AccessKeyId=key.access_key_id, Status="Inactive")
    assert "security token included in the request is invalid" in sent()[1]
    iam.update_access_key(UserName="repeats", AccessKeyId=key.access_key_id, Status="Active")
    assert "is not authorized to perform" in sent()[1]
    iam.delete_access_key(UserName="repeats", AccessKeyId=key.access_key_id)
    assert "security token included in the request is invalid" in sent()[1]


def test_a_signed_address_that_was_sent_before_expires(local_aws, bucket):
    signed_for_a_while = urlsplit(address("GET", f"{local_aws.endpoint_url}/signed/a%20file", "s3", seconds=3))
    target = f"{signed_for_a_while.path}?{signed_for_a_while.query}"
    seen = [send(local_aws, "GET", target, {})]
    while seen[-1][0] == 200 and len(seen) < 60:
        time.sleep(0.5)
        seen.append(send(local_aws, "GET", target, {}))
    assert seen[0] == (200, "content")
    assert (seen[-1][0], "Request has expired" in seen[-1][1]) == (403, True)


def test_a_signature_is_for_one_service(local_aws):
    body = json.dumps({"ModelPackageGroupName": "of-another"}).encode()
    kind = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "SageMaker.CreateModelPackageGroup"}
    status, answer = send(
        local_aws, "POST", "/", signed("POST", f"{local_aws.endpoint_url}/", "logs", body, kind), body
    )
    assert (status, "Credential should be scoped to correct service" in answer) == (400, True)


@pytest.mark.parametrize(("minutes", "good"), [(-14, True), (14, True), (-16, False), (16, False)])
def test_clocks_may_differ_by_a_quarter_of_an_hour(local_aws, monkeypatch, minutes, good):
    when = datetime.now(UTC) + timedelta(minutes=minutes)
    monkeypatch.setattr(auth, "get_current_datetime", lambda remove_tzinfo=True: when, raising=False)
    url = f"{local_aws.endpoint_url}/"
    headers = signed("GET", url, "s3")
    assert headers["X-Amz-Date"] == when.strftime("%Y%m%dT%H%M%SZ")
    status, answer = send(local_aws, "GET", "/", headers)
    assert (status == 200, "RequestTimeTooSkewed" in answer) == (good, not good)


@pytest.fixture(scope="module")
def bucket(local_aws):
    s3 = local_aws.client("s3")
    s3.create_bucket(Bucket="signed", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="signed", Key="a file", Body=b"content")
    return s3


class TestObjects:
    def test_a_signed_address_opens_its_object_for_a_while_and_no_other(self, local_aws, bucket):
        s3 = client(local_aws, "s3", CREDENTIALS.operator, Config(signature_version="s3v4"))
        url = s3.generate_presigned_url("get_object", Params={"Bucket": "signed", "Key": "a file"}, ExpiresIn=60)
        assert urllib.request.urlopen(url).read() == b"content"  # noqa: S310
        assert local_aws.ledger(operation="GetObject", resource="signed/a file")[-1]["caller"] == OPERATOR_ARN
        for changed in (url.replace("a%20file", "other"), url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")):
            with pytest.raises(HTTPError) as refused:
                urllib.request.urlopen(changed)  # noqa: S310
            assert (refused.value.code, b"SignatureDoesNotMatch" in refused.value.read()) == (403, True)

    @pytest.mark.parametrize("seconds", [-1, 0, 604801])
    def test_a_signed_address_is_good_for_a_week_at_most(self, local_aws, seconds):
        url = urlsplit(address("GET", f"{local_aws.endpoint_url}/signed/a%20file", "s3", seconds=seconds))
        status, answer = send(local_aws, "GET", f"{url.path}?{url.query}", {})
        assert (status, "AuthorizationQueryParametersError" in answer) == (400, True)

    def test_a_signed_address_expires(self, local_aws, bucket, monkeypatch):
        then = datetime.now(UTC) - timedelta(minutes=2)
        monkeypatch.setattr(auth, "get_current_datetime", lambda remove_tzinfo=True: then, raising=False)
        url = urlsplit(address("GET", f"{local_aws.endpoint_url}/signed/a%20file", "s3"))
        status, answer = send(local_aws, "GET", f"{url.path}?{url.query}", {})
        assert (status, "Request has expired" in answer) == (403, True)

    def test_an_older_signature_is_refused(self, local_aws, bucket):
        for headers, query in (
            ({"Authorization": f"AWS {CREDENTIALS.operator.access_key_id}:c2lnbmF0dXJl"}, ""),
            ({}, f"?AWSAccessKeyId={CREDENTIALS.operator.access_key_id}&Signature=x&Expires=9999999999"),
        ):
            status, answer = send(local_aws, "GET", f"/signed/a%20file{query}", headers)
            assert (status, "AWS4-HMAC-SHA256" in answer) == (400, True)

    def test_a_body_is_the_one_that_was_signed(self, local_aws, bucket):
        url = f"{local_aws.endpoint_url}/signed/forged"
        headers = signed("PUT", url, "s3", b"signed")
        assert headers["X-Amz-Content-SHA256"] == hashlib.sha256(b"signed").hexdigest()
        status, answer = send(local_aws, "PUT", "/signed/forged", headers, b"forged")
        assert (status, "XAmzContentSHA256Mismatch" in answer) == (400, True)
        assert code_of(bucket.head_object, Bucket="signed", Key="forged") == "404"

    def test_nobody_sends_a_long_body_before_the_signature_is_looked_at(self, local_aws):
        url = f"{local_aws.endpoint_url}/signed/long"
        headers = {**signed("PUT", url, "s3", b"", key=FORGER), "Content-Length": str(5 * 2**30)}
        connection = HTTPConnection("127.0.0.1", local_aws.port, timeout=30)
        connection.request("PUT", "/signed/long", headers=headers)
        assert connection.getresponse().status == 403

    @pytest.mark.parametrize("signed_chunks", [True, False])
    def test_uploads_in_chunks(self, local_aws, bucket, signed_chunks):
        plain = b"x" * 70_000
        kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" if signed_chunks else "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        headers, body = chunked(local_aws, plain, kind, CREDENTIALS.operator)
        status, answer = send(local_aws, "PUT", "/signed/chunks", headers, body)
        assert status == 200, answer
        assert bucket.get_object(Bucket="signed", Key="chunks")["Body"].read() == plain
        if signed_chunks:
            status, answer = send(local_aws, "PUT", "/signed/chunks", headers, body.replace(b"xxxx", b"yyyy"))
            assert (status, "SignatureDoesNotMatch" in answer) == (403, True)

    def test_boto3s_own_uploads(self, bucket, tmp_path):
        long = tmp_path / "long"
        long.write_bytes(os.urandom(20 * 2**20))
        bucket.upload_file(str(long), "signed", "by/parts ü+&")
        bucket.download_file("signed", "by/parts ü+&", str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == long.read_bytes()
        for algorithm in ("CRC32", "SHA256"):
            bucket.put_object(Bucket="signed", Key=algorithm, Body=b"1", ChecksumAlgorithm=algorithm)


def chunked(aws, plain, kind, key):
    """A body in chunks, as the SDKs send them.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
    """

    class Streaming(auth.S3SigV4Auth):
        def payload(self, request):
            return kind

        def _should_sha256_sign_payload(self, request):
            return True

    headers = {
        "Content-Encoding": "aws-chunked",
        "X-Amz-Decoded-Content-Length": str(len(plain)),
    }
    request = AWSRequest("PUT", f"{aws.endpoint_url}/signed/chunks", headers, b"")
    signer = Streaming(Credentials(*astuple(key)), "s3", REGION)
    signer.add_auth(request)
    found = dict(request.headers)
    previous = re.search("Signature=([0-9a-f]+)", found["Authorization"])[1]
    date = found["X-Amz-Date"]
    scope = f"{date[:8]}/{REGION}/s3/aws4_request"
    signing_key = f"AWS4{key.secret_access_key}".encode()
    for part in scope.split("/"):
        signing_key = hmac.new(signing_key, part.encode(), hashlib.sha256).digest()
    body = b""
    for chunk in (plain[:65536], plain[65536:], b""):
        text = "\n".join(
            [
                "AWS4-HMAC-SHA256-PAYLOAD",
                date,
                scope,
                previous,
                hashlib.sha256(b"").hexdigest(),
                hashlib.sha256(chunk).hexdigest(),
            ]
        )
        previous = hmac.new(signing_key, text.encode(), hashlib.sha256).hexdigest()
        extension = f";chunk-signature={previous}" if kind.startswith("STREAMING-AWS4") else ""
        body += f"{len(chunk):x}{extension}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    return found, body + b"\r\n"


class TestKeys:
    def test_they_are_made_once_and_nobody_else_may_read_them(self, tmp_path):
        folder = tmp_path / "state"
        made = kept(folder)
        assert kept(folder) == made
        assert kept(tmp_path / "other") != made
        assert (folder / "credentials.json").stat().st_mode & 0o777 == 0o600
        assert folder.stat().st_mode & 0o777 == 0o700
        assert sorted(path.name for path in folder.iterdir()) == ["credentials.json"]
        assert len({*vars(made.airflow).values(), *vars(made.operator).values()}) == 4

    def test_a_file_without_keys_is_a_clear_error(self, tmp_path):
        (tmp_path / "credentials.json").write_text("{}")
        with pytest.raises(CredentialsError, match="make down up"):
            kept(tmp_path)

    def test_the_environment_loses_them(self):
        environment = CREDENTIALS.variables() | {"HOME": "/"}
        assert from_environment(environment) == CREDENTIALS
        assert environment == {"HOME": "/"}
        assert from_environment(environment) is None

    def test_half_of_them_is_a_clear_error(self):
        with pytest.raises(CredentialsError, match="SLIPWAY_OPERATOR_SECRET_ACCESS_KEY"):
            from_environment({"SLIPWAY_OPERATOR_ACCESS_KEY_ID": "x"})

    def test_secrets_stay_out_of_logs(self):
        assert CREDENTIALS.operator.secret_access_key not in repr(CREDENTIALS)

    def test_a_server_makes_its_own_and_knows_them_after_a_restart(self, new_local_aws):
        aws = new_local_aws(environment=dict.fromkeys(CREDENTIALS.variables(), "")).start()
        keys = kept(aws.state_dir)
        assert keys != CREDENTIALS
        assert client(aws, "sts", keys.airflow).get_caller_identity()["Arn"] == AIRFLOW_ARN
        user = client(aws, "iam", keys.admin).get_user(UserName="slipway-operator")["User"]
        aws.restart()
        assert client(aws, "sts", keys.operator).get_caller_identity()["UserId"] == user["UserId"]
        (aws.state_dir / "credentials.json").unlink()
        aws.restart()
        assert code_of(client(aws, "sts", keys.operator).get_caller_identity) == "InvalidClientTokenId"
        assert client(aws, "sts", kept(aws.state_dir).operator).get_caller_identity()["Arn"] == OPERATOR_ARN

    def test_the_state_is_its_owners_alone(self, new_local_aws):
        aws = new_local_aws().start()
        aws.client("iam").create_user(UserName="x")
        aws.client("iam").create_access_key(UserName="x")
        aws.stop()
        readable = [path for path in aws.state_dir.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
        assert readable == []
