"""What a web page of another origin gets done, in a real browser: nothing."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page

from tests.chromium import started
from tests.local_aws.server import REGION, LocalAws
from tests.local_aws.signing import address

pytestmark = [pytest.mark.local_aws, pytest.mark.e2e]
# A name of the page's own that stands for this machine.
REBOUND = "rebound.example"
GROUP = "of-a-page"
# Each attempt tells how it ended; the page waits for all of them.
ATTACKS = """
async ({url, rebound, target, body, fault}) => {
  const told = {};
  const attempt = async (name, call) => {
    try { const r = await call(); told[name] = r && r.type ? `${r.type} ${r.status}` : String(r) }
    catch (error) { told[name] = 'refused: ' + error.message }
  };
  const post = (where, options) => fetch(where, {method: 'POST', ...options});
  const form = {'Content-Type': 'application/x-www-form-urlencoded'};
  await attempt('simple request', () => post(url, {mode: 'no-cors', headers: {'Content-Type': 'text/plain'}, body}));
  await attempt('simple form', () => post(url, {mode: 'no-cors', headers: form, body: 'Action=CreateTopic&Name=page'}));
  await attempt('json', () => post(url, {headers: {'X-Amz-Target': target, 'Content-Type': 'application/json'}, body}));
  await attempt('put', () => fetch(url + 'page-bucket', {method: 'PUT', mode: 'cors'}));
  await attempt('list', () => fetch(url, {mode: 'no-cors'}));
  await attempt('read', () => fetch(url + '_local_aws/health'));
  await attempt('invocation', () => post(url + 'endpoints/e/invocations', {mode: 'no-cors', body: '1'}));
  await attempt('fault', () => post(url + '_local_aws/faults', {mode: 'no-cors', body: fault}));
  await attempt('fault as json', () => post(url + '_local_aws/faults',
    {headers: {'Content-Type': 'application/json'}, body: fault}));
  await attempt('beacon', async () => navigator.sendBeacon(url, body));
  await attempt('rebound', () => post(rebound, {mode: 'no-cors', headers: {'Content-Type': 'text/plain'}, body}));
  await attempt('websocket', () => new Promise((done, fail) => {
    const socket = new WebSocket(url.replace('http', 'ws'));
    socket.onopen = () => done('open');
    socket.onerror = () => fail(new Error('closed'));
  }));
  const element = (kind, attributes) => new Promise(done => {
    const made = Object.assign(document.createElement(kind), attributes);
    made.onload = () => done(kind === 'iframe' ? made.contentDocument === null : 'loaded');
    made.onerror = () => done('error');
    document.body.append(made);
  });
  await attempt('image', () => element('img', {src: url + '?Action=CreateTopic&Name=page'}));
  await attempt('script', () => element('script', {src: url + '_local_aws/health'}));
  await attempt('iframe', () => element('iframe', {src: url + '_local_aws/faults'}));
  return told;
}
"""


class Evil(BaseHTTPRequestHandler):
    """Serves an empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<html><body>a page</body></html>")

    def log_message(self, *_: object) -> None:
        """Be silent."""


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """One with faults, so that a page has more to try."""
    running = LocalAws(tmp_path_factory.mktemp("pages") / "state", "--faults").start()
    bucket = {"LocationConstraint": REGION}
    running.client("s3").create_bucket(Bucket="reports", CreateBucketConfiguration=bucket)
    running.client("s3").put_object(
        Bucket="reports", Key="report.html", Body=b"<p>a report</p>", ContentType="text/html"
    )
    yield running
    running.stop()


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """A web server of somebody else's on this machine, so that no policy for private networks helps."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Evil)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with started(f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1") as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser, origin: str) -> Iterator[Page]:
    opened = chromium.new_page()
    opened.goto(origin)
    yield opened
    opened.close()


def changed(aws: LocalAws, before: int) -> list[tuple[str, str]]:
    return [(call["operation"], call["outcome"]) for call in aws.ledger()[before:]]


def test_nothing_that_a_page_sends_is_done(aws: LocalAws, page: Page) -> None:
    before = len(aws.ledger())
    told = page.evaluate(
        ATTACKS,
        {
            "url": f"{aws.endpoint_url}/",
            "rebound": f"http://{REBOUND}:{aws.port}/",
            "target": "SageMaker.CreateModelPackageGroup",
            "body": json.dumps({"ModelPackageGroupName": GROUP}),
            "fault": json.dumps({"service": "s3", "error": "SlowDown"}),
        },
    )
    assert changed(aws, before) == []
    # What needs a preflight does not leave the browser, and what leaves it cannot be read.
    for name in ("json", "put", "read", "fault as json", "websocket"):
        assert told[name].startswith("refused"), told
    for name in ("simple request", "simple form", "list", "invocation", "fault"):
        assert told[name] in ("opaque 0", "refused: Failed to fetch"), told
    assert (told["image"], told["script"]) == ("error", "error")
    assert aws.client("sagemaker").list_model_package_groups()["ModelPackageGroupSummaryList"] == []
    assert aws.client("sns").list_topics().get("Topics", []) == []
    # The same with credentials, for control.
    aws.client("sagemaker").create_model_package_group(ModelPackageGroupName=GROUP)
    assert ("CreateModelPackageGroup", "ok") in changed(aws, before)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_of_a_page_is_refused(aws: LocalAws, page: Page, kind: str) -> None:
    before = len(aws.ledger())
    with page.expect_navigation():
        page.evaluate(
            """([url, kind]) => {
                const form = document.createElement('form');
                Object.assign(form, {method: 'POST', action: url, enctype: kind});
                form.append(Object.assign(document.createElement('input'), {name: 'Action', value: 'ListTopics'}));
                document.body.append(form);
                form.submit();
            }""",
            [f"{aws.endpoint_url}/", kind],
        )
    assert "no web page may use the local AWS" in page.content()
    assert changed(aws, before) == []


def test_a_name_that_a_page_has_turned_to_this_machine_is_refused(aws: LocalAws, page: Page) -> None:
    before = len(aws.ledger())
    # By its own name the page is of the same origin as what it asks: no Origin, no CORS, all can be read.
    page.goto(f"http://{REBOUND}:{aws.port}/_local_aws/health")
    assert "--host NAME" in page.content()
    target = {"X-Amz-Target": "SageMaker.ListModels", "Content-Type": "application/x-amz-json-1.1"}
    status = page.evaluate(
        "headers => fetch('/', {method: 'POST', headers, body: '{}'}).then(answer => answer.status, () => 'no answer')",
        target,
    )
    # What is shown is of no origin, and so asks as a stranger even there.
    assert status == "no answer"
    assert changed(aws, before) == []


def test_a_link_to_a_report_opens_it_and_no_frame_does(aws: LocalAws, page: Page, origin: str) -> None:
    report = address("GET", f"{aws.endpoint_url}/reports/report.html", "s3")
    link = "url => document.body.append(Object.assign(document.createElement('a'), {href: url, textContent: 'report'}))"
    page.evaluate(link, report)
    page.click("text=report")
    page.wait_for_selector("text=a report")
    page.goto(origin)
    frame = "url => void document.body.append(Object.assign(document.createElement('iframe'), {src: url}))"
    with page.expect_response(report) as framed:
        page.evaluate(frame, report)
    assert framed.value.status == 403


def test_a_person_may_open_an_address_by_hand(aws: LocalAws, chromium: Browser) -> None:
    page = chromium.new_page()
    page.goto(f"{aws.endpoint_url}/_local_aws/health")
    assert '"ok"' in page.content()
    page.close()
