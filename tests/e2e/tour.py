"""Walk through the board and Airflow's own pages with releases in every state, and take a picture of each page.

Takes some minutes and shows nothing that the other tests do not check, so its name keeps it from being collected:
`make tour` asks for it. PICTURES names the folder for the pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError
from PIL import Image
from playwright.sync_api import Browser, HttpCredentials, Page, expect

from tests.e2e import six_releases
from tests.e2e.board_server import PASSWORDS, failing_model, fill_failures, serving
from tests.e2e.camera import FOLDER, Camera
from tests.e2e.six_releases import CHURN, IRIS, WINE, SixReleases
from tests.e2e.tabs import BOARD, PATIENCE_MS, RELEASES, log_in
from tests.e2e.test_board import tasks_of
from tests.instance import Instance
from tests.unit.board.failures import CASES
from tools import environment

pytestmark = pytest.mark.e2e
LOOKS = [(scheme, width) for width in (1440, 390) for scheme in ("light", "dark")]
# The pictures of docs/images: which of the tour's they are, and how much of their height is shown.
DOCS = {
    "board": ("releases-light-1440", 1180),
    "board-dark": ("releases-dark-1440", 1000),
    "model": ("model-light-1440", 1180),
    "release-failed": ("release-failed-light-1440", 1000),
    "approval": ("approval-light-1440", 1180),
    "graph": ("graph-light-1440", 760),
    "refusal": ("refusal-in-airflow-light-1440", 1180),
    "failure-deploy_dev": ("failure-deploy_dev", 620),
    "waterfall": ("waterfall", 760),
    "console": ("console", 1000),
}
# Rows for the console's plots: too few a minute to scale the endpoint.
SECONDS_BETWEEN_ROWS = 20


def run(model: str, run_id: str) -> str:
    return f"/dags/{model}/runs/{quote(run_id, safe='')}"


def release(model: str, run_id: str) -> str:
    return f"{run(model, run_id)}/plugin/slipway-release"


def board_pages(releases: SixReleases) -> dict[str, str]:
    """Return the board's pages: what the picture is called, and the path."""
    return {
        "releases": RELEASES,
        "release-live": release(IRIS, releases.live),
        "release-superseded": release(IRIS, releases.superseded),
        "release-waiting": release(IRIS, releases.waiting),
        "release-rolled-back": release(CHURN, releases.rolled_back),
        "release-rejected": release(CHURN, releases.rejected),
        "release-failed": release(CHURN, releases.failed),
        "release-refused": release(CHURN, releases.refused),
        "release-on-trial": release(WINE, releases.on_trial),
        "model": f"/dags/{IRIS}/plugin/slipway-model",
        "model-rolled-back": f"/dags/{CHURN}/plugin/slipway-model",
        "model-on-trial": f"/dags/{WINE}/plugin/slipway-model",
    }


@pytest.fixture(scope="module")
def camera(slipway: Instance, chromium: Browser) -> Iterator[Camera]:
    with _asking(slipway):
        releases = six_releases.make(slipway)
        expect.set_options(timeout=PATIENCE_MS)
        yield Camera(slipway, chromium, releases)
        expect.set_options(timeout=5_000)


@contextmanager
def _asking(slipway: Instance) -> Iterator[None]:
    """Send rows to the endpoint with two variants now and then, from its first release on."""
    ended = Event()

    def ask() -> None:
        while not ended.wait(SECONDS_BETWEEN_ROWS):
            with suppress(ClientError):
                slipway.ask(f"{WINE}-production", "wine")

    asking = Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        ended.set()
        asking.join()


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_the_boards_pages(camera: Camera, scheme: str, width: int) -> None:
    with camera.logged_in("alice", scheme, width) as page:
        for name, path in board_pages(camera.releases).items():
            camera.board(page, path)
            camera.take_whole(page, f"{name}-{scheme}-{width}")
            camera.examine(page, f"{name}-{scheme}-{width}")
    assert camera.found == []


def test_the_waterfall_of_a_release(camera: Camera) -> None:
    """A real release's tasks, by Airflow's own events, and the trace that this Airflow has sent."""
    with camera.logged_in("alice") as page:
        camera.board(page, release(IRIS, camera.releases.live))
        expect(tasks_of(page)).to_contain_text("Each call to AWS is in the trace that Airflow sends")
        # Of the job and of the answer; a stack that is soon done has none.
        assert tasks_of(page).locator("[data-kind=wait]").count() >= 2
        camera.take(tasks_of(page), "waterfall")


def test_the_console_of_the_local_aws(camera: Camera) -> None:
    """An endpoint with its variants and what they were asked."""
    key = environment.aws_credentials(camera.slipway.settings).operator
    signed_in: HttpCredentials = {"username": key.access_key_id, "password": key.secret_access_key}
    context = camera.browser.new_context(http_credentials=signed_in, viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.goto(f"{camera.slipway.settings.aws_url}/_local_aws/endpoint?name={WINE}-production")
    expect(page.get_by_text("model-b: Requests", exact=True)).to_be_visible()
    camera.take(page, "console")
    context.close()


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_airflows_own_pages(camera: Camera, scheme: str, width: int) -> None:
    waiting = run(IRIS, camera.releases.waiting)
    with camera.logged_in("alice", scheme, width) as page:
        camera.airflow(page, f"{waiting}/tasks/approve/required_actions", "Approve: ")
        camera.take(page, f"approval-{scheme}-{width}")
        camera.airflow(page, waiting, "build")
        camera.take(page, f"grid-{scheme}-{width}")
        # Its key: a narrow window has no room for the button.
        page.keyboard.press("g")
        page.wait_for_selector(".react-flow__node >> text=approval")
        camera.take(page, f"graph-{scheme}-{width}")
        page.keyboard.press("g")
        camera.airflow(page, f"/dags/{IRIS}", "Trigger")
        page.get_by_role("button", name="Trigger").first.click()
        # One of them is open at a time.
        for section, field in (("Release a version", "version_id"), ("Roll production back", "roll_back_to")):
            page.get_by_role("button", name=section).click()
            expect(page.locator(f"[name=element_{field}]")).to_be_visible()
            camera.take(page, f"form-{field.replace('_', '-')}-{scheme}-{width}")


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_what_bob_may_not_do(camera: Camera, scheme: str, width: int) -> None:
    with camera.logged_in("bob", scheme, width) as page:
        camera.airflow(page, f"{run(IRIS, camera.releases.waiting)}/tasks/approve/required_actions", "Approve: ")
        # What shows the reasons is there.
        page.wait_for_function("XMLHttpRequest.prototype.open.name !== 'open'")
        page.get_by_role("button", name="Approve", exact=True).click()
        expect(page.get_by_test_id("slipway-refusal").first).to_contain_text("only its approvers may")
        camera.take(page, f"refusal-in-airflow-{scheme}-{width}")
        camera.board(page, release(IRIS, camera.releases.waiting))
        expect(page.get_by_text("Only its approvers may (alice, carol).")).to_be_visible()
        camera.take(page, f"refusal-on-the-board-{scheme}-{width}")
        camera.board(page, f"/dags/{IRIS}/plugin/slipway-model")
        camera.take(page, f"refusal-of-a-roll-back-{scheme}-{width}")


def test_a_refused_form(camera: Camera) -> None:
    """Airflow's own dialog says why, so the board does not say it again."""
    with camera.logged_in("alice") as page:
        camera.airflow(page, f"/dags/{IRIS}", "Trigger")
        page.wait_for_function("XMLHttpRequest.prototype.open.name !== 'open'")
        page.get_by_role("button", name="Trigger").first.click()
        page.get_by_role("button", name="Release a version").click()
        page.locator("[name=element_version_id]").fill("v1")
        page.get_by_role("button", name="Roll production back").click()
        page.locator("[name=element_roll_back_to]").fill("previous")
        page.get_by_test_id("trigger-dag-submit").click()
        expect(page.get_by_test_id("error-alert")).to_contain_text("version_id")
        expect(page.get_by_test_id("slipway-refusal")).to_have_count(0)
        camera.take(page, "refusal-of-a-form")


def test_a_failure_of_each_task(
    camera: Camera, tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]
) -> None:
    """From the list each failure is one click away; docs/failures.md has the texts."""
    folder = tmp_path_factory.mktemp("failures")
    with serving(folder, free_ports(1)[0], fill_failures) as server:
        page = camera.browser.new_page(viewport={"width": 1100, "height": 620}, reduced_motion="reduce")
        page.set_default_timeout(PATIENCE_MS)
        log_in(page, server.url, "alice", PASSWORDS["alice"])
        for task_id in CASES:
            model = failing_model(task_id)
            page.goto(f"{server.url}{RELEASES}?text={model}")
            expect(page.get_by_role("region", name=f"Failed: {task_id}")).to_contain_text("Fix")
            row = page.get_by_role("row", name=model).first
            failed = row.get_by_role("cell").filter(has_text="failed").get_by_role("link")
            # The last task has no stage.
            failed.or_(row.get_by_role("link", name="v13")).first.click()
            page.wait_for_selector(f"{BOARD} h1:has-text('{model}')")
            expect(page.get_by_role("region", name=f"Failed: {task_id}")).to_contain_text("Fix")
            camera.take(page, f"failure-{task_id}")
        page.close()


def test_the_actions(camera: Camera) -> None:
    """Last, because they change what the other pages show."""
    made = camera.releases
    with camera.logged_in("alice") as page:
        camera.board(page, release(WINE, made.on_trial))
        for option in ("Retire", "Keep", "Promote"):
            page.get_by_role("button", name=option, exact=True).click()
            camera.take(page, f"action-{option.lower()}")
        _confirm(page, "Promote ")
        camera.take(page, "action-promote-stored")
        camera.board(page, release(IRIS, made.waiting))
        page.get_by_role("button", name="Reject", exact=True).click()
        camera.take(page, "action-reject")
        page.get_by_role("button", name="Approve", exact=True).click()
        page.get_by_role("textbox").fill("Better on every class.")
        camera.take(page, "action-approve")
        _confirm(page, "Approve ")
        camera.take(page, "action-approve-stored")
        camera.board(page, f"/dags/{CHURN}/plugin/slipway-model")
        page.get_by_role("button", name="Release a version").click()
        expect(page.get_by_role("combobox", name="Version")).to_be_visible()
        camera.take(page, "action-release-a-version")
        page.get_by_role("button", name="Roll back to ").first.click()
        camera.take(page, "action-roll-back")
        camera.board(page, release(CHURN, made.refused))
        page.get_by_role("button", name="Release this version again").click()
        expect(page.get_by_role("status")).to_contain_text("The release has started")
        camera.take(page, "action-release-again")
    assert camera.slipway.wait_end(WINE, made.on_trial) == "success", camera.slipway.story(WINE, made.on_trial)
    assert camera.slipway.wait_end(IRIS, made.waiting) == "success", camera.slipway.story(IRIS, made.waiting)


@pytest.mark.parametrize("name", DOCS)
def test_a_picture_of_the_docs(name: str) -> None:
    """Give those that docs/images has their names, and few colours, so that they are small."""
    folder, (taken, height) = FOLDER / "docs", DOCS[name]
    folder.mkdir(exist_ok=True)
    with Image.open(FOLDER / f"{taken}.png") as picture:
        seen = picture.convert("RGB").crop((0, 0, picture.width, min(height, picture.height)))
        seen.quantize(256, dither=Image.Dither.NONE).save(folder / f"{name}.png", optimize=True)
    assert (folder / f"{name}.png").stat().st_size < 150_000


def _confirm(page: Page, label: str) -> None:
    """Press the second button of an answer, and wait until the server has stored it."""
    page.locator("form").get_by_role("button", name=label).click()
    expect(page.get_by_text("Your answer is stored").or_(page.get_by_text("was answered")).first).to_be_visible()
