"""What a page is asked for, and the addresses of pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlencode

from local_aws.console.html import Content, Markup, tag
from local_aws.framework.store import Scope
from local_aws.front.paths import CONSOLE_PATH
from local_aws.host.environment import DEFAULT_ACCOUNT, DEFAULT_REGION

# Rows of a page of a list.
ROWS = 50


class Missing(Exception):
    """There is nothing of this name; the message says so."""


class Page(NamedTuple):
    """A page's own part.

    :param title: its heading
    :param content: what is below it
    :param part: the path of the entry of the navigation that it belongs to
    :param form: what does not change by itself, above the content
    """

    title: str
    content: Content
    part: str
    form: Markup | None = None


@dataclass(frozen=True)
class Asked:
    """A request for a page.

    :param path: below the console's, such as ``jobs``
    :param query: the first value of each key
    :param scope: whose resources
    """

    path: str
    query: Mapping[str, str]
    scope: Scope

    def get(self, name: str) -> str:
        """Return a parameter, stripped; empty where there is none."""
        return self.query.get(name, "").strip()

    def whole(self, name: str, default: int) -> int:
        """Return a parameter that is a whole number from 0."""
        value = self.get(name)
        return int(value) if value.isascii() and value.isdecimal() and len(value) < 16 else default

    def url(self, path: str, /, **query: str | float) -> str:
        """Return the address of a page for the same account and region.

        :param path: below the console's
        :param query: its parameters; empty ones are left out
        """
        kept = {name: value for name, value in query.items() if value != ""}
        if self.scope.account_id != DEFAULT_ACCOUNT:
            kept["account"] = self.scope.account_id
        if self.scope.region != DEFAULT_REGION:
            kept["region"] = self.scope.region
        return f"{CONSOLE_PATH}/{path}" + (f"?{urlencode(kept, errors='replace')}" if kept else "")

    def link(self, content: Content, path: str, /, **query: str | float) -> Markup:
        """Return a link to a page."""
        return tag("a", content, href=self.url(path, **query))

    def position(self) -> tuple[float, str] | None:
        """Return where a list goes on: the CreationTime and name of the page before."""
        at, _, name = self.get("before").partition(" ")
        try:
            return (float(at), name) if at else None
        except ValueError:
            return None
