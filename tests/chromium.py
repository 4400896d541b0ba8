"""The browser of the tests that look at pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.conftest import ROOT
from tools import browser

# npm's axe-core, for the accessibility rules of WCAG 2.2.
_AXE = (ROOT / "tests/axe-4.14.1.min.js").read_text()

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    # The second as in the browser with windows: what the cache has of a site's page is not for another site's frames.
    # The others are Playwright's own, which this argument takes the place of.
    "--enable-features=CDPScreenshotNewSurface,SplitCacheByNetworkIsolationKey,SkipListAccountsWithoutGaiaCookies",
)


@contextmanager
def started(*arguments: str) -> Iterator[Browser]:
    """Start a browser without a window, and end it.

    :param arguments: of its command line, beside the usual ones.
    """
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.ensure(), args=[*_ARGUMENTS, *arguments])
        try:
            yield chromium
        finally:
            chromium.close()


def violations(page: Page, part: str = "html") -> list[dict[str, Any]]:
    """Have axe look at a page: https://github.com/dequelabs/axe-core finds contrast, names, roles and structure.

    :param part: the selector of what it looks at.
    :returns: what keeps people out. What passes each rule is not described, which halves the time.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(_AXE)
    found: dict[str, list[dict[str, Any]]] = page.evaluate(
        "part => axe.run(part, { resultTypes: ['violations'] })", part
    )
    return found["violations"]
