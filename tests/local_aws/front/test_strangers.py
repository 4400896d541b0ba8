"""Requests of web pages and foreign names, as they would send them: all are refused."""

import json
import socket
from http.client import HTTPConnection

import pytest

pytestmark = pytest.mark.local_aws

ORIGIN = "http://evil.example"
# One path of each kind: S3, JSON and query services, invocations, health, faults, the host's own, a signal's.
PATHS = (
    "/",
    "/bucket/key",
    "/endpoints/iris/invocations",
    "/_local_aws/health",
    "/_local_aws/faults",
    "/_local_aws/jobs",
    "/_ministack/reset",
    "/_ministack/health",
    "/_ministack/cfn-signal/token",
    "/favicon.ico",
    "/service/GraniteServiceVersion20100801/operation/PutMetricData",
)


def ask(aws, method="POST", path="/", headers=None, body=b""):
    """Send a request as it is given, without credentials; return status, headers and body of the answer."""
    connection = HTTPConnection("127.0.0.1", aws.port, timeout=30)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()


@pytest.fixture
def unchanged(local_aws):
    """The ledger has no more lines afterwards."""
    before = len(local_aws.asked())
    yield
    assert len(local_aws.asked()) == before


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Origin": ORIGIN}, ORIGIN),
        ({"Origin": "null"}, "null"),
        ({"Sec-Fetch-Site": "cross-site"}, "cross-site"),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, "same-site"),
        ({"Host": "rebound.example:4566"}, "--host"),
        ({"Host": "0.0.0.0"}, "--host"),  # noqa: S104
        ({"X-HTTP-Method-Override": "DELETE"}, "x-http-method-override"),
    ],
)
def test_every_path_is_closed_to_strangers(local_aws, unchanged, path, headers, reason):
    for method in ("GET", "POST"):
        status, _, body = ask(local_aws, method, path, headers, b"{}" if method == "POST" else b"")
        assert (status, reason in body) == (403, True), body


NAVIGATION = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
LINK = "?Action=ListUsers&X-Amz-Signature=1&X-Amz-Credential=1%2F20261128%2Fus-west-2%2F{}"


@pytest.mark.parametrize("path", ["/", *PATHS])
@pytest.mark.parametrize(
    "scope", ["iam%2Faws4_request", "cloudformation/aws4_request", "s3", "", "iam%2Faws4_request&a=/s3/aws4_request"]
)
def test_a_link_that_is_no_objects_is_closed_to_pages(local_aws, unchanged, path, scope):
    status, _, body = ask(local_aws, "GET", path + LINK.format(scope), NAVIGATION)
    assert (status, "cross-site" in body) == (403, True), body


@pytest.mark.parametrize("path", ["/_local_aws", "/_local_aws/", "/_local_aws/jobs"])
def test_a_person_follows_a_link_to_the_console_and_has_to_sign_in(local_aws, unchanged, path):
    clicked = {**NAVIGATION, "Sec-Fetch-User": "?1"}
    assert ask(local_aws, "GET", path, clicked)[0] == 401
    for headers in (
        {**clicked, "Sec-Fetch-User": "?0"},
        {**clicked, "Sec-Fetch-Dest": "iframe"},
        {**clicked, "Sec-Fetch-Mode": "no-cors"},
        {**clicked, "Origin": ORIGIN},
        {**clicked, "Host": "rebound.example"},
    ):
        assert ask(local_aws, "GET", path, headers)[0] == 403
    assert ask(local_aws, "POST", path, clicked)[0] == 403


@pytest.mark.parametrize(
    "path", ["/", "/bucket/key", "/_local_aws/health", "/_local_aws/faults", "/_local_aws/faults/1"]
)
def test_a_click_opens_nothing_else(local_aws, unchanged, path):
    assert ask(local_aws, "GET", path, {**NAVIGATION, "Sec-Fetch-User": "?1"})[0] == 403


@pytest.mark.parametrize("path", [path for path in PATHS if path.startswith("/_")])
def test_a_link_to_a_path_that_needs_no_signature_is_closed_to_pages(local_aws, unchanged, path):
    status, _, body = ask(local_aws, "GET", path + LINK.format("s3%2Faws4_request"), NAVIGATION)
    assert (status, "cross-site" in body) == (403, True), body


def test_own_origin_is_a_page_too(local_aws, unchanged):
    status, _, body = ask(local_aws, headers={"Origin": local_aws.endpoint_url})
    assert (status, "web page" in body) == (403, True)


def test_preflights_are_refused_and_nothing_may_be_read(local_aws, unchanged):
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "DELETE"}
    status, headers, _ = ask(local_aws, "OPTIONS", "/bucket/key", asked)
    assert status == 403
    assert [name for name in headers if name.startswith("access-control-")] == []


def test_no_answer_lets_a_page_read_it(local_aws):
    seen = local_aws.client("sts").get_caller_identity()["ResponseMetadata"]["HTTPHeaders"]
    assert [name for name in seen if name.startswith("access-control-")] == []


@pytest.mark.parametrize(
    ("headers", "shape"),
    [
        ({"X-Amz-Target": "SageMaker.ListModels", "Content-Type": "application/x-amz-json-1.1"}, '"__type"'),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "<ErrorResponse>"),
    ],
)
def test_the_refusal_is_an_error_of_the_protocol(local_aws, headers, shape):
    status, _, body = ask(local_aws, headers={"Origin": ORIGIN, **headers})
    assert (status, shape in body, "AccessDenied" in body) == (403, True, True)
    status, answered, body = ask(local_aws, "PUT", "/bucket/key", {"Origin": ORIGIN})
    assert (status, answered["content-type"]) == (403, "application/xml")
    assert "<Code>AccessDenied</Code>" in body


def test_a_header_that_two_readers_might_take_differently_is_refused(local_aws, unchanged):
    with socket.create_connection(("127.0.0.1", local_aws.port), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        assert connection.makefile("rb").readline().split()[1] in (b"400", b"403")


def test_websockets_are_refused(local_aws, unchanged):
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    for headers in (upgrade, {**upgrade, "Origin": ORIGIN}, {**upgrade, "Host": "api.execute-api.localhost"}):
        assert ask(local_aws, "GET", "/", headers)[0] == 403


def test_names_that_are_configured_and_the_loopbacks_are_answered(new_local_aws):
    aws = new_local_aws("--host", "local-aws").start()
    for name in ("local-aws:4566", "LOCALHOST", "[::1]:80", f"127.0.0.1:{aws.port}"):
        assert ask(aws, "GET", "/_local_aws/health", {"Host": name})[0] == 200
    for name in ("evil.example", "local-aws.evil.example", "a.b.localhost", "api.execute-api.localhost", ""):
        assert ask(aws, "GET", "/_local_aws/health", {"Host": name})[0] == 403


def test_the_hosts_own_pages_are_closed(local_aws):
    for path in ("/_ministack/reset", "/_ministack/config", "/_ministack/health", "/_localstack/health", "/_aws/ses"):
        for method in ("GET", "POST"):
            assert ask(local_aws, method, path)[0] == 404


def test_a_fault_cannot_be_made_by_a_page(new_local_aws):
    aws = new_local_aws("--faults").start()
    fault = json.dumps({"service": "sagemaker", "error": "InternalFailure"}).encode()
    kind = {"Content-Type": "application/json"}
    assert ask(aws, "POST", "/_local_aws/faults", {**kind, "Origin": ORIGIN}, fault)[0] == 403
    assert ask(aws, "POST", "/_local_aws/faults", {**kind, "Host": "evil.example"}, fault)[0] == 403
    assert json.loads(ask(aws, "GET", "/_local_aws/faults")[2]) == {"faults": []}
    assert ask(aws, "POST", "/_local_aws/faults", kind, fault)[0] == 201


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SCOPE = "AWS4-HMAC-SHA256 Credential=123456789012/20261128/us-west-2/{}/aws4_request, SignedHeaders=host, Signature=00"
# What would name a service to ministack, if the request reached it.
DISGUISES = {
    "a scope of IAM": ({**FORM, "Authorization": SCOPE.format("iam")}, b"Action=CreateUser&UserName=eve"),
    "a scope of STS": ({**FORM, "Authorization": SCOPE.format("sts")}, b"Action=GetCallerIdentity"),
    "an action": (FORM, b"Action=CreateUser&UserName=eve&Version=2010-05-08"),
    "a target of SageMaker's": ({"X-Amz-Target": "SageMaker.ListModels"}, b"{}"),
    "a bucket's name": ({"Host": "mlops-us-west-2-123456789012.localhost"}, b""),
    "nothing": ({}, b"{}"),
}


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize(
    "path",
    [
        "/_ministack/cfn-signal/x",
        "/_ministack/cfn-signal/",
        "/_ministack/cfn-signal/../../?Action=CreateUser&UserName=eve",
        "/_ministack/cfn-signal/x?Action=CreateUser&UserName=eve&Version=2010-05-08",
        "/_ministack/reset",
        "/_local_aws/other",
        "/_x",
        "/favicon.ico",
    ],
)
def test_a_path_that_needs_no_signature_leads_to_no_service(local_aws, path, method, disguise):
    headers, body = DISGUISES[disguise]
    status, _, said = ask(local_aws, method, path, headers, body if method != "GET" else b"")
    assert status in ((401, 405) if path == "/_local_aws/other" else (403, 404)), said
    assert "Arn" not in said
    users = local_aws.client("iam").list_users()["Users"]
    assert "eve" not in {user["UserName"] for user in users}


def test_an_object_that_is_a_page_runs_nothing_and_has_no_origin(local_aws):
    """Browsers send Airflow's cookies to each port of a machine, and scripts of the same host may read them."""
    s3 = local_aws.client("s3")
    s3.create_bucket(Bucket="pages", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.put_object(Bucket="pages", Key="page.html", Body=b"<script>document.cookie</script>", ContentType="text/html")
    answers = [
        s3.get_object(Bucket="pages", Key="page.html")["ResponseMetadata"]["HTTPHeaders"],
        ask(local_aws, "GET", "/_local_aws/health")[1],
        ask(local_aws, "GET", "/")[1],
    ]
    for headers in answers:
        assert headers["content-security-policy"].startswith("sandbox ")
        assert "allow-scripts" not in headers["content-security-policy"]
        assert "allow-same-origin" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_a_signals_body_is_small_and_says_so(local_aws):
    signal = "/_ministack/cfn-signal/x"
    assert "unknown wait condition" in ask(local_aws, "PUT", signal, body=b"{}")[2]
    for length in ("50000000", "9" * 5000, "-1", "x", "1_0"):
        status, _, said = ask(local_aws, "PUT", signal, {"Content-Length": length}, b"")
        assert status in (400, 404), length
        assert "unknown" not in said
