"""What the process of a task imports: what its work needs, and nearly all of it before the fork."""

import pytest

from tests.unit.programs import printed_by

# Each of them takes a tenth of a second or more, or tens of MiB, and no task of a release uses it.
HEAVY = (
    *("aiobotocore", "aiohttp", "fastapi", "flask", "hdrh", "matplotlib", "numpy", "pandas", "sagemaker", "sklearn"),
    *("starlette", "uvloop", "xgboost", "slipway.aws.tracing", "slipway.board.app", "slipway.command", "slipway.guard"),
    *("slipway.load.engine", "slipway.load_report"),
)
# boto3's own for S3, when the first client is made; Airflow's own, for a connection (the last one until 3.3.1).
LATE = {"boto3.s3.inject", "airflow.sdk.execution_time.cache", "airflow.sdk.definitions.connection"}


@pytest.fixture(scope="module")
def loaded():
    """What a worker has loaded before it forks, and what each task loads then."""
    return printed_by("tests.unit.task_imports")


def test_a_worker_has_nothing_that_no_task_uses(loaded):
    found = {name for name in loaded["before"] for heavy in HEAVY if name == heavy or name.startswith(f"{heavy}.")}
    assert found == set()


def test_a_task_imports_and_parses_nothing_after_its_process_was_forked(loaded):
    assert len(loaded["after"]) >= 15
    late = {task: new["modules"] for task, new in loaded["after"].items() if set(new["modules"]) - LATE}
    parsed = {task: new["files"] for task, new in loaded["after"].items() if new["files"]}
    assert (late, parsed) == ({}, {})
