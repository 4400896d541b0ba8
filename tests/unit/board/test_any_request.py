"""Requests of any kind, asked of Airflow's own API server: the board's API answers each, and refuses what it must."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.generated import examples
from tests.unit.guard.real_server import IRIS, RUN

API = "/slipway/api/v1"
DESCRIPTION = json.loads((ROOT / "plugins/slipway/board/openapi.json").read_text())
ROUTES = {path: description["get"].get("parameters", []) for path, description in DESCRIPTION["paths"].items()}
STATUSES = {200, 400, 401, 403, 404, 405, 422}
FOREIGN = "https://somewhere-else.example"
# No person writes these, and a program may.
ODD = (
    "",
    " ",
    ".",
    "..",
    "../..",
    "%2e%2e",
    "%",
    "%%%",
    "%zz",
    "\0",
    "%00",
    "%2500",
    "a\nb",
    "a\r\nSet-Cookie: a=b",
    "%0a",
    "%250a",
    "\u202e",
    "\ufeff",
    "é",
    "日本",
    "👩🏽‍🔬",
    "\ud800",
    "_",
    "'",
    "' or 1=1 --",
    "{dag_id}",
    "a" * 5_000,
    "-1",
    "0",
    "1e308",
    "NaN",
    "Infinity",
    "true",
    "null",
    "[]",
    "٣",
    str(2**31),
    str(2**63),
    str(2**64),
    "9" * 5_000,
)
texts = st.sampled_from(ODD) | st.text(max_size=40) | st.integers().map(str) | st.floats().map(str)
known = st.sampled_from([IRIS, RUN, f"{IRIS}/releases", "iris_model", "IRIS-MODEL"])


def encoded(text: str, safe: str) -> str:
    """Return what stands in the request line, with the bytes of half a character too."""
    return quote(text.encode("utf-8", "surrogatepass"), safe=safe)


@st.composite
def requests(draw: st.DrawFn) -> str:
    """A path and a query: of a route's own parameters and of others, with values of any kind."""
    route = draw(st.sampled_from(sorted(ROUTES)))
    path = route
    for name in ("dag_id", "run_id"):
        path = path.replace(f"{{{name}}}", encoded(draw(known | texts), draw(st.sampled_from(["", "/%"]))))
    own = [one["name"] for one in ROUTES[route] if one["in"] == "query"]
    names = st.sampled_from([*own, "user", "dag_id"]) if own else texts
    query = draw(st.lists(st.tuples(names, texts), max_size=4))
    return f"{API}{path}?" + "&".join(f"{encoded(name, '')}={encoded(value, '')}" for name, value in query)


@given(target=requests())
@example(target=f"{API}/releases?text=%00")
@example(target=f"{API}/releases?text=%ED%A0%80")
@example(target=f"{API}/releases?offset={'9' * 5_000}")
@example(target=f"{API}/models/%00")
@example(target=f"{API}/models/{IRIS}/releases?limit=1&limit=x&offset=-1")
@examples("requests to the board")
def test_no_request_is_an_error_of_the_servers(real_server: Any, target: str) -> None:
    status, answer = real_server.send("GET", target, user="alice")
    assert status in STATUSES, (target, status, answer)
    # Nothing of the server's insides; a page that is none is Airflow's own, in HTML.
    assert "Traceback" not in str(answer)
    if target.startswith(f"{API}/releases?"):
        assert isinstance(answer, dict), target


@pytest.mark.parametrize("text", ["\0", "a\0b", "a\nb", "\x7f"])
def test_a_part_of_a_name_has_no_control_character(real_server: Any, text: str) -> None:
    """PostgreSQL stores no NUL and psycopg2 refuses to send one, so the statement would fail.

    https://www.postgresql.org/docs/current/datatype-character.html
    """
    status, answer = real_server.send("GET", f"{API}/releases?text={quote(text)}", user="alice")
    assert (status, answer["detail"][0]["loc"]) == (422, ["query", "text"])


@pytest.mark.parametrize("path", sorted(ROUTES))
def test_a_page_of_another_site_gets_nothing(real_server: Any, path: str) -> None:
    """A browser shows a foreign page no answer that lacks Access-Control-Allow-Origin.

    https://fetch.spec.whatwg.org/#http-cors-protocol
    """
    filled = API + path.format(dag_id=IRIS, run_id=RUN)
    origin = {"origin": FOREIGN, "sec-fetch-site": "cross-site"}
    real_server.send("GET", filled, user="alice", headers=origin)
    assert not [name for name in real_server.headers if name.startswith("access-control-")]
    asked = origin | {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    status, _ = real_server.send("OPTIONS", filled, user=None, headers=asked)
    assert status in (400, 401, 405)
    assert not [name for name in real_server.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", sorted(ROUTES))
def test_a_page_of_another_site_changes_nothing(real_server: Any, path: str) -> None:
    before = real_server.watched()
    filled = API + path.format(dag_id=IRIS, run_id=RUN)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        headers = {"origin": FOREIGN, "content-type": kind}
        assert real_server.send("POST", filled, {}, user="alice", headers=headers)[0] == 403
    assert real_server.watched() == before
