"""A release whose tasks run on a Celery worker that shares no folder with the scheduler and the triggerer."""

from __future__ import annotations

import pytest

from demo import upload
from tests.instance import SHORT_PATIENCE, Instance

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def celery_slipway(tmp_path_factory, free_ports):
    instance = Instance.in_folder(tmp_path_factory.mktemp("celery"), free_ports(2), SHORT_PATIENCE, celery_workers=1)
    try:
        instance.services("up")
        yield instance
    finally:
        instance.services("down")


def test_a_release_reaches_production(celery_slipway):
    slipway = celery_slipway
    upload.upload_data(slipway.settings, "iris-model", "iris")
    run_id = slipway.release("iris-model")
    slipway.wait_approval("iris-model", run_id)
    slipway.api().answer("iris-model", run_id, "approve", "Approve")
    assert slipway.wait_end("iris-model", run_id) == "success", slipway.story("iris-model", run_id)
    tasks = slipway.api().tasks("iris-model", run_id)
    attempts = {name: task["try_number"] for name, task in tasks.items() if task["state"] != "skipped"}
    assert attempts == dict.fromkeys(attempts, 1)
    assert len(slipway.ledger(operation="CreateTrainingJob", outcome="ok")) == 1
    assert slipway.ask("iris-model-production").accuracy > 0.9
