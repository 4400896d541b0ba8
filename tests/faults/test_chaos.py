"""A bounded run of chaos: each kind of process is killed at least once while releases run, and nothing is lost."""

from __future__ import annotations

import pytest

from tests.faults.chaos import models
from tests.faults.chaos.audit import COLUMNS
from tests.faults.chaos.run import Chaos
from tests.faults.chaos.victims import KINDS
from tests.instance import SHORT_PATIENCE, Instance

pytestmark = pytest.mark.e2e

KILLS = 6
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
    chaos = Chaos(instance, KILLS, SEED, lines.append, models.MODELS[:2], UPLOADS)
    found = chaos.run()
    record_property("chaos", chaos.summary())
    assert found == {name: [] for name in COLUMNS}, "\n".join(lines)
    assert set(chaos.killed) == set(KINDS)
    assert len(chaos.killed) == KILLS
