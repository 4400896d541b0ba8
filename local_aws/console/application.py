"""Answers requests for pages."""

import asyncio
import logging
import re
from collections.abc import Callable
from urllib.parse import parse_qs

from local_aws.console import addresses, layout
from local_aws.console.html import Markup, tag
from local_aws.console.pages import (
    alarms,
    buckets,
    builds,
    dashboards,
    endpoints,
    images,
    jobs,
    ledger,
    log,
    messages,
    overview,
    packages,
    stacks,
)
from local_aws.console.request import Asked, Missing, Page
from local_aws.console.sign_in import CHALLENGE, is_signed_in
from local_aws.console.sources import Sources
from local_aws.framework.store import Scope
from local_aws.front.asgi import AsgiScope, Receive, Send, answer
from local_aws.front.paths import CONSOLE_PATH
from local_aws.host.credentials import Credentials
from local_aws.host.environment import DEFAULT_ACCOUNT, DEFAULT_REGION

_PAGES: dict[str, Callable[[Asked, Sources], Page]] = {
    "": overview.overview,
    "alarm": alarms.alarm,
    "alarms": alarms.alarms,
    "bucket": buckets.bucket,
    "buckets": buckets.buckets,
    "build": builds.build,
    "builds": builds.builds,
    "dashboard": dashboards.dashboard,
    "dashboards": dashboards.dashboards,
    "endpoint": endpoints.endpoint,
    "endpoints": endpoints.endpoints,
    "group": packages.group,
    "groups": packages.groups,
    "image": images.image,
    "job": jobs.job,
    "jobs": jobs.jobs,
    "ledger": ledger.ledger,
    "log": log.log,
    "messages": messages.messages,
    "object": buckets.object_,
    "package": packages.package,
    "queue": messages.queue,
    "repositories": images.repositories,
    "repository": images.repository,
    "stack": stacks.stack,
    "stacks": stacks.stacks,
}
_AWS_HOME = re.compile(rf"({'|'.join(sorted(addresses.SERVICES))})/home")
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_HOW_TO_SIGN_IN = (
    "Reload the page and sign in with an access key: AWS_ACCESS_KEY_ID of .slipway/env is the user name, "
    "AWS_SECRET_ACCESS_KEY the password. With docker compose, they are SLIPWAY_OPERATOR_ACCESS_KEY_ID and "
    "SLIPWAY_OPERATOR_SECRET_ACCESS_KEY in .env."
)

_log = logging.getLogger(__name__)


class Console:
    """The console as an ASGI application. Its requests have been checked as those of any client.

    :param sources: where pages read from
    :param credentials: the operator's and the administrator's keys let in
    """

    def __init__(self, sources: Sources, credentials: Credentials) -> None:
        self._sources = sources
        self._keys = (credentials.operator, credentials.admin)

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one request. Pages are made in another thread, so that AWS's calls do not wait for them."""
        status, more, page = 405, {"allow": "GET, HEAD"}, layout.plain_page("These pages only show")
        if scope["method"] in ("GET", "HEAD"):
            if is_signed_in(scope["headers"], self._keys):
                status, more, page = await asyncio.to_thread(self._made, scope)
            else:
                status, more, page = 401, CHALLENGE, layout.plain_page("Sign in", tag("p", _HOW_TO_SIGN_IN))
        body = b"" if scope["method"] == "HEAD" else page.encode()
        await answer(send, status, {**layout.HEADERS, **more}, body)

    def _made(self, scope: AsgiScope) -> tuple[int, dict[str, str], Markup]:
        asked = _asked(scope)
        try:
            if match := _AWS_HOME.fullmatch(asked.path):
                return _found(asked, match[1])
            if asked.path not in _PAGES:
                raise Missing(f"There is no page {CONSOLE_PATH}/{asked.path}.")
            return 200, {}, layout.framed(asked, _PAGES[asked.path](asked, self._sources))
        except Missing as missing:
            return 404, {}, layout.framed(asked, Page("Not here", tag("p", str(missing)), "-"))
        except Exception:
            _log.exception("The page %s failed", asked.path)
            told = tag("p", "The local AWS could not make this page; its log says why.")
            return 500, {}, layout.framed(asked, Page("This page failed", told, "-"))


def _asked(scope: AsgiScope) -> Asked:
    try:
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        # No page has so many parameters.
        query = {}
    first = {name: values[0] for name, values in query.items()}
    account, region = first.get("account", ""), first.get("region", "")
    return Asked(
        scope["path"].removeprefix(CONSOLE_PATH).lstrip("/"),
        first,
        Scope(
            account if _ACCOUNT.fullmatch(account) else DEFAULT_ACCOUNT,
            region if _REGION.fullmatch(region) else DEFAULT_REGION,
        ),
    )


def _found(asked: Asked, service: str) -> tuple[int, dict[str, str], Markup]:
    """Lead from an address of AWS's console to the page."""
    if "at" not in asked.query:
        return 200, {}, layout.forwarding()
    if not asked.query["at"]:
        return 303, {"location": asked.url("")}, layout.forwarding()
    page = addresses.page_of(asked, service, asked.query["at"])
    if page is None:
        raise Missing("AWS's console has more pages than this one.")
    return 303, {"location": page}, layout.forwarding()
