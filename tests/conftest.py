"""What all tests share: an Airflow home of their own, no way to a real AWS account, free ports."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import hypothesis
import pytest

from tests.aws_keys import CREDENTIALS
from tools.airflow_program import THRESHOLDS

# The one local AWS of a session, hooks that cost little, and the instances that files share.
pytest_plugins = ["tests.local_aws.server", "tests.local_aws.hooks", "tests.instances"]

ROOT = Path(__file__).resolve().parent.parent
# No test asserts a time, and hypothesis's deadline of 200 ms for an example would.
hypothesis.settings.register_profile("slipway", hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("slipway")
# The folders whose files take longest, in this order.
_LONG = ("faults", "cfn", "local_aws")
# The fixtures that are an instance.
_INSTANCES = {"slipway", "struck"}
# A second try is for a machine that stood still once, not for a change that broke something.
_MOST_SECOND_TRIES = 3
_HOME = Path(tempfile.mkdtemp(prefix="slipway-tests-"))

# Airflow reads its configuration when it is first imported, so this runs before any test module does.
for _name in [name for name in os.environ if name.startswith(("AIRFLOW", "_AIRFLOW", "AWS_", "SLIPWAY_"))]:
    del os.environ[_name]
os.environ.update(
    CREDENTIALS.variables(),
    AIRFLOW_HOME=str(_HOME),
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_HOME / 'airflow.db'}",
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__LOGGING__BASE_LOG_FOLDER=str(_HOME / "logs"),
    AIRFLOW_CONN_AWS_DEFAULT="aws://",
    # A pair for tests alone: they answer as the guard would.
    AIRFLOW__SLIPWAY__APPROVAL_SIGNING_KEY="hl46jm2EVnAKXrQ5WNyYObipC9IdB4bjmtaehviqo8Y",
    AIRFLOW__SLIPWAY__APPROVAL_PUBLIC_KEYS="PYbK0jfTWlXf07A_6EQbdTNmzujNccWkrk3ckFCemEQ",
    # Tasks that a test runs without Airflow's processes have no database to keep it in.
    AIRFLOW_VAR_SLIPWAY_AIRFLOW_ID="tests",
    # A test that makes AWS fail waits for it only where it says so.
    AIRFLOW__SLIPWAY__AWS_PATIENCE_SECONDS="0",
    # No worker's process has to end before a trigger may look.
    AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL="0",
    AWS_DEFAULT_REGION="us-west-2",
    # Hooks are Airflow's, as they are after 'make up'.
    AWS_ACCESS_KEY_ID=CREDENTIALS.airflow.access_key_id,
    AWS_SECRET_ACCESS_KEY=CREDENTIALS.airflow.secret_access_key,
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    AWS_EC2_METADATA_DISABLED="true",
    # A test that does not say which AWS it means reaches none: nothing listens on the discard port.
    AWS_ENDPOINT_URL="http://127.0.0.1:9",
    NO_PROXY="127.0.0.1,localhost",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every-kill",
        action="store_true",
        help="kill tasks at each of their AWS calls instead of every second one, which takes four times as long",
    )
    parser.addoption("--rare", action="store_true", help="run the tests marked rare too, which take minutes")
    parser.addoption(
        "--second-try",
        action="store_true",
        help="with --last-failed: refuse if many tests failed, or one of tests/faults, and name those that pass now",
    )


@pytest.fixture(scope="session")
def every_kill(request: pytest.FixtureRequest) -> bool:
    """Whether tasks are killed at each of their calls."""
    return bool(request.config.getoption("--every-kill"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage in nothing that is imported, which stays to the end, and rarely in what tests make.

    It is a tenth of the imports' time and of many tests', and makes each process that a test forks write to all of its
    memory. https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(*THRESHOLDS)
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is rare, and let the files that take minutes begin first.

    So no process works on a long one when the others have ended. End-to-end tests begin with those of an instance, and
    otherwise keep the command line's order.
    """
    if not config.getoption("--rare"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("rare")])
        items[:] = [item for item in items if not item.get_closest_marker("rare")]
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    folder = item.path.relative_to(ROOT / "tests").parts[0] if item.path.is_relative_to(ROOT / "tests") else ""
    if item.get_closest_marker("e2e"):
        return -2 if _INSTANCES.intersection(getattr(item, "fixturenames", ())) else -1
    return _LONG.index(folder) if folder in _LONG else len(_LONG)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse a second try to what a second try would hide."""
    if not session.config.getoption("--second-try"):
        return
    if len(session.items) > _MOST_SECOND_TRIES:
        raise pytest.UsageError(f"{len(session.items)} tests failed; up to {_MOST_SECOND_TRIES} get a second try")
    if faults := [item.nodeid for item in session.items if item.path.is_relative_to(ROOT / "tests" / "faults")]:
        raise pytest.UsageError(f"{faults[0]} counts what is lost or made twice; one failure is a failure")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows the figures that tests have recorded with record_property."""
    for report in terminalreporter.getreports("passed"):
        if terminalreporter.config.getoption("--second-try") and report.when == "call":
            terminalreporter.write_line(f"passed at its second try, so it depends on the time: {report.nodeid}")
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")


def pytest_unconfigure() -> None:
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def free_ports() -> Callable[[int], list[int]]:
    """A function that returns as many different ports as asked for, on which nobody listens now."""

    def several(count: int) -> list[int]:
        with contextlib.ExitStack() as stack:
            probes = [stack.enter_context(socket.socket()) for _ in range(count)]
            for probe in probes:
                probe.bind(("127.0.0.1", 0))
            return [int(probe.getsockname()[1]) for probe in probes]

    return several


@pytest.fixture
def free_port(free_ports: Callable[[int], list[int]]) -> int:
    """A port of the loopback on which nobody listens now."""
    return free_ports(1)[0]
