"""What the suites of the clients share: an account with data in it, a shell's variables, and the outcomes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from local_aws.host.credentials import FILE_NAME
from tests.aws_keys import CREDENTIALS
from tests.clients.operations import agrees, expected
from tests.local_aws import sagemaker_cases as cases
from tests.local_aws.server import LocalAws
from tools import environment
from tools.settings import Settings

PROGRAMS = Path(__file__).parent / "programs"
ENVIRONMENTS = Path(__file__).parents[2] / ".venv-clients"
SECONDS = 900


class Shell:
    """A person's shell after `source .slipway/admin-env`, in which a client's program runs.

    :param aws: the local AWS
    :param folder: for files
    """

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        self.aws = aws
        self.folder = folder
        self.left = folder / "left"
        settings = Settings(folder / "home", aws_port=aws.port)
        settings.aws_state.mkdir(parents=True)
        # The keys that the session's local AWS was started with.
        (settings.aws_state / FILE_NAME).write_text(json.dumps(asdict(CREDENTIALS)))
        environment.write_env_files(settings)
        self._env_file = settings.admin_env_file
        self.bucket = settings.sdk_bucket

    def run(self, command: list[str | Path], **more: str) -> subprocess.CompletedProcess[str]:
        """Run a program with the file's variables; it ends if it wants to leave this machine."""
        paths = f"{PROGRAMS}{os.pathsep}{PROGRAMS / 'watched'}{os.pathsep}{more.pop('PYTHONPATH', '')}"
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
        variables = {"PYTHONPATH": paths, "CLIENT_LEFT": str(self.left), **inherited, **more}
        return subprocess.run(
            ["/bin/bash", "-c", 'source "$0"; exec "$@"', str(self._env_file), *map(str, command)],
            env=variables,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def outcomes(self, command: list[str | Path], case: Mapping[str, Any], **more: str) -> dict[str, str]:
        """Run a program that tells the outcome of each operation, and return them."""
        done = self.run(command, CLIENT_CASE=json.dumps(case), **more)
        (self.folder / "output.log").write_text(done.stdout + done.stderr)
        told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"operation"')]
        assert told, done.stdout[-2000:] + done.stderr[-4000:]
        return {one["operation"]: one["outcome"] for one in told} | {"exit": str(done.returncode)}


def case(shell: Shell, client: str) -> dict[str, Any]:
    """Put training data into the account, and return what a program needs to know."""
    aws, name = shell.aws, cases.unique(client)
    aws.make_role("AmazonSageMaker-ExecutionRole")
    data = {}
    for part, seed in (("train", 7), ("validation", 8)):
        data[part] = str(shell.folder / f"{part}.csv")
        Path(data[part]).write_text(cases.csv(seed=seed))
    return {
        "name": name,
        "bucket": shell.bucket,
        "role": "arn:aws:iam::123456789012:role/AmazonSageMaker-ExecutionRole",
        "image": cases.IMAGE,
        "train": data["train"],
        "validation": data["validation"],
        "rows": list(cases.ROWS.values()),
    }


def check(client: str, outcomes: Mapping[str, str], shell: Shell) -> None:
    """Check every operation of a client, and that nothing left this machine."""
    log = (shell.folder / "output.log").read_text()[-6000:]
    left = shell.left.read_text() if shell.left.exists() else ""
    assert left == "", f"left this machine:\n{left}\n{log}"
    wanted = expected(client)
    wrong = {
        operation: outcomes.get(operation, "not tried")
        for operation, outcome in wanted.items()
        if not agrees(outcomes.get(operation, "not tried"), outcome)
    }
    assert wrong == {}, log
    assert outcomes.keys() - {"exit"} == wanted.keys()
