"""The browser of the tests that look at pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tools import browser

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
