"""Pages of other sites change nothing, by whatever route; clients that are no browsers are not affected."""

import pytest
from starlette.routing import Mount

from slipway.guard.origins import foreign_page
from tests.unit.guard.real_server import FOREIGN, IRIS, RUN

OWN = "http://127.0.0.1:8080"
HOST = {"host": "127.0.0.1:8080"}
EVIL = "http://evil.example"
READING = {"GET", "HEAD", "OPTIONS"}
RUNS = f"/api/v2/dags/{IRIS}/dagRuns"
ANSWER = f"{RUNS}/{RUN}/taskInstances/approve/-1/hitlDetails"
CHANGES = {
    "an answer": ("PATCH", ANSWER, {"chosen_options": ["Approve"], "params_input": {}}),
    "a run": ("POST", RUNS, {"logical_date": None}),
    "a form of Slipway's": ("POST", RUNS, {"logical_date": None, "conf": {"roll_back_to": "previous"}}),
    "a mark": ("PATCH", f"{RUNS}/{RUN}/taskInstances/approve", {"new_state": "success"}),
    "a deletion": ("DELETE", f"{RUNS}/{RUN}", None),
}


def asked(headers, path="/api/v2/dags", root_path=""):
    """Return the reason why a request with these headers may change nothing."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return foreign_page({"path": root_path + path, "root_path": root_path, "headers": raw})


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no browser"),
        pytest.param({"authorization": "Bearer x", **HOST}, id="a client"),
        pytest.param({"sec-fetch-site": "none"}, id="the address bar"),
        pytest.param({"origin": OWN, **HOST}, id="its own page"),
        pytest.param({"origin": "http://Airflow.Example", "host": "airflow.example:80"}, id="the port of the scheme"),
        pytest.param({"origin": "https://airflow.example", "host": "airflow.example"}, id="TLS ends at the proxy"),
        pytest.param({"origin": "http://[::1]:8080", "host": "[::1]:8080"}, id="IPv6"),
        pytest.param(
            {"origin": "https://a.example", "host": "inside:8080", "sec-fetch-site": "same-origin"},
            id="its word",
        ),
        pytest.param({"origin": "null", "sec-fetch-site": "same-origin", **HOST}, id="a form without a referrer"),
        pytest.param(
            {"origin": "https://a.example", "host": "inside:8080", "x-forwarded-host": "a.example, proxy"}, id="a proxy"
        ),
        pytest.param(
            {"origin": "http://a.example:81", "x-forwarded-host": "a.example", "x-forwarded-port": "81"}, id="its port"
        ),
    ],
)
def test_it_lets_through(headers):
    assert asked(headers) is None


@pytest.mark.parametrize(
    ("headers", "who"),
    [
        pytest.param({"origin": EVIL, **HOST}, EVIL, id="another site"),
        pytest.param({"origin": "http://127.0.0.1:3000", **HOST}, "http://127.0.0.1:3000", id="another port"),
        pytest.param({"origin": "http://127.0.0.1", **HOST}, "http://127.0.0.1", id="no port"),
        pytest.param({"origin": "http://127.0.0.1:8080.evil.example", **HOST}, "evil.example", id="a beginning"),
        pytest.param({"origin": "http://evil127.0.0.1:8080", **HOST}, "http://evil127.0.0.1:8080", id="an end"),
        pytest.param({"origin": "http://[", **HOST}, "http://[", id="no address"),
        pytest.param({"origin": "null", **HOST}, "null", id="a frame in a sandbox"),
        pytest.param({"origin": "file://", **HOST}, "file://", id="a file"),
        pytest.param({"origin": "", **HOST}, "", id="nothing"),
        pytest.param({"origin": "null"}, "null", id="no host either"),
        pytest.param({"origin": EVIL, "sec-fetch-site": "cross-site", **HOST}, EVIL, id="both words"),
        pytest.param({"origin": EVIL, "sec-fetch-site": "none", **HOST}, EVIL, id="an extension"),
        pytest.param({"sec-fetch-site": "cross-site", **HOST}, "another site", id="no origin"),
        pytest.param({"sec-fetch-site": "same-site", **HOST}, "another site", id="a neighbour"),
    ],
)
def test_it_refuses(headers, who):
    reason = asked(headers)
    assert reason.startswith("A page of ")
    assert who in reason
    assert "[api] base_url" in reason


def test_no_second_origin_hides_the_first():
    headers = [(b"host", b"127.0.0.1:8080"), (b"origin", OWN.encode()), (b"origin", EVIL.encode())]
    assert EVIL in foreign_page({"path": "/x", "root_path": "", "headers": headers})


def test_a_long_origin_is_cut():
    assert len(asked({"origin": f"http://{'e' * 10_000}.example"})) < 1_000


@pytest.mark.parametrize(("base_url", "ours"), [("https://a.example/airflow", True), ("http://a.example", False)])
def test_base_url_is_a_name_of_the_server_with_its_scheme(monkeypatch, base_url, ours):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    assert (asked({"origin": "https://a.example", "host": "inside:8080"}) is None) is ours


def test_airflows_setting_allows_another_site(monkeypatch):
    monkeypatch.setenv("AIRFLOW__API__ACCESS_CONTROL_ALLOW_ORIGINS", "https://portal.example,https://b.example:8443")
    assert asked({"origin": "https://b.example:8443", "sec-fetch-site": "cross-site", **HOST}) is None
    assert asked({"origin": "https://b.example", **HOST})


@pytest.mark.parametrize("root_path", ["", "/airflow"])
def test_iam_identity_center_may_end_a_login(root_path):
    """Its page sends the form with the answer that it has signed."""
    headers = {"origin": "https://eu-west-1.signin.aws", "sec-fetch-site": "cross-site", **HOST}
    assert asked(headers, "/auth/login_callback", root_path) is None
    assert asked(headers, "/auth/login_callback/x", root_path)
    assert asked(headers, "/auth/token", root_path)


def routes(app, prefix=""):
    """Return method and path of every route that changes something; a mounted application of another kind is one."""
    for route in getattr(app, "routes", []):
        if isinstance(route, Mount):
            inner = list(routes(route.app, prefix + route.path))
            yield from inner or [("POST", f"{prefix}{route.path}/anything")]
        else:
            yield from ((method, prefix + route.path) for method in (getattr(route, "methods", None) or ()) - READING)


def test_no_route_of_the_server_takes_a_change_from_another_site(real_server):
    """Alice is an approver, so it is not her rights that are missing."""
    found = sorted(set(routes(real_server.app)))
    assert {("POST", "/api/v2/dags/{dag_id}/dagRuns"), ("POST", "/auth/token")} <= set(found)
    for method, path in found:
        status, answer = real_server.send(method, path, {}, user="alice", headers={"origin": EVIL, **HOST})
        assert (status, EVIL in answer["detail"]) == (403, True), (method, path)


@pytest.mark.parametrize("case", CHANGES)
@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
def test_the_login_of_a_browser_is_of_no_use_to_another_site(real_server, case, kind):
    method, target, body = CHANGES[case]
    before = real_server.watched()
    headers = {"cookie": f"_token={real_server.token('alice')}", "content-type": kind, "origin": EVIL, **HOST}
    status, answer = real_server.send(method, target, body, user=None, headers=headers)
    assert (status, EVIL in answer["detail"]) == (403, True)
    assert real_server.watched() == before


def test_its_own_page_changes_with_this_login_what_alice_may(real_server):
    headers = {"cookie": f"_token={real_server.token('alice')}", "origin": OWN, **HOST}
    runs = f"/api/v2/dags/{FOREIGN}/dagRuns"
    status, answer = real_server.send("POST", runs, {"logical_date": None}, user=None, headers=headers)
    assert (status, answer["triggering_user_name"]) == (200, "alice")


def test_a_preflight_is_airflows_own_business(real_server):
    """It changes nothing."""
    headers = {"origin": EVIL, "access-control-request-method": "POST", **HOST}
    assert real_server.send("OPTIONS", RUNS, user=None, headers=headers)[0] in (400, 405)
    assert "access-control-allow-origin" not in real_server.headers
