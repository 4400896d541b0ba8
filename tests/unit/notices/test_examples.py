"""The examples of messages.md and slack.md: each is a valid section of a model file, and the e-mail arrives."""

import email
import re
import socketserver
import threading

import pytest
import yaml

from slipway.model.approval_settings import NewsSettings
from slipway.notices.send import Message, Notice, Notices
from tests.conftest import ROOT
from tests.unit.request_samples import iris_model
from tests.unit.scripted_aws import MemoryStore

PAGES = "".join((ROOT / "docs" / page).read_text() for page in ("how-to/messages.md", "recipes/slack.md"))
EXAMPLES = [yaml.safe_load(block)["news"] for block in re.findall(r"```yaml\n(.*?)```", PAGES, re.DOTALL)]
NEWS = Message(
    Notice.FAILED, "failed/it", "iris-model", "It failed", "http://airflow/run?a=1&b=2", reason="1 < 2", fix="do this"
)


class Mailbox(socketserver.StreamRequestHandler):
    """As much of SMTP as a client needs to deliver a message; https://www.rfc-editor.org/rfc/rfc5321."""

    got: list[str] = []

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while command := self.rfile.readline().decode().strip().upper():
            if command == "DATA":
                self.wfile.write(b"354 go on\r\n")
                Mailbox.got.append("".join(iter(lambda: self.rfile.readline().decode(), ".\r\n")))
            self.wfile.write(b"221 bye\r\n" if command == "QUIT" else b"250 fine\r\n")


@pytest.fixture
def mailbox(monkeypatch):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailbox) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", f"smtp://127.0.0.1:{port}/?disable_ssl=true&disable_tls=true")
        Mailbox.got = []
        yield Mailbox.got
        server.shutdown()


def notices(example) -> Notices:
    model = iris_model()
    settings = {"approval": model.approval.model_copy(update={"topic": None}), "news": NewsSettings(**example)}
    return Notices.of_news(model.model_copy(update=settings))


def test_every_example_is_a_section_of_a_model_file():
    assert len(EXAMPLES) == 3
    assert [bool(notices(example)) for example in EXAMPLES] == [True] * 3


def test_the_mail_arrives_with_the_text_in_it(mailbox):
    (example,) = (one for one in EXAMPLES if "Smtp" in str(one))
    assert notices(example).send(NEWS, {"task_state_store": MemoryStore()}, None)
    (mail,) = map(email.message_from_string, mailbox)
    assert (mail["Subject"], mail["To"]) == ("iris-model: failed", "oncall@example.org")
    (part,) = (one for one in mail.walk() if one.get_content_type() == "text/html")
    shown = part.get_payload(decode=True).decode()
    assert "Why: 1 &lt; 2" in shown
    assert "<a href='http://airflow/run?a=1&amp;b=2'>" in shown
