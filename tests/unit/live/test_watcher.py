"""The survey's watcher: what it writes, and when."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from slipway.aws.endpoint_metrics import AlarmState
from slipway.errors import AwsError
from slipway.live import survey_dag, watcher
from slipway.live.alarms import TOLD, UNTOLD
from slipway.live.history import RECORDED, WRITTEN, History, Recorded, history_key
from slipway.live.look import Seen
from slipway.live.snapshot import LOOKED, Looked, Minute, Snapshot
from slipway.live.survey_dag import build_live_dags
from slipway.live.watcher import LiveWatcherTrigger
from slipway.waiting import activity
from tests.unit.board.test_live import endpoint
from tests.unit.request_samples import iris_model
from tests.unit.scripted_aws import MemoryStore


class Scripted(LiveWatcherTrigger):
    """A watcher whose looks are given; an error among them is raised."""

    looks_to_give: list
    seen: list[Snapshot]
    since: list[datetime]

    def survey(self):
        return self

    def look(self, before: Snapshot, since: datetime) -> Seen:
        self.seen.append(before)
        self.since.append(since)
        found = self.looks_to_give.pop(0)
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, Seen) else Seen(found)


class Recording(MemoryStore):
    """A state store that remembers what was read and written."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []
        self.written: list[str] = []

    def get(self, key, default=None):
        self.read.append(key)
        return super().get(key, default)

    def set(self, key, value, *, retention=None):
        super().set(key, value, retention=retention)
        self.written.append(key)


NOON = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


class Clock(datetime):
    """A clock that a test sets."""

    shows = NOON

    @classmethod
    def now(cls, tz=None):
        return cls.shows


@pytest.fixture(autouse=True)
def clock(monkeypatch) -> type[Clock]:
    Clock.shows = NOON
    monkeypatch.setattr(watcher, "datetime", Clock)
    return Clock


def watch(store: MemoryStore, *looks: Snapshot | Seen | Exception) -> Scripted:
    """Let a watcher look as often as there are results."""
    trigger = Scripted(models=["m"], notified=["m"], aws_conn_id=None, poll_seconds=0.0)
    trigger.looks_to_give, trigger.seen, trigger.since, trigger.asset_state_store = list(looks), [], [], store
    trigger.waiting = []

    async def run() -> None:
        async with aclosing(trigger.looks()) as each:
            while trigger.looks_to_give:
                waiting, _ = await anext(each)
                trigger.waiting.append(list(waiting))

    asyncio.run(run())
    return trigger


def many(count: int) -> Snapshot:
    return Snapshot.of(endpoint(f"m{number:03}") for number in range(count))


def test_only_what_changed_is_written_and_when_somebody_looked():
    store = Recording()
    before = many(41)
    after = Snapshot.of([*list(before.endpoints.values())[:-1], endpoint("m040", status="Updating")])
    watch(store, before, before, after, many(3))
    first, second, third = ["part-0", "part-1", LOOKED, RECORDED], [LOOKED], ["part-1", LOOKED]
    assert store.written == [*first, *second, *third, "part-0", LOOKED]
    looked = Looked.from_json(store.get(LOOKED))
    assert (looked.parts, looked.problem) == (1, None)


def test_a_look_goes_on_from_what_is_stored():
    store = Recording()
    watch(store, many(50))
    again = watch(store, many(50))
    assert again.seen == [many(50)]


def test_what_another_version_stored_is_replaced():
    store = MemoryStore(**{LOOKED: "text"})
    assert watch(store, many(1)).seen == [Snapshot()]
    store.set("part-0", [])
    assert watch(store, many(1)).seen == [Snapshot()]
    assert Snapshot.from_parts([store.get("part-0")]) == many(1)


def test_a_look_that_fails_says_why_and_keeps_what_is_known():
    store = Recording()
    watch(store, many(1))
    before = Looked.from_json(store.get(LOOKED))
    with pytest.raises(AwsError):
        watch(store, AwsError("Cannot list the endpoints", why="denied"))
    failed = Looked.from_json(store.get(LOOKED))
    assert (failed.at, failed.parts) == (before.at, 1)
    assert "Cannot list the endpoints" in failed.problem
    watch(store, many(1))
    assert Looked.from_json(store.get(LOOKED)).problem is None


def test_it_is_built_again_from_its_arguments():
    trigger = LiveWatcherTrigger(models=["b", "a"], notified=["b"], aws_conn_id="aws_default")
    path, arguments = trigger.serialize()
    assert path == "slipway.live.watcher.LiveWatcherTrigger"
    assert LiveWatcherTrigger(**arguments).serialize() == (path, arguments)
    assert (arguments["models"], arguments["notified"]) == (["a", "b"], ["b"])


def test_one_survey_a_connection():
    first, second = iris_model(), iris_model().model_copy(update={"prefix": "other", "aws_conn_id": "aws_other"})
    assert [dag.dag_id for dag in build_live_dags([first])] == ["live"]
    dags = build_live_dags([first, second])
    assert len({dag.dag_id for dag in dags}) == 2
    assert all(dag.dag_id.startswith("live-") for dag in dags)
    assert [dag.task_ids for dag in dags] == [["describe_everything", "tell_alarms"]] * 2


def test_after_a_look_by_hand_the_watchers_longest_pause_is_not_late(monkeypatch):
    by_hand = SimpleNamespace(run_type="manual")
    monkeypatch.setattr(survey_dag, "get_current_context", lambda: {"dag_run": by_hand})
    monkeypatch.setattr(survey_dag.LiveSurvey, "look", lambda survey, before: Seen(many(1)))
    (dag,) = build_live_dags([iris_model()])
    describe = dag.get_task("describe_everything")
    store = MemoryStore()
    describe.python_callable(asset_state_store={describe.inlets[0]: store})
    assert Looked.from_json(store.get(LOOKED)).pause_seconds == watcher.CALM_POLL_SECONDS


def busy(*minutes: int, requests: int = 10) -> Seen:
    """A look that saw requests, in minutes counted from noon."""
    found = [Minute((NOON + timedelta(minutes=one)).isoformat(), requests, 1, float(20 + one)) for one in minutes]
    return Seen(many(1), {"m000-production": {"model-a": found}})


def points(store: MemoryStore) -> list[tuple[int, int, float]]:
    """What is stored of the only endpoint: minutes from noon, requests, and p99."""
    history = History.from_json(store.get(history_key("m000-production")))
    return [
        ((one.at - NOON) // timedelta(minutes=1), one.requests, one.latency_p99_ms)
        for one in history.variants["model-a"].fine
    ]


def spans(store: MemoryStore) -> list[tuple[int, int]]:
    """When somebody looked, in minutes from noon."""
    found = [(datetime.fromisoformat(one.begin), datetime.fromisoformat(one.end)) for one in recorded(store).spans]
    return [tuple((moment - NOON) // timedelta(minutes=1) for moment in span) for span in found]


def recorded(store: MemoryStore) -> Recorded:
    return Recorded.from_json(store.get(RECORDED))


def test_a_point_is_stored_once_when_none_of_its_values_can_be_late(clock):
    store = Recording()
    assert watch(store, busy(-20)).since == [NOON - timedelta(minutes=55)]
    assert (points(store), spans(store)) == ([(-20, 10, 0.0)], [(-55, -5)])
    store.written.clear()
    # Three minutes after the end of the five: those of the next five are not complete yet.
    clock.shows = NOON + timedelta(minutes=2, seconds=50)
    watch(store, busy(-4, -1, 0, 1))
    assert store.written == [LOOKED]
    clock.shows = NOON + timedelta(minutes=3, seconds=10)
    assert watch(store, busy(-4, -1, 0, 1), busy(0, 1)).since == [NOON - timedelta(minutes=5), NOON]
    assert (points(store)[1:], spans(store)) == ([(-5, 20, 19.0)], [(-55, 0)])
    assert store.written.count(history_key("m000-production")) == 1


def test_what_a_watcher_missed_is_read_by_the_next_one(clock):
    store = MemoryStore()
    watch(store, busy(-20))
    clock.shows = NOON + timedelta(minutes=50)
    assert watch(store, busy(7, 12)).since == [NOON - timedelta(minutes=5)]
    assert [at for at, *_ in points(store)] == [-20, 5, 10]
    assert spans(store) == [(-55, 45)]


def test_a_time_that_nobody_can_read_any_more_is_a_gap(clock):
    store = MemoryStore()
    watch(store, busy(-20))
    clock.shows = NOON + timedelta(hours=4)
    watch(store, busy(230))
    assert ([at for at, *_ in points(store)], spans(store)) == ([-20, 230], [(-55, -5), (185, 235)])


def test_a_watcher_that_ends_between_two_writes_adds_the_same_points_again():
    store = MemoryStore()
    watch(store, busy(-20))
    store.delete(RECORDED)
    watch(store, busy(-20))
    assert points(store) == [(-20, 10, 0.0)]


def test_a_history_that_cannot_be_read_is_begun_again():
    store = MemoryStore(**{history_key("m000-production"): [], RECORDED: {"spans": [{"begin": "x", "end": 3}]}})
    watch(store, busy(-20))
    assert points(store) == [(-20, 10, 0.0)]


def alarming(*, since: str = "2026-11-29T11:59:00+00:00") -> Seen:
    alarm = AlarmState("m-production", "model-a-5xx", "ALARM", "model-a", "slipway-m-production-c-model-a-5xx", since)
    return Seen(Snapshot.of([endpoint("m")]), firing=(alarm,))


def test_an_alarm_is_announced_until_it_is_told_and_again_when_it_fires_again():
    store = Recording()
    quiet = Seen(Snapshot.of([endpoint("m")]))
    # Also when it is over before anybody was told.
    (first, second, third) = watch(store, alarming(), alarming(), quiet).waiting
    assert len(first) == 1
    assert first == second == third
    assert store.written.count(UNTOLD) == 1
    store.set(TOLD, {"keys": first})
    assert watch(store, alarming(), quiet).waiting == [[], []]
    ((again,),) = watch(store, alarming(since="2026-11-29T12:01:00+00:00")).waiting
    assert again != first[0]


@pytest.mark.parametrize("told", [2, 3000])
def test_a_look_that_finds_no_alarm_to_tell_does_not_read_those_that_were(told):
    store = Recording()
    store.set(TOLD, {"keys": [f"{number:016}" for number in range(told)]})
    quiet = Seen(Snapshot.of([endpoint("m")]))
    watch(store, quiet, quiet)
    assert TOLD not in store.read
    watch(store, alarming(), quiet)
    assert store.read.count(TOLD) == 2


def test_an_alarm_of_a_model_without_notifiers_starts_nothing():
    other = Seen(Snapshot.of([endpoint("x")]), firing=(AlarmState("x-production", "model-a-5xx", "ALARM"),))
    store = MemoryStore()
    assert watch(store, other).waiting == [[]]
    assert store.get(UNTOLD) is None


def test_the_history_of_an_endpoint_that_had_no_requests_for_a_week_leaves_the_store(clock):
    store = Recording()
    watch(store, busy(-20))
    clock.shows = NOON + timedelta(days=7)
    watch(store, Seen(many(2)))
    assert store.get(history_key("m000-production")) is not None
    clock.shows = NOON + timedelta(days=9)
    store.written.clear()
    watch(store, Seen(many(2)), Seen(many(2)))
    assert store.get(history_key("m000-production")) is None
    assert store.written.count(WRITTEN) == 1


@pytest.mark.parametrize(
    ("seen", "calm"),
    [
        (Seen(many(1)), True),
        (busy(-20), False),
        (Seen(many(2)), False),
        (Seen(many(1), firing=(AlarmState("m000-production", "a", "ALARM"),)), False),
    ],
)
def test_it_looks_seldom_while_nothing_happens_and_says_when(monkeypatch, seen, calm):
    store, at = MemoryStore(), [0.0]
    monkeypatch.setattr(activity, "time", SimpleNamespace(monotonic=lambda: at[0]))
    watch(store, Seen(many(1)))
    monkeypatch.setattr(Scripted, "activity", lambda trigger: Quiet())
    watch(store, seen)
    pause_seconds = Looked.from_json(store.get(LOOKED)).pause_seconds
    assert pause_seconds == (watcher.CALM_POLL_SECONDS if calm else 0.0)


def test_it_looks_often_while_an_endpoint_is_being_changed(monkeypatch):
    store, changing = MemoryStore(), Seen(Snapshot.of([endpoint("m000", status="Updating")]))
    watch(store, changing)
    monkeypatch.setattr(Scripted, "activity", lambda trigger: Quiet())
    watch(store, changing)
    assert Looked.from_json(store.get(LOOKED)).pause_seconds == 0.0


class Quiet(activity.Activity):
    """Nothing has happened for some time, and pauses are none."""

    def __init__(self) -> None:
        super().__init__(noted=lambda: None)
        self._busy_until = 0.0

    async def pause(self, busy_seconds, calm_seconds):
        pass
