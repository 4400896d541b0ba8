"""A browser with which people look at an instance, for pictures of its pages."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect

from tests.chromium import violations
from tests.e2e.six_releases import SixReleases
from tests.e2e.tabs import BOARD, PATIENCE_MS, log_in
from tests.instance import Instance
from tools import environment

FOLDER = Path(os.environ.get("PICTURES") or "pictures")
HEIGHT = 1100
BOARD_HEIGHT = f"document.querySelector('{BOARD}').scrollHeight"
# Airflow's own pages show their parts when their data have come.
QUIET = "networkidle"


@dataclass
class Camera:
    """A browser with which people look at an instance, and what axe found on the board's pages."""

    slipway: Instance
    browser: Browser
    releases: SixReleases
    found: list[str] = field(default_factory=list)

    @contextmanager
    def logged_in(
        self, user: str = "alice", scheme: str = "light", width: int = 1440, height: int = 1180
    ) -> Iterator[Page]:
        """A page of somebody who has just logged in."""
        context = self.browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(f"localStorage.setItem('theme', '{scheme}')")
        page = context.new_page()
        log_in(page, self.slipway.settings.airflow_url, user, environment.passwords(self.slipway.settings)[user])
        yield page
        context.close()

    def board(self, page: Page, path: str) -> None:
        """Open one of the board's pages."""
        page.goto(f"{self.slipway.settings.airflow_url}{path}")
        page.wait_for_selector(f"{BOARD} h1")
        page.wait_for_selector("text=Reading…", state="detached")

    def airflow(self, page: Page, path: str, text: str) -> None:
        """Open one of Airflow's pages, and wait for a text of it."""
        page.goto(f"{self.slipway.settings.airflow_url}{path}")
        page.wait_for_load_state(QUIET)
        expect(page.get_by_text(text).first).to_be_visible()

    def take(self, seen: Page | Locator, name: str) -> None:
        """Take a picture of the window, or of a part of it."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        seen.screenshot(path=FOLDER / f"{name}.png", animations="disabled")

    def take_whole(self, page: Page, name: str) -> None:
        """Take a picture of all of one of the board's pages, which scrolls by itself."""
        window = page.viewport_size or {"width": 1440, "height": HEIGHT}
        hidden = page.evaluate(f"(({BOARD_HEIGHT}) - document.querySelector('{BOARD}').clientHeight)")
        page.set_viewport_size({"width": window["width"], "height": window["height"] + max(0, int(hidden))})
        self.take(page, name)
        page.set_viewport_size(window)

    def examine(self, page: Page, name: str) -> None:
        """Have axe look at the board's part of the page."""
        self.found += [f"{name}: {one['id']}: {one['nodes'][0]['html']}" for one in violations(page, BOARD)]
