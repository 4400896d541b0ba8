"""People who look at Airflow's UI, each with a tab in which they go from page to page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

from playwright.sync_api import Browser, BrowserContext, Page

from tests.e2e.board_server import PASSWORDS, BoardServer

RELEASES = "/plugin/slipway"
MODEL = "/dags/iris-model/plugin/slipway-model"
BOARD = "#slipway-board"
# The machine may be busy; no test says how fast a page must be.
PATIENCE_MS = 120_000.0
# Airflow's bars of progress move for ever, also while they are hidden, and each of 60 frames a second is a layout: a
# fifth of a core. Playwright's own screenshots stop what moves, too.
STILL = """{
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(".chakra-progress__range { animation: none !important }");
  document.adoptedStyleSheets.push(sheet);
}"""
# When a tab opens its first page. What it keeps for its session is its own.
FIRST = "if (!sessionStorage.length) { localStorage.clear(); sessionStorage.setItem('opened', 'yes') }"
# What the router of Airflow's UI sees of a link: the page is another one, and the scripts stay. To load these again is
# three seconds of CPU time. https://reactrouter.com/api/data-routers/createBrowserRouter
FOLLOW = "path => { history.pushState(null, '', path); dispatchEvent(new PopStateEvent('popstate')) }"
# A browser forgets what it keeps, and has the theme that somebody has chosen in another tab.
FORGET = """theme => {
  localStorage.clear();
  localStorage.setItem('theme', theme);
  dispatchEvent(new StorageEvent('storage', { key: 'theme', newValue: theme }));
}"""
SHOWN = "theme => document.documentElement.classList.contains(theme)"
# Airflow says that there is no such page, and nothing of the page before is left.
NOWHERE = "/nowhere"

Opens = Callable[..., Page]


def log_in(page: Page, url: str, user: str, password: str, to: str = "/") -> None:
    """Log in by the form, which leads to a page then."""
    page.goto(f"{url}/auth/login?next={quote(to, safe='')}")
    page.fill("input[name=username]", user)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_url(lambda address: "login" not in address.partition("?")[0])


@dataclass
class Tabs:
    """A browser for each user, so to speak, with one tab that stays open from test to test."""

    chromium: Browser
    server: BoardServer
    _browsers: dict[str, BrowserContext] = field(default_factory=dict)
    _open: dict[str, Page] = field(default_factory=dict)

    def show(self, path: str, user: str, scheme: str, width: int) -> Page:
        """Go to a page, in a browser that knows nothing of earlier pages but the login.

        The first one of a tab is opened by its address, the others as by links.
        """
        page = self._open.get(user)
        if page is None:
            return self._first(path, user, scheme, width)
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(FORGET, scheme)
        page.wait_for_function(SHOWN, arg=scheme)
        page.evaluate(FOLLOW, path)
        return page

    def _first(self, path: str, user: str, scheme: str, width: int) -> Page:
        known = user in self._browsers
        if not known:
            self._browsers[user] = self.chromium.new_context()
            self._browsers[user].set_default_timeout(PATIENCE_MS)
            self._browsers[user].add_init_script(STILL)
        page = self._open[user] = self._browsers[user].new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.add_init_script(f"{FIRST} localStorage.setItem('theme', '{scheme}')")
        if known:
            page.goto(f"{self.server.url}{path}")
        else:
            log_in(page, self.server.url, user, PASSWORDS[user], path)
        return page

    def leave(self) -> None:
        """Go away from each page, which then asks for nothing more and is made anew by the next test."""
        for user, page in list(self._open.items()):
            if page.is_closed():
                del self._open[user]
            else:
                page.evaluate(FOLLOW, NOWHERE)
                page.wait_for_selector(BOARD, state="detached")

    def close(self) -> None:
        """Close each tab. The next page of a user is opened by its address."""
        for page in self._open.values():
            page.close()
        self._open.clear()
