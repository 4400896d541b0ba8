"""The SageMaker Python SDK 3.x, which Slipway's own environment has."""

import sys

import pytest

from tests.clients.support import PROGRAMS, case, check

pytestmark = pytest.mark.local_aws


def test_sdk3(shell):
    check("sdk3", shell.outcomes([sys.executable, PROGRAMS / "sdk3.py"], case(shell, "sdk3")), shell)
