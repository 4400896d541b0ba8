"""A bounded run of chaos: processes are killed and paused while releases run, and nothing is lost."""

from __future__ import annotations

import pytest

from tests.faults.chaos import models
from tests.faults.chaos.audit import COLUMNS
from tests.faults.chaos.run import Chaos
from tests.faults.chaos.strikes import DATABASE, KILL, PAUSE, Strike
from tests.faults.chaos.victims import component_of

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


def test_nothing_is_lost_invented_or_done_twice(struck, record_property):
    lines: list[str] = []
    # On SQLite there is no database to restart.
    has_database = component_of(struck.settings, DATABASE) is not None
    plan = [strike for strike in PLAN if has_database or strike.kind != DATABASE]
    chaos = Chaos(struck, plan, SEED, lines.append, models.MODELS[:2], UPLOADS, PAUSE_SECONDS)
    found = chaos.run()
    record_property("chaos", chaos.summary())
    assert found == {name: [] for name in COLUMNS}, "\n".join(lines)
    assert chaos.done == plan
