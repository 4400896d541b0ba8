"""Who the person is: from the environment, or from a file that only they may read; the password is kept nowhere."""

import http.server
import json
import stat
import threading
from collections.abc import Iterator

import pytest

from slipway.command.exits import Exit
from slipway.command.settings import config_file

PASSWORD = "correct-horse"


class Airflow(http.server.BaseHTTPRequestHandler):
    """As much of Airflow's API as a login needs; its answers are those of Airflow 3.3.2."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/auth/token" and asked == {"username": "alice", "password": PASSWORD}:
            self.answer(201, {"access_token": "token-of-alice"})
        else:
            self.answer(401, {"detail": "Invalid credentials"})

    def do_GET(self) -> None:
        token = self.headers.get("Authorization")
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", f"http://{self.headers['Host']}/slipway/api/v1/releases")
            self.end_headers()
        elif token == "Bearer token-of-alice":
            self.answer(200, {"user": "alice", "models": [], "total": 0})
        elif token is None:
            self.answer(401, {"detail": "Not authenticated"})
        else:
            self.answer(403, {"detail": "Invalid JWT token"})

    def answer(self, status: int, document: dict) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Airflow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_the_token_is_kept_for_its_owner_and_the_password_nowhere(slipway, url):
    said = slipway("login", "--url", f"{url}/", "--user", "alice", "--password-stdin", typed=f"{PASSWORD}\n")
    assert said.code == Exit.DONE, said.err
    text = config_file().read_text()
    assert "token-of-alice" in text
    assert PASSWORD not in text + said.out + said.err
    assert stat.S_IMODE(config_file().stat().st_mode) == 0o600
    # From now on the address and the person are known.
    assert slipway("status", "--json").json == {"user": "alice", "models": [], "total": 0}


def test_a_wrong_password_is_told_and_nothing_kept(slipway, url):
    said = slipway("login", "--url", url, "--user", "alice", "--password-stdin", "--json", typed="wrong\n")
    assert said.code == Exit.NO_ACCESS
    assert said.json["error"]["why"] == "alice: Invalid credentials"
    assert not config_file().exists()


@pytest.mark.parametrize(
    "variables",
    [
        {"SLIPWAY_AIRFLOW_TOKEN": "token-of-alice"},
        {"SLIPWAY_AIRFLOW_USER": "alice", "SLIPWAY_AIRFLOW_PASSWORD": PASSWORD},
    ],
)
def test_the_environment_can_say_who_it_is(slipway, url, monkeypatch, variables):
    monkeypatch.setenv("SLIPWAY_AIRFLOW_URL", url)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert slipway("status", "--json").json["user"] == "alice"
    assert not config_file().exists()


def test_a_token_that_is_no_longer_accepted_is_no_refusal(slipway, url, monkeypatch):
    monkeypatch.setenv("SLIPWAY_AIRFLOW_URL", url)
    monkeypatch.setenv("SLIPWAY_AIRFLOW_TOKEN", "old")
    said = slipway("status", "--json")
    assert said.code == Exit.NO_ACCESS
    assert said.json["error"]["why"] == "Invalid JWT token"


def test_without_an_address_or_a_login_it_says_what_to_do(slipway, url, monkeypatch):
    said = slipway("status", "--json")
    assert (said.code, said.json["exit_code"]) == (Exit.NO_ACCESS, 8)
    assert "slipway login --url" in said.json["error"]["fix"]
    monkeypatch.setenv("SLIPWAY_AIRFLOW_URL", url)
    said = slipway("status", "--json")
    assert said.code == Exit.NO_ACCESS
    assert said.json["error"]["fix"] == "slipway login"


def test_the_token_follows_no_redirect(slipway, url, monkeypatch):
    monkeypatch.setenv("SLIPWAY_AIRFLOW_URL", f"{url}/moved")
    monkeypatch.setenv("SLIPWAY_AIRFLOW_TOKEN", "token-of-alice")
    said = slipway("status", "--json")
    assert said.code == Exit.UNREACHABLE
    assert "302" in said.json["error"]["why"]


def test_nobody_answers(slipway, free_port, monkeypatch):
    monkeypatch.setenv("SLIPWAY_AIRFLOW_URL", f"http://127.0.0.1:{free_port}")
    monkeypatch.setenv("SLIPWAY_AIRFLOW_TOKEN", "token-of-alice")
    said = slipway("status", "--json")
    assert said.code == Exit.UNREACHABLE
    assert said.json["error"]["what"] == "Airflow does not answer"


@pytest.mark.parametrize("address", ["airflow.example.com", "ftp://host", "http://", "https://alice:secret@host"])
def test_what_is_no_address_is_refused_without_its_password(slipway, address):
    said = slipway("login", "--url", address, "--user", "alice", "--password-stdin", "--json", typed="x\n")
    assert said.code == Exit.USAGE
    assert "secret" not in said.out


def test_a_broken_configuration_file_is_named(slipway):
    config_file().parent.mkdir(parents=True)
    config_file().write_text("url = ")
    said = slipway("status", "--json")
    assert said.code == Exit.USAGE
    assert said.json["error"]["where"] == str(config_file())
