"""What the pages show, and that they only read."""

import html
import re
import time

import pytest

from tests.aws_keys import CREDENTIALS
from tests.local_aws.console.support import (
    ALARM,
    DASHBOARD,
    ENDPOINT,
    FAILED_JOB,
    GROUP,
    HOSTILE,
    JOB,
    KEY,
    QUEUE,
    SECRET,
    STACK,
    TOPIC,
    ask,
    look,
)
from tests.local_aws.sagemaker_cases import BUCKET

pytestmark = pytest.mark.local_aws

ESCAPED = html.escape(HOSTILE)
PATHS = (
    *("", "jobs", "endpoints", "groups", "repositories", "builds"),
    *("stacks", "buckets", "alarms", "dashboards", "messages", "ledger"),
)


def text_of(page):
    """Return what a page's refreshed part says, without markup."""
    live = page.partition('id="live"')[2].partition("</main>")[0]
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]+>", " ", live)))


def hrefs(page, label):
    """Return the addresses of the links with a label."""
    found = re.findall(rf'<a href="([^"]*)">{re.escape(html.escape(label))}</a>', page)
    return [html.unescape(one).removeprefix("/_local_aws/") for one in found]


@pytest.mark.parametrize("path", PATHS)
def test_nobody_looks_without_a_persons_key(seen, path):
    for key in (None, CREDENTIALS.airflow, type(CREDENTIALS.operator)(CREDENTIALS.operator.access_key_id, "wrong")):
        status, headers, text = ask(seen, path, who=key)
        assert (status, headers["www-authenticate"].partition(" ")[0]) == (401, "Basic")
        assert JOB not in text
    for key in (CREDENTIALS.operator, CREDENTIALS.admin):
        assert ask(seen, path, who=key)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_no_route_writes(seen, method):
    for path in (*PATHS, "job"):
        status, headers, _ = ask(seen, path, method, name=JOB)
        assert (status, headers["allow"]) == (405, "GET, HEAD")


def test_a_look_leaves_nothing_behind(seen):
    before = len(seen.asked())
    for path in PATHS:
        look(seen, path)
    look(seen, "job", name=JOB)
    look(seen, "queue", name=QUEUE)
    assert len(seen.asked()) == before
    queue = seen.client("sqs").get_queue_url(QueueName=QUEUE)["QueueUrl"]
    attributes = seen.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessages"] == "1"


@pytest.mark.parametrize("path", ["", "job?name=none", "none"])
def test_a_browser_may_do_nothing_but_show_it(seen, path):
    _, headers, _ = ask(seen, path)
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers


def test_a_head_has_no_body(seen):
    status, headers, text = ask(seen, "", "HEAD")
    assert (status, text, headers["content-type"]) == (200, "", "text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("job", {"name": "none"}),
        ("endpoint", {"name": HOSTILE}),
        ("stack", {"name": "none"}),
        ("bucket", {"name": "none"}),
        ("object", {"bucket": BUCKET, "key": HOSTILE}),
        ("group", {"name": "none"}),
        ("package", {"arn": "none"}),
        ("alarm", {"name": "none"}),
        ("dashboard", {}),
        ("queue", {"name": ""}),
        ("log", {"group": "none"}),
        ("none", {}),
        ("job/" + HOSTILE, {}),
    ],
)
def test_what_is_not_there_is_said(seen, path, query):
    status, _, text = ask(seen, path.replace(" ", "%20"), **query)
    assert status == 404
    assert "There is no " in text
    assert "<img" not in text


def test_a_job(seen):
    listed = look(seen, "jobs")
    assert f"{JOB} Completed" in text_of(listed)
    page = look(seen, hrefs(listed, JOB)[0])
    text = text_of(page)
    for part in (
        "multi:softmax",
        "validation:merror",
        "team payments",
        "Training job completed",
        f"s3://{BUCKET}/seen",
    ):
        assert part in text
    assert "merror by round: from 0 to" in page
    # A log line of somebody else's.
    assert ESCAPED in page
    failed = text_of(look(seen, "job", name=FAILED_JOB))
    assert "ClientError: Hyperparameter objective" in failed
    assert HOSTILE[:20] in failed


def test_a_whole_log(seen):
    page = look(seen, hrefs(look(seen, "job", name=JOB), "The whole log")[0])
    assert "Lines 1 to 1 of 1" in text_of(page)
    others = re.findall(rf">({JOB}/[^<]+)</a>", page)
    assert "[4]#011train-merror" in look(seen, hrefs(page, others[0])[0])


def test_an_endpoint(seen, eventually):
    assert f"{ENDPOINT} InService model-a, model-b 2 seen-config" in text_of(look(seen, "endpoints"))
    # Metrics come with the end of the minute.
    page = eventually(
        lambda: look(seen, "endpoint", name=ENDPOINT), lambda page: "model-b: Requests: from 0 to" in page, 90
    )
    text = text_of(page)
    assert "model-a seen-model 0.75 1" in text
    assert "model-a 1 3" in text
    for plot in ("Errors", "Model latency, microseconds"):
        assert f"model-a: {plot}: from 0 to" in page


def test_a_stack_hides_what_its_template_hides(seen):
    listed = look(seen, "stacks")
    assert f"{STACK} CREATE_COMPLETE" in text_of(listed)
    page = look(seen, hrefs(listed, STACK)[0])
    text = text_of(page)
    assert "Topic AWS::SNS::Topic CREATE_COMPLETE arn:aws:sns" in text
    assert "Plain <i> Secret ****" in text
    assert SECRET not in page
    assert "Made arn:aws:sns" in text
    assert "User Initiated" in text
    assert f"owner {HOSTILE}" in text


def test_a_bucket_and_an_object(seen):
    assert re.search(rf"{BUCKET} us-west-2 Enabled \d", text_of(look(seen, "buckets")))
    page = look(seen, "bucket", name=BUCKET, prefix="seen/<")
    assert f"{KEY} 1 byte 1" in text_of(page)
    assert "current" in text_of(look(seen, hrefs(page, KEY)[0]))
    assert text_of(look(seen, "bucket", name=BUCKET, prefix="none")).endswith("Keys: there are none. ")


def test_deleted_keys_are_listed_with_their_versions(seen):
    s3 = seen.client("s3")
    for body in (b"1", b"22"):
        s3.put_object(Bucket=BUCKET, Key="deleted/key", Body=body)
    s3.delete_object(Bucket=BUCKET, Key="deleted/key")
    page = look(seen, "bucket", name=BUCKET, prefix="deleted/")
    assert "deleted/key deleted 3" in text_of(page)
    versions = text_of(look(seen, hrefs(page, "deleted/key")[0]))
    assert re.search(r"delete marker yes .* 2 bytes .* 1 byte ", versions)


def test_the_keys_of_a_bucket_are_paged(seen):
    s3 = seen.client("s3")
    wanted = [f"paged/{number:03}" for number in range(120)]
    for key in wanted:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"1")
    found, address = [], "bucket?" + f"name={BUCKET}&prefix=paged/"
    while address:
        page = look(seen, address)
        found.append(re.findall(r">(paged/\d+)</a>", page))
        address = (hrefs(page, "More keys") or [""])[0]
    assert [len(part) for part in found] == [50, 50, 20]
    assert [key for part in found for key in part] == wanted


def test_the_model_registry(seen):
    page = look(seen, "group", name=GROUP)
    text = text_of(page)
    assert re.search(r"version 2 PendingManualApproval .* version 1 Approved", text)
    assert "user/slipway-operator" in text
    assert f"said {HOSTILE}" in text
    package = text_of(look(seen, hrefs(page, "version 1")[0]))
    for part in ("Approved", "revision r1", "model.tar.gz", GROUP):
        assert part in package


def test_an_alarm(seen):
    assert ALARM not in text_of(look(seen, "alarms", state="OK"))
    assert f"{ALARM} ALARM" in text_of(look(seen, "alarms", state="ALARM"))
    page = look(seen, "alarm", name=ALARM)
    text = text_of(page)
    assert "Sum of Invocations GreaterThanThreshold 10 for 1 of 1 periods of 60 s" in text
    # The metric may have changed it first.
    assert re.search("INSUFFICIENT_DATA ALARM (tried|Threshold Crossed)", text)
    assert "Sum of Invocations: from 0 to " in page
    assert ESCAPED in page


def test_a_dashboard(seen):
    page = look(seen, "dashboard", name=DASHBOARD)
    assert "Seen requests: from 0 to" in page
    assert 'Seen math: from 0 to 1; last half 1"' in page
    text = text_of(page)
    assert "Not drawn: searched: SEARCH('x')" in text
    assert "A widget of type explorer is not drawn." in text
    assert HOSTILE in text


def test_a_dashboard_that_is_none(seen):
    body = '{"widgets": [{"type": "metric", "properties": {"metrics": [[1], {}, "x"]}}]}'
    seen.client("cloudwatch").put_dashboard(DashboardName="bad", DashboardBody=body)
    assert "Its body is not one that CloudWatch draws." in look(seen, "dashboard", name="bad")


def test_messages(seen):
    page = look(seen, "messages")
    text = text_of(page)
    assert f"{TOPIC} Seen subject {HOSTILE} long" in text
    assert f"{TOPIC} sqs arn:aws:sqs" in text
    assert f"{QUEUE} 1" in text
    assert "Seen subject" in text_of(look(seen, hrefs(page, QUEUE)[0]))


def test_the_ledger_and_its_filters(seen):
    text = text_of(look(seen, "ledger", operation="CreateTrainingJob"))
    assert re.search(rf"sagemaker CreateTrainingJob {JOB} ok 200 user/slipway-operator \d", text)
    assert "CreateEndpoint" not in text
    for query, there in (
        ({"service": "sqs"}, "CreateQueue"),
        ({"caller": "slipway-admin", "operation": "Attach"}, "AttachUserPolicy"),
        ({"only": "errors"}, "ValidationError"),
        ({"status": "400"}, "ValidationError"),
        ({"resource": QUEUE}, "CreateQueue"),
        ({"outcome": "EntityAlready"}, "CreateRole"),
    ):
        shown = text_of(look(seen, "ledger", **query))
        assert there in shown, query
    nothing = look(seen, "ledger", operation=HOSTILE)
    assert "there are none" in nothing


def test_denied_calls_say_why(seen):
    iam = seen.client("iam")
    iam.create_user(UserName="small")
    key = iam.create_access_key(UserName="small")["AccessKey"]
    client = seen.client(
        "sagemaker", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
    )
    with pytest.raises(client.exceptions.ClientError):
        client.list_models()
    text = text_of(look(seen, "ledger", only="denied"))
    assert "sagemaker ListModels AccessDeniedException 400 user/small" in text
    assert "sagemaker:ListModels" in text
    # A key that IAM gives out signs AWS's calls, and opens no page.
    given = type(CREDENTIALS.operator)(key["AccessKeyId"], key["SecretAccessKey"])
    assert ask(seen, "", who=given)[0] == 401


def test_the_overview(seen):
    text = text_of(look(seen, ""))
    assert f"{JOB} Completed" in text
    assert f"{ENDPOINT} InService" in text
    assert re.search(r"\d training jobs", text)
    assert ALARM in text


def test_another_region_is_another_state(seen):
    page = look(seen, "jobs", region="eu-central-1")
    assert JOB not in page
    assert 'href="/_local_aws/endpoints?region=eu-central-1"' in page


def test_a_long_line_is_cut(seen):
    logs = seen.client("logs")
    group, stream = "long-lines", "one"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    event = {"timestamp": int(time.time() * 1000), "message": "x" * 200_000}
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])
    page = look(seen, "log", group=group, stream=stream)
    assert "(196,000 more characters)" in page
    assert len(page) < 100_000


def test_too_many_parameters_are_none(seen):
    assert "Training jobs" in look(seen, "jobs?" + "a=1&" * 200)
