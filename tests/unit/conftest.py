"""What tests of several rooms share."""

from collections.abc import Iterator

import pytest

from slipway.guard.flush import guard_flushes
from slipway.guard.writes import guard_statements
from tests.unit.guard.real_server import RealServer, serving


@pytest.fixture(scope="session")
def _server() -> Iterator[RealServer]:
    with serving() as server:
        yield server


@pytest.fixture
def real_server(_server: RealServer) -> RealServer:
    """Airflow's API server with the guard around it; tests must leave it unchanged."""
    # Other tests remove the listeners.
    guard_flushes()
    guard_statements()
    return _server
