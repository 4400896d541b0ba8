"""The plots of a model's endpoints: what the survey has stored, and what was released meanwhile."""

from datetime import UTC, datetime, timedelta

import pytest
from airflow.models.taskinstance import TaskInstance
from sqlalchemy import update
from sqlalchemy.orm import Session

from slipway.live.history import FINE, RECORDED, History, Point, Recorded, begin_of, history_key, known_until
from slipway.live.snapshot import LOOKED, LiveEndpoint, Looked, Snapshot
from tests.unit.board.test_live import Stored, endpoint
from tests.unit.board.world import RELEASED, results, upto

MODEL = "iris-model"


@pytest.fixture
def stored(engine) -> Stored:
    return Stored(engine)


@pytest.fixture(autouse=True)
def models(world) -> None:
    with world:
        world.model(MODEL)


def survey(stored: Stored, *points: Point, recorded: Recorded, served: LiveEndpoint | None = None) -> None:
    """What the survey of the model's production endpoint has stored."""
    now, served = datetime.now(UTC), served or endpoint(MODEL, created="2026-01-01T00:00:00+00:00")
    history = History().with_points({"model-a": points}, now) if points else None
    stored.asset(
        "slipway-live-a",
        **{
            LOOKED: Looked(now.isoformat(), 1).to_json(),
            RECORDED: recorded.to_json(),
            **Snapshot.of([served]).parts(),
            **({history_key(served.name): history.to_json()} if history else {}),
            "history-of-another": {"variants": "broken"},
        },
    )


def ago(**passed: float) -> datetime:
    """The beginning of a point, some time before now."""
    return begin_of(datetime.now(UTC) - timedelta(**passed), FINE)


def all_day() -> Recorded:
    return Recorded().with_span(ago(days=8), known_until(datetime.now(UTC)))


def test_a_day_in_points_of_five_minutes(board, stored):
    first, second = ago(hours=3), ago(hours=2)
    survey(stored, Point(ago(days=3), 9), Point(first, 100, 3, 12.5), Point(second, 50), recorded=all_day())
    found = board.get(f"/models/{MODEL}/traffic")
    assert (found["seconds"], found["say"]) == (300, None)
    (production,) = found["endpoints"]
    assert (production["environment"], production["gaps"], production["say"]) == ("production", [], None)
    (variant,) = production["variants"]
    assert variant["name"] == "model-a"
    assert [datetime.fromisoformat(one["at"]) for one in variant["points"]] == [first, second]
    assert [(one["requests"], one["errors"], one["latency_p99_ms"]) for one in variant["points"]] == [
        (100, 3, 12.5),
        (50, 0, None),
    ]
    until, since = (datetime.fromisoformat(found[name]) for name in ("until", "since"))
    assert until - since == timedelta(days=1)


def test_a_week_in_points_of_an_hour(board, stored):
    hour = begin_of(ago(hours=5), timedelta(hours=1))
    inside = [Point(hour + number * FINE, 10, 1, float(number)) for number in range(12)]
    survey(stored, Point(ago(days=3), 9), *inside, recorded=all_day())
    found = board.get(f"/models/{MODEL}/traffic", span="week")
    old, new = found["endpoints"][0]["variants"][0]["points"]
    assert found["seconds"] == 3600
    assert old["requests"] == 9
    assert (new["requests"], new["errors"], new["latency_p99_ms"]) == (120, 12, 11.0)


def test_a_time_in_which_nobody_looked_is_a_gap(board, stored):
    until = known_until(datetime.now(UTC))
    begin, end = ago(hours=6), ago(hours=4)
    recorded = Recorded().with_span(ago(days=8), begin).with_span(end, until)
    survey(stored, Point(ago(hours=3), 1), recorded=recorded)
    (gap,) = board.get(f"/models/{MODEL}/traffic")["endpoints"][0]["gaps"]
    assert [datetime.fromisoformat(gap[name]) for name in ("begin", "end")] == [begin, end]


def test_before_an_endpoint_was_created_there_is_no_gap(board, stored):
    created = ago(hours=2)
    recorded = Recorded().with_span(created, known_until(datetime.now(UTC)))
    survey(stored, recorded=recorded, served=endpoint(MODEL, created=created.isoformat()))
    (production,) = board.get(f"/models/{MODEL}/traffic")["endpoints"]
    assert (production["gaps"], production["variants"]) == ([], [])
    assert production["say"].startswith("Nobody has sent requests")


def test_what_is_empty_says_why(board, stored):
    found = board.get(f"/models/{MODEL}/traffic")
    assert found["endpoints"] == []
    assert "check that the DAG “live” is not paused" in found["say"]
    stored.survey(endpoint("other-model"))
    assert board.get(f"/models/{MODEL}/traffic")["say"].startswith("AWS has no endpoint of this model.")
    assert board.status("/models/nothing/traffic")[0] == 404


def test_what_cannot_be_read_is_empty(board, stored):
    served = endpoint(MODEL)
    stored.asset(
        "slipway-live-a",
        **{
            LOOKED: Looked(datetime.now(UTC).isoformat(), 1).to_json(),
            RECORDED: [3],
            **Snapshot.of([served]).parts(),
            history_key(served.name): {"variants": {"model-a": {"fine": {"at": ["x"]}}}},
        },
    )
    (production,) = board.get(f"/models/{MODEL}/traffic")["endpoints"]
    assert production["variants"] == []
    assert len(production["gaps"]) == 1


def shift(engine, *, to: datetime) -> None:
    """Let every task end now: the world of these tests is at a fixed time."""
    with Session(engine) as session:
        session.execute(update(TaskInstance).where(TaskInstance.end_date.is_not(None)).values(end_date=to))
        session.commit()


def test_marks_say_what_happened(board, world, engine):
    decision = {"decision": "Approved", "decided_by": "alice", "how": "Airflow"}
    with world:
        world.run(MODEL, "first", "success", RELEASED, results(MODEL, 12))
        world.decided("approve", **decision)
        world.run(MODEL, "broken", "failed", upto("deploy_prd", "failed"), results(MODEL, 13))
        world.decided("approve", **decision)
        rolled = dict.fromkeys(RELEASED, "skipped") | {"roll_back": "success", "deploy_prd": "success"}
        world.run(MODEL, "back", "success", rolled, results(MODEL, 11), conf={"roll_back_to": "previous"})
        trial = RELEASED | dict.fromkeys(("watch_trial", "decide_trial", "settle_trial"), "success")
        world.run(MODEL, "trial", "success", trial, results(MODEL, 14))
        world.decided("decide_trial", decision="promote", decided_by="carol", how="Airflow")
    shift(engine, to=datetime.now(UTC))
    marks = board.get(f"/models/{MODEL}/traffic")["marks"]
    assert {(one["run_id"], one["kind"], one["environment"], one["say"]) for one in marks} >= {
        ("first", "deployed", "development", "v12 deployed"),
        ("first", "approved", "production", "v12 approved by alice"),
        ("first", "deployed", "production", "v12 deployed"),
        ("broken", "failed", "production", "the deployment of v13 failed"),
        ("back", "rolled back", "production", "rolled back to v11"),
        ("trial", "trial", "production", "trial of v14: promote by carol"),
        ("trial", "trial", "production", "trial of v14 carried out"),
    }


@pytest.mark.parametrize("count", [1, 30])
def test_the_number_of_statements_does_not_depend_on_the_releases(board, world, engine, stored, count):
    with world:
        for number in range(count):
            world.run(MODEL, f"run-{number}", "success", RELEASED, results(MODEL, number + 1))
    shift(engine, to=datetime.now(UTC))
    survey(stored, Point(ago(hours=1), 1), recorded=all_day())
    found = board.get(f"/models/{MODEL}/traffic")
    assert 0 < len(found["marks"]) <= 60
    assert board.statements == 6
