"""One local AWS with something of everything, for the tests of the console."""

from collections.abc import Iterator

import pytest

from tests.local_aws.codebuild_cases import set_up
from tests.local_aws.console.support import fill
from tests.local_aws.server import LocalAws, set_up_account


@pytest.fixture(scope="package")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    running = LocalAws(tmp_path_factory.mktemp("console") / "state").start()
    try:
        set_up_account(running)
        fill(running)
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def building_aws(local_aws: LocalAws) -> LocalAws:
    """The local AWS with a role and a bucket for builds."""
    set_up(local_aws)
    return local_aws
