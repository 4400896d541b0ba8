"""The pages in a real browser: what people see at two widths, in light and dark, and with a screen reader's rules."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.aws_keys import CREDENTIALS
from tests.chromium import started, violations
from tests.local_aws.console.support import (
    ALARM,
    DASHBOARD,
    ENDPOINT,
    GROUP,
    HOSTILE,
    JOB,
    QUEUE,
    STACK,
    screenshots,
)
from tests.local_aws.sagemaker_cases import BUCKET
from tests.local_aws.server import LocalAws

pytestmark = [pytest.mark.local_aws, pytest.mark.e2e]
PATHS = (
    *("", "jobs", "endpoints", "groups", "stacks", "buckets", "alarms", "dashboards", "messages", "ledger"),
    f"job?name={JOB}",
    f"endpoint?name={ENDPOINT}",
    f"group?name={GROUP}",
    f"stack?name={STACK}",
    f"bucket?name={BUCKET}",
    f"alarm?name={ALARM}",
    f"dashboard?name={DASHBOARD}",
    f"queue?name={QUEUE}",
    "job?name=none",
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with started() as browser:
        yield browser


def context_of(chromium: Browser, **options: Any) -> BrowserContext:
    key = CREDENTIALS.operator
    signed_in = {"username": key.access_key_id, "password": key.secret_access_key}
    return chromium.new_context(http_credentials=signed_in, **options)


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = context_of(chromium)
    opened = context.new_page()
    yield opened
    context.close()


def open_(page: Page, aws: LocalAws, path: str) -> list[str]:
    """Open a page; return what the browser complains about."""
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("dialog", lambda dialog: (told.append(dialog.message), dialog.dismiss()))
    page.goto(f"{aws.endpoint_url}/_local_aws/{path}")
    return told


@pytest.fixture(scope="module")
def examined(chromium: Browser) -> Iterator[Page]:
    # Only here, where axe has to run in the page.
    context = context_of(chromium, bypass_csp=True)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("path", PATHS)
def test_every_page_fits_and_can_be_read_by_everybody(seen: LocalAws, examined: Page, path: str) -> None:
    """In each look of one load: axe's script takes longer than the page."""
    open_(examined, seen, path)
    problems = []
    for width, scheme in itertools.product((1440, 390), ("light", "dark")):
        examined.set_viewport_size({"width": width, "height": 900})
        examined.emulate_media(color_scheme=scheme)
        assert examined.evaluate("document.documentElement.scrollWidth") <= width, (width, scheme)
        found = violations(examined)
        problems += [(width, scheme, one["id"], one["nodes"][0]["html"][:200]) for one in found]
        if folder := screenshots():
            name = path.split("?")[0] or "overview"
            examined.screenshot(path=f"{folder}/{name}-{scheme}-{width}.png", full_page=True)
    assert problems == []


@pytest.mark.parametrize("path", PATHS)
def test_what_is_hostile_is_text_and_the_browser_has_no_complaint(seen: LocalAws, page: Page, path: str) -> None:
    told = open_(page, seen, path)
    page.wait_for_timeout(200)
    assert [line for line in told if "status of 404" not in line] == []
    assert page.locator("img").count() == 0


def test_a_log_line_and_a_key_are_shown_as_they_are(seen: LocalAws, page: Page) -> None:
    open_(page, seen, f"job?name={JOB}")
    assert HOSTILE in (page.locator("#log").text_content() or "")
    open_(page, seen, f"bucket?name={BUCKET}&prefix=seen/%3C")
    page.get_by_role("link", name="seen/<script>").click()
    assert HOSTILE in (page.locator("h1").text_content() or "")


def test_no_other_script_runs(seen: LocalAws, page: Page) -> None:
    open_(page, seen, "")
    page.evaluate(
        """() => {
            const made = document.createElement('script');
            made.textContent = 'document.title = "broken"';
            document.body.append(made);
            document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="document.title = 1">');
        }"""
    )
    page.wait_for_timeout(300)
    assert page.title() == "The local AWS, local AWS"


def test_the_page_refreshes_itself_until_it_is_told_not_to(seen: LocalAws, page: Page) -> None:
    page.clock.install()
    open_(page, seen, "messages")
    page.locator("details").first.locator("summary").click()
    page.locator("h1").click()
    seen.client("sns").publish(
        TopicArn=seen.client("sns").create_topic(Name="refreshed")["TopicArn"], Subject="Just now", Message="1"
    )
    page.clock.run_for(6000)
    page.get_by_text("Just now").wait_for()
    assert page.locator("details[open]").count() == 1
    page.get_by_role("button", name="Pause").click()
    seen.client("sns").create_topic(Name="too-late")
    page.clock.run_for(20_000)
    page.wait_for_timeout(300)
    assert page.get_by_text("too-late").count() == 0
    page.reload()
    page.get_by_role("button", name="Refresh again").click()
    page.clock.run_for(6000)
    page.get_by_text("too-late").first.wait_for()


def test_the_keyboard_reaches_the_content(seen: LocalAws, page: Page) -> None:
    open_(page, seen, "jobs")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "containing"


def test_an_address_of_awss_console_opens_the_page(seen: LocalAws, page: Page) -> None:
    open_(page, seen, f"sagemaker/home?region=us-west-2#/endpoints/{ENDPOINT}")
    page.wait_for_url(f"**/_local_aws/endpoint?name={ENDPOINT}")
    assert page.locator("h1").text_content() == ENDPOINT


def test_a_person_follows_a_link_and_a_page_gets_nothing(seen: LocalAws, page: Page) -> None:
    # localhost and 127.0.0.1 are different sites, as Airflow's address and this one may be.
    address = f"{seen.endpoint_url}/_local_aws/sagemaker/home?region=us-west-2#/jobs/{JOB}"
    page.route(
        "http://airflow.example/**", lambda route: route.fulfill(body="<a>Airflow</a>", content_type="text/html")
    )
    page.goto("http://airflow.example/")
    page.evaluate("address => { document.querySelector('a').href = address }", address)
    page.click("text=Airflow")
    page.wait_for_url(f"**/_local_aws/job?name={JOB}")
    assert page.locator("h1").text_content() == JOB
    # By itself it cannot open one, nor read one, nor frame one.
    script = f"<script>setTimeout(() => {{ location.href = '{seen.endpoint_url}/_local_aws/jobs' }}, 100)</script>"
    page.route("http://by-itself.example/", lambda route: route.fulfill(body=script, content_type="text/html"))
    page.goto("http://by-itself.example/")
    page.wait_for_url("**/_local_aws/jobs")
    assert "no web page may use the local AWS" in page.content()
    page.goto("http://airflow.example/")
    read = "address => fetch(address, {mode: 'no-cors'}).then(answer => answer.type + answer.status, () => 'refused')"
    assert page.evaluate(read, f"{seen.endpoint_url}/_local_aws/jobs") in ("opaque0", "refused")
    # A frame tells of its load whether it shows a document, a refusal, or nothing.
    framed = """url => new Promise(done => document.body.append(
        Object.assign(document.createElement('iframe'), {onload: () => done(true), src: url})))"""
    assert page.evaluate(framed, f"{seen.endpoint_url}/_local_aws/jobs")
    assert [JOB in frame.content() for frame in page.frames] == [False, False]
