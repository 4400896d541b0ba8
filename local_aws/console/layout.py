"""The frame of every page, and the headers that let a browser do nothing but show it."""

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path

from local_aws.console.html import Content, Markup, tag
from local_aws.console.request import Asked, Page

_PARTS = (
    ("", "Overview"),
    ("jobs", "Training jobs"),
    ("endpoints", "Endpoints"),
    ("groups", "Model registry"),
    ("repositories", "Images"),
    ("builds", "Builds"),
    ("stacks", "Stacks"),
    ("buckets", "Buckets"),
    ("alarms", "Alarms"),
    ("dashboards", "Dashboards"),
    ("messages", "Messages"),
    ("ledger", "Calls"),
)


def _read(name: str) -> Markup:
    # None of these files has "</", which would end the element.
    return Markup((Path(__file__).parent / name).read_text())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_STYLE, _SCRIPT, _FORWARD = _read("console.css"), _read("console.js"), _read("forward.js")

# Nothing is loaded and no script runs but these, whatever a name or a log line contains; and no page sees this one.
# https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Content-Security-Policy
HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "; ".join(
        (
            "default-src 'none'",
            f"style-src {_hash(_STYLE)}",
            f"script-src {_hash(_SCRIPT)} {_hash(_FORWARD)}",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def framed(asked: Asked, page: Page) -> Markup:
    """Write a page that refreshes itself.

    :param asked: what was asked for
    :param page: its own part
    """
    links = [
        tag("li", tag("a", name, href=asked.url(path), aria_current="page" if path == page.part else None))
        for path, name in _PARTS
    ]
    header = tag("header", tag("p", "The local AWS", class_="name"), tag("nav", tag("ul", links), aria_label="Console"))
    now = datetime.now(UTC)
    as_of = tag("p", "As of ", tag("time", f"{now:%H:%M:%S}", datetime=now.isoformat(timespec="seconds")), " UTC.")
    told = tag("span", "", id="refreshed", class_="note")
    button = tag("button", "Pause", id="refresh", type="button", hidden=True)
    bar = tag("div", tag("h1", page.title), tag("p", told, " ", button), class_="bar")
    live = tag("div", tag("div", as_of, class_="as-of"), page.content, id="live")
    main = tag("main", bar, page.form, live, id="main", tabindex="-1")
    footer = tag("footer", _elsewhere(asked))
    skip = tag("a", "Skip to the content", href="#main", class_="skip")
    return _document(f"{page.title}, local AWS", skip, header, main, footer, tag("script", _SCRIPT))


def _elsewhere(asked: Asked) -> Markup:
    fields = [
        tag("div", tag("label", label, for_=f"other-{name}"), tag("input", id=f"other-{name}", name=name, value=value))
        for label, name, value in (
            ("Account", "account", asked.scope.account_id),
            ("Region", "region", asked.scope.region),
        )
    ]
    return tag("form", fields, tag("button", "Go"), method="get", action=asked.url("").partition("?")[0])


def plain_page(title: str, *content: Content) -> Markup:
    """Write a page without navigation.

    :param title: its heading
    :param content: what is below it
    """
    return _document(f"{title}, local AWS", tag("main", tag("h1", title), *content))


def forwarding() -> Markup:
    """Write the page that sends what is behind the ``#`` of its address."""
    note = tag("p", "This page is found by a script, which the browser does not run.")
    return _document(
        "Local AWS", tag("main", tag("h1", "The local AWS"), tag("noscript", note)), tag("script", _FORWARD)
    )


def _document(title: str, *body: Content) -> Markup:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", _STYLE),
    )
    return Markup(f"<!doctype html>{tag('html', head, tag('body', *body), lang='en')}")
