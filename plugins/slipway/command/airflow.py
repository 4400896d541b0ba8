"""Airflow's API and the board's, as the person who is logged in.

https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from slipway.command.errors import CommandError
from slipway.command.exits import Exit

_TIMEOUT_SECONDS = 30.0
# What is shown of an answer that is no JSON.
_SHOWN = 300
BOARD = "slipway/api/v1"
# The board's longest page, and Airflow's where nobody has set another limit.
_PAGE = 100


class Airflow:
    """One Airflow and one person.

    :param url: its address
    :param token: the person's token
    :param renewed: makes a new token when that one is no longer accepted; None if nobody can
    """

    def __init__(self, url: str, token: str, renewed: Callable[[], str | None] = lambda: None) -> None:
        self.url = url
        self._token = token
        self._renewed = renewed

    def board(self, path: str, **query: Any) -> Any:
        """Read a document of the board, which plugins/slipway/board/openapi.json describes.

        :param path: below the API's root
        :raises CommandError: when there is no such document, or Airflow refuses
        """
        return self.send("GET", f"/{BOARD}/{path}{_query(query)}")

    def api(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Call a path below /api/v2.

        :raises CommandError: when Airflow refuses
        """
        return self.send(method, f"/api/v2/{path}{_query(query)}", body)

    def listed(self, path: str, name: str, **query: Any) -> list[dict[str, Any]]:
        """Read a list of Airflow's, page by page; ``[api] maximum_page_limit`` may make pages shorter than asked for.

        :param path: below /api/v2
        :param name: of the list in the answer
        :raises CommandError: when Airflow refuses
        """

        def read(offset: int) -> Any:
            return self.api("GET", path, limit=_PAGE, offset=offset, **query)

        found: list[dict[str, Any]] = _whole(read, name, "total_entries")[name]
        return found

    def releases(self, **query: Any) -> dict[str, Any]:
        """Read the board's first page with the models of all its pages.

        :raises CommandError: when Airflow refuses
        """
        return _whole(lambda offset: self.board("releases", limit=_PAGE, offset=offset, **query), "models", "total")

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """Call any path and return the decoded answer.

        :raises CommandError: when Airflow does not answer or refuses
        """
        status, answer = _request(self.url, method, path, body, self._token)
        if _is_no_login(status, answer) and (token := self._renewed()):
            self._token = token
            status, answer = _request(self.url, method, path, body, token)
        if status < 300 and not (isinstance(answer, str) and path.startswith(f"/{BOARD}")):
            return answer
        raise refusal(self.url, f"{method} {path}", status, answer)

    def user(self) -> str:
        """Return the name that Airflow knows the person by."""
        return str(self.board("releases", limit=1)["user"])

    def run_url(self, model: str, run_id: str) -> str:
        """Return the address of a run's page."""
        return f"{self.url}/dags/{quoted(model)}/runs/{quoted(run_id)}"

    def answer(self, model: str, decision: Mapping[str, Any], option: str, comment: str) -> Any:
        """Answer a question through the route that Airflow's own page uses; the guard checks it."""
        path = f"{run_path(model, decision['run_id'])}/taskInstances/{quoted(decision['task_id'])}"
        body = {"chosen_options": [option], "params_input": {"comment": comment} if comment else {}}
        return self.api("PATCH", f"{path}/{decision['map_index']}/hitlDetails", body)

    def start(self, dag_id: str, conf: Mapping[str, Any], run_id: str, note: str) -> str:
        """Start a run through the route that Airflow's own form uses; the guard checks who orders it.

        :returns: its id
        """
        body = {"conf": dict(conf), "dag_run_id": run_id, "logical_date": None, "note": note}
        return str(self.api("POST", f"dags/{quoted(dag_id)}/dagRuns", body)["dag_run_id"])


def login(url: str, user: str, password: str) -> str:
    """Exchange a name and a password for a token; Airflow decides how long it is valid.

    https://airflow.apache.org/docs/apache-airflow/stable/security/api.html

    :raises CommandError: when Airflow does not know them
    """
    body = {"username": user, "password": password}
    status, answer = _request(url, "POST", "/auth/token", body, None)
    if status in (200, 201) and isinstance(answer, dict) and isinstance(answer.get("access_token"), str):
        return str(answer["access_token"])
    if status in (400, 401, 403, 422):
        raise CommandError(
            "Airflow does not accept this login",
            where=url,
            why=f"{user or 'no name'}: {_detail(answer) or f'HTTP {status}'}",
            fix="check name and password; with another login service, set SLIPWAY_AIRFLOW_TOKEN to a token from there",
            code=Exit.NO_ACCESS,
        )
    raise refusal(url, "POST /auth/token", status, answer)


def refusal(url: str, request: str, status: int, answer: Any) -> CommandError:
    """Say why a request had no success, in the words of the server where it has any.

    :param url: Airflow's address
    :param request: method and path
    :param status: HTTP's
    :param answer: the decoded body
    """
    detail = _detail(answer)
    if _is_no_login(status, answer):
        return CommandError(
            "You are not logged in any more",
            where=url,
            why=detail or "Airflow does not accept the token",
            fix="slipway login, or a new SLIPWAY_AIRFLOW_TOKEN",
            code=Exit.NO_ACCESS,
        )
    if status in (403, 409, 422):
        what = {403: "You may not do this", 409: "This cannot be done now", 422: "Airflow does not accept this"}[status]
        fix = {
            403: "ask somebody who may, or log in as somebody else: slipway login",
            409: "look at the present state: slipway status",
            422: "correct what the reason names",
        }[status]
        return CommandError(what, where=url, why=detail or f"HTTP {status}", fix=fix, code=Exit.REFUSED)
    if status == 404 or (status < 300 and isinstance(answer, str)):
        return CommandError(
            "Airflow has no such thing",
            where=f"{url}: {request}",
            why=detail or "it answered with a page: Slipway's plugin is not loaded there, or is of another version",
            fix="check the names with: slipway status; the set-up with: slipway doctor",
            code=Exit.NOT_FOUND,
        )
    return CommandError(
        "Airflow answered with an error",
        where=f"{url}: {request}",
        why=f"HTTP {status}: {detail or str(answer)[:_SHOWN]}",
        fix="try again; if it stays, the API server's log has the reason",
        code=Exit.UNREACHABLE,
    )


def quoted(name: str) -> str:
    """Write a name as a part of a path."""
    return quote(name, safe="")


def run_path(model: str, run_id: str) -> str:
    """Return the path of a run below /api/v2."""
    return f"dags/{quoted(model)}/dagRuns/{quoted(run_id)}"


def open_url(url: str) -> dict[str, Any]:
    """Read a JSON document that needs no login, whatever the status of the answer.

    :raises CommandError: when nothing answers
    """
    parts = urlsplit(url)
    status, answer = _request(f"{parts.scheme}://{parts.netloc}", "GET", parts.path, None, None)
    return answer if isinstance(answer, dict) else {"status": status}


def _whole(read: Callable[[int], dict[str, Any]], name: str, total: str) -> dict[str, Any]:
    """Read the pages of a list; return the first one with the list of all.

    :param read: returns the page from a number on
    :param name: of the list in a page
    :param total: the member that says how long the list is
    """
    page = more = read(0)
    while len(page[name]) < more[total] and more[name]:
        more = read(len(page[name]))
        page[name] += more[name]
    return page


def _is_no_login(status: int, answer: Any) -> bool:
    """Tell whether the token is at fault: Airflow says 401 without one, and 403 of one that it cannot read."""
    return status == 401 or (status == 403 and _detail(answer) in ("Invalid JWT token", "Token Expired"))


def _query(query: Mapping[str, Any]) -> str:
    return f"?{urlencode(query, doseq=True)}" if query else ""


def _detail(answer: Any) -> str:
    detail = answer.get("detail") if isinstance(answer, dict) else None
    if isinstance(detail, str):
        return detail
    if isinstance(detail, dict):
        return str(detail.get("reason") or detail.get("message") or detail)
    if isinstance(detail, list):
        return "; ".join(str(one.get("msg", one)) if isinstance(one, dict) else str(one) for one in detail)
    return ""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follow no redirect: a token must not go to another address."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _request(url: str, method: str, path: str, body: Any, token: str | None) -> tuple[int, Any]:
    """Send one request; the body of the answer is decoded if it is JSON.

    :raises CommandError: when nothing answers
    """
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}{path}", data, headers, method=method)  # noqa: S310 (checked_url)
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if is_loopback(url):
        # On this machine: the environment's proxy cannot reach it.
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=_TIMEOUT_SECONDS) as response:
            return response.status, _decoded(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _decoded(error.read())
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise CommandError(
            "Airflow does not answer",
            where=url,
            why=str(reason) or type(error).__name__,
            fix="check the address and your network; for the local system: make up",
            code=Exit.UNREACHABLE,
        ) from error


def is_loopback(url: str) -> bool:
    """Tell whether an address is of this machine."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _decoded(body: bytes) -> Any:
    text = body.decode(errors="replace")
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
