"""The SageMaker Python SDK 2.x, in .venv-clients/sdk2."""

import pytest

from tests.clients.support import ENVIRONMENTS, PROGRAMS, case, check

pytestmark = pytest.mark.local_aws


def test_sdk2(shell):
    command = [ENVIRONMENTS / "sdk2" / "bin" / "python", PROGRAMS / "sdk2.py"]
    check("sdk2", shell.outcomes(command, case(shell, "sdk2")), shell)
