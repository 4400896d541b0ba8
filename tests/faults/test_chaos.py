"""A bounded run of chaos: processes are killed and paused while releases run, and nothing is lost."""

from __future__ import annotations

import pytest

from tests.faults.chaos import models
from tests.faults.chaos.audit import COLUMNS
from tests.faults.chaos.run import Chaos
from tests.faults.chaos.strikes import DATABASE, KILL, PAUSE, Strike
from tests.faults.chaos.victims import component_of
from tests.instance import SHORT_PATIENCE, Instance

pytestmark = pytest.mark.e2e

PLAN = [
    Strike(KILL, "scheduler"),
    Strike(PAUSE, "triggerer"),
    Strike(KILL, "task"),
    Strike(KILL, DATABASE),
    Strike(KILL, "API server"),
    Strike(KILL, "local AWS"),
]
PAUSE_SECONDS = (5.0, 20.0)
# One release, and a burst of three, of which some are overtaken.
UPLOADS = 4
SEED = 20


@pytest.fixture(scope="module")
def instance(tmp_path_factory, free_ports):
    """An instance of its own: what other tests begin must not be killed."""
    made = Instance.in_folder(tmp_path_factory.mktemp("chaos"), free_ports(2), SHORT_PATIENCE)
    models.add(made)
    try:
        made.services("up")
        yield made
    finally:
        made.services("down")


def test_nothing_is_lost_invented_or_done_twice(instance, record_property):
    lines: list[str] = []
    # On SQLite there is no database to restart.
    has_database = component_of(instance.settings, DATABASE) is not None
    plan = [strike for strike in PLAN if has_database or strike.kind != DATABASE]
    chaos = Chaos(instance, plan, SEED, lines.append, models.MODELS[:2], UPLOADS, PAUSE_SECONDS)
    found = chaos.run()
    record_property("chaos", chaos.summary())
    assert found == {name: [] for name in COLUMNS}, "\n".join(lines)
    assert chaos.done == plan
