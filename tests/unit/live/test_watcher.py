"""The survey's watcher: what it writes, and when."""

import asyncio
from contextlib import aclosing

import pytest

from slipway.errors import AwsError
from slipway.live.snapshot import LOOKED, Looked, Snapshot
from slipway.live.survey_dag import build_live_dags
from slipway.live.watcher import LiveWatcherTrigger
from tests.unit.board.test_live import endpoint
from tests.unit.request_samples import iris_model
from tests.unit.scripted_aws import MemoryStore


class Scripted(LiveWatcherTrigger):
    """A watcher whose looks are given; an error among them is raised."""

    looks_to_give: list
    seen: list[Snapshot]

    def survey(self):
        return self

    def look(self, before: Snapshot) -> Snapshot:
        self.seen.append(before)
        found = self.looks_to_give.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


class Recording(MemoryStore):
    """A state store that remembers what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def set(self, key, value, *, retention=None):
        super().set(key, value, retention=retention)
        self.written.append(key)


def watch(store: MemoryStore, *looks: Snapshot | Exception) -> Scripted:
    """Let a watcher look as often as there are results."""
    trigger = Scripted(models=["m"], aws_conn_id=None, poll_seconds=0.0)
    trigger.looks_to_give, trigger.seen, trigger.asset_state_store = list(looks), [], store

    async def run() -> None:
        async with aclosing(trigger.looks()) as each:
            while trigger.looks_to_give:
                waiting, _ = await anext(each)
                assert not waiting

    asyncio.run(run())
    return trigger


def many(count: int) -> Snapshot:
    return Snapshot.of(endpoint(f"m{number:03}") for number in range(count))


def test_only_what_changed_is_written_and_when_somebody_looked():
    store = Recording()
    before = many(41)
    after = Snapshot.of([*list(before.endpoints.values())[:-1], endpoint("m040", status="Updating")])
    watch(store, before, before, after, many(3))
    first, second, third = ["part-0", "part-1", LOOKED], [LOOKED], ["part-1", LOOKED]
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
    trigger = LiveWatcherTrigger(models=["b", "a"], aws_conn_id="aws_default")
    path, arguments = trigger.serialize()
    assert path == "slipway.live.watcher.LiveWatcherTrigger"
    assert LiveWatcherTrigger(**arguments).serialize() == (path, arguments)
    assert arguments["models"] == ["a", "b"]


def test_one_survey_a_connection():
    first, second = iris_model(), iris_model().model_copy(update={"prefix": "other", "aws_conn_id": "aws_other"})
    assert [dag.dag_id for dag in build_live_dags([first])] == ["live"]
    dags = build_live_dags([first, second])
    assert len({dag.dag_id for dag in dags}) == 2
    assert all(dag.dag_id.startswith("live-") for dag in dags)
    assert [dag.task_ids for dag in dags] == [["describe_everything"], ["describe_everything"]]
