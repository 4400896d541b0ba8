"""Each correction of ministack is still needed: without it, ministack answers otherwise than AWS.

When a case here fails, the pinned ministack has closed the gap, and the correction in local_aws/host can go.
"""

import os
import subprocess
import time

import pytest
from botocore.parsers import ResponseParserError

from tests.local_aws.refusals import MINISTACK
from tests.local_aws.refused_requests import REFUSED_REQUESTS
from tests.local_aws.refused_templates import REFUSED_TEMPLATES
from tests.local_aws.server import ROOT, LocalAws
from tests.local_aws.test_refusals import matches

pytestmark = pytest.mark.local_aws


class Ministack(LocalAws):
    """ministack alone."""

    def start(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        own = {
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_ACCOUNT_ID": "123456789012",
            "MINISTACK_REGION": "us-west-2",
            "LOG_LEVEL": "ERROR",
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "PERSIST_STATE": "0",
            "S3_PERSIST": "0",
            "STATE_DIR": str(self.state_dir),
        }
        self.state_dir.mkdir(parents=True)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [ROOT / ".venv-aws/bin/python", "-m", "ministack"],
                cwd=self.state_dir,
                env=environment | own,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 120
        while not self.healthy():
            assert self.process.poll() is None, self.log_path.read_text()[-4000:]
            assert time.monotonic() < deadline, "ministack did not start"
            time.sleep(0.1)
        return self

    def healthy(self):
        try:
            return bool(self.client("s3").list_buckets())
        except Exception:
            return False


@pytest.fixture(scope="module")
def ministack(tmp_path_factory):
    """A running ministack without any correction."""
    running = Ministack(tmp_path_factory.mktemp("ministack") / "state").start()
    yield running
    running.stop()


@pytest.mark.parametrize("case", [*MINISTACK, *REFUSED_TEMPLATES, *REFUSED_REQUESTS], ids=lambda case: case.name)
def test_ministack_alone_answers_otherwise(ministack, case):
    try:
        answer = case.ask(ministack)
    except ResponseParserError as unreadable:
        answer = str(unreadable)
    assert not matches(answer, case.answer), f"ministack answers {answer!r} by itself now: remove the correction"
