"""The local AWS with `--compute container` and no engine."""

import subprocess

import pytest

from tests.aws_keys import CREDENTIALS
from tests.local_aws.server import ROOT, free_port

pytestmark = pytest.mark.local_aws


def test_without_an_engine_it_does_not_start_and_says_why(tmp_path):
    command = [ROOT / ".venv-aws/bin/python", "-m", "local_aws", "--port", str(free_port()), "--compute", "container"]
    done = subprocess.run(
        [*command, "--state-dir", tmp_path / "state"],
        cwd=ROOT,
        env={"PATH": str(tmp_path), **CREDENTIALS.variables()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "No container engine answers, which --compute container needs" in done.stderr
    assert "docker: " in done.stderr
    assert "podman: " in done.stderr
    assert "Traceback" not in done.stderr
