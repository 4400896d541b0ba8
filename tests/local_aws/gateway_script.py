"""Programs of tests that use ministack as the local AWS does, in a process of the environment where it is installed."""

import os
import signal
import subprocess
import tempfile
from pathlib import Path

from tests.local_aws import prepared

_START = """
import asyncio, json, sys
from pathlib import Path
from local_aws.framework.disk import Disk
from local_aws.framework.store import Scope, Store
from local_aws.host import gateway
from local_aws.host.stack_operations import Journal
from local_aws.settings import Settings

folder = Path(sys.argv[1])
disk = Disk(folder)
journal = Journal(Store(folder / "store", disk))
built = gateway.Gateway(Settings(port=1, bind="127.0.0.1", state_dir=folder), journal, disk)
from ministack import app
from ministack.core import persistence, responses

responses.set_request_account_id("123456789012")
responses.set_request_region("us-west-2")
"""


def run_with_gateway(script: str, folder: Path, *arguments: str) -> str:
    """Run a program after the gateway has been built, and return the last line that it prints.

    :param script: finds `built`, `disk`, `folder`, `journal`, and `sys.argv` with the arguments from the second on
    :param folder: the state folder
    """
    with tempfile.TemporaryDirectory() as name:
        output, errors = Path(name, "output"), Path(name, "errors")
        process = prepared.start(
            _START + script, [str(folder), *arguments], dict(os.environ), output=output, errors=errors
        )
        try:
            code = process.wait(300)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            raise AssertionError(f"It takes too long:\n{errors.read_text()}") from None
        assert code == 0, errors.read_text()
        return (output.read_text().splitlines() or [""])[-1]
