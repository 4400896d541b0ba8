"""What the watcher sees of a bucket: what needs the intake, which notifications are handled, and by how many calls."""

import asyncio

import pytest

from slipway.source.bucket_view import BucketView, Judged
from slipway.source.intake import WatchedBucket, take_in
from slipway.source.uploads import STATE_KEY, IntakeState
from tests.unit.scripted_aws import MemoryStore
from tests.unit.source.bucket import AsyncBucket, Bucket

IRIS = "training_jobs/iris-model/trainingjob.zip"
WINE = "training_jobs/wine/trainingjob.zip"
VERSIONS, OBJECTS = ("list_object_versions", IRIS), ("list_objects_v2", "training_jobs/")


class World:
    """A bucket, what the intake has stored of it, and the watcher's view."""

    def __init__(self, *keys: str, clock_seconds: int = 3600) -> None:
        self.bucket, self.store = Bucket(clock_seconds=clock_seconds), MemoryStore()
        self.source = WatchedBucket("uploads", None, dict.fromkeys(keys or [IRIS], "model"))
        self.view = BucketView(AsyncBucket(self.bucket), "uploads", list(self.source.dag_ids))

    def take_in(self, *, dag: bool = True) -> None:
        take_in(self.source, self.store, self.bucket, lambda *_: dag)
        self.bucket.calls.clear()

    def judge(self, *named: tuple[str, str]):
        async def look():
            await self.view.refresh()
            return await self.view.judge(IntakeState.from_json(self.store.get(STATE_KEY)), set(named))

        return asyncio.run(look())


def test_nothing_waits_when_the_intake_has_stored_what_is_listed():
    world = World()
    world.bucket.put(IRIS, "v1")
    world.take_in()
    for _ in range(2):
        assert world.judge().waiting == frozenset()
    assert world.bucket.calls == [OBJECTS] * 2


def test_an_upload_waits_until_the_intake_has_stored_it_and_costs_no_other_call():
    world = World()
    world.take_in()
    world.bucket.put(IRIS, "v1")
    assert len(world.judge().waiting) == 1
    assert world.bucket.calls == [OBJECTS]
    world.take_in()
    assert world.judge().waiting == frozenset()


def test_an_upload_that_looks_like_the_one_before_is_seen():
    world = World(clock_seconds=1)
    world.take_in()
    world.bucket.put(IRIS, "v1", etag='"same"')
    world.take_in()
    assert world.judge().waiting == frozenset()
    world.bucket.put(IRIS, "v2", etag='"same"')
    assert world.judge().waiting == {(IRIS, "v2")}


def test_a_young_upload_costs_a_call_a_look_until_it_is_settled():
    world = World(clock_seconds=1)
    world.bucket.put(IRIS, "v1")
    world.take_in()
    world.judge()
    world.bucket.clock_seconds = 2
    for _ in range(3):
        world.judge()
    assert world.bucket.calls == [OBJECTS, VERSIONS, OBJECTS, VERSIONS, OBJECTS, OBJECTS]


def test_a_version_without_a_dag_waits_and_one_without_a_model_does_not():
    world = World()
    world.take_in()
    world.bucket.put(IRIS, "v1")
    world.bucket.put(WINE, "w1")
    world.take_in(dag=False)
    assert world.judge((WINE, "w1"), (IRIS, "v1")).waiting == {(IRIS, "v1")}
    assert world.judge((WINE, "w1"), (IRIS, "v1")).handled == {(WINE, "w1")}


def test_a_young_version_without_a_model_does_not_wait_and_is_looked_at_until_it_is_settled():
    world = World(clock_seconds=1)
    world.take_in()
    world.bucket.put(WINE, "w1")
    world.take_in()
    assert world.judge((WINE, "w1")) == Judged(frozenset(), frozenset({(WINE, "w1")}))
    world.bucket.clock_seconds = 2
    for _ in range(2):
        world.judge()
    assert [operation for operation, _ in world.bucket.calls].count("list_object_versions") == 2


def test_keys_elsewhere_take_turns():
    elsewhere = [f"elsewhere/{number}.zip" for number in range(5)]
    world = World(IRIS, *elsewhere)
    world.take_in()
    world.bucket.put(elsewhere[3], "v1")
    waiting = [bool(world.judge().waiting) for _ in range(6)]
    assert waiting == [False, False, False, True, True, True]
    assert len(world.bucket.calls) == 12


def test_a_new_model_with_a_key_elsewhere_waits_for_the_intake():
    world = World()
    world.take_in()
    view = BucketView(AsyncBucket(world.bucket), "uploads", [IRIS, "elsewhere/my.zip"])
    world.view = view
    assert len(world.judge().waiting) == 1


def test_before_the_first_intake_only_what_is_no_request_is_handled():
    world = World()
    world.bucket.put(IRIS, "v1")
    assert world.judge((IRIS, "v1"), ("data.csv", "d1")).handled == {("data.csv", "d1")}


@pytest.mark.parametrize("version_id", ["v1", "v2", "deleted"])
def test_a_notification_of_an_older_version_is_handled(version_id):
    world = World()
    world.bucket.put(IRIS, "v1")
    world.bucket.put(IRIS, "v2", second=1)
    world.take_in()
    judged = world.judge((IRIS, version_id))
    assert (judged.waiting, judged.handled) == (frozenset(), {(IRIS, version_id)})


def test_a_notification_of_a_version_without_a_run_is_not_handled():
    world = World()
    world.bucket.put(IRIS, "v1")
    world.take_in()
    world.bucket.put(IRIS, "v2", second=60)
    world.bucket.delete(IRIS)
    judged = world.judge((IRIS, "v2"))
    assert (len(judged.waiting), judged.handled) == (1, frozenset())


def test_a_notification_of_what_was_deleted_before_it_had_a_run_is_handled():
    world = World()
    world.take_in()
    assert world.judge((IRIS, "v1")).handled == {(IRIS, "v1")}


def test_many_notifications_of_a_key_cost_one_call_a_look():
    world = World()
    for number in range(20):
        world.bucket.put(IRIS, f"v{number}", second=number)
    world.take_in()
    world.judge(*((IRIS, f"v{number}") for number in range(20)))
    assert world.bucket.calls == [OBJECTS, VERSIONS]


SOURCES = [f"image_builds/m{number}/image.zip" for number in range(50)]


@pytest.mark.parametrize("models", [1, 50])
def test_the_sources_of_all_images_cost_one_more_listing_a_look(models):
    world = World(IRIS, *SOURCES[:models])
    world.take_in()
    for _ in range(2):
        assert world.judge().waiting == frozenset()
    assert world.bucket.calls == [OBJECTS, ("list_objects_v2", "image_builds/")] * 2
    world.bucket.put(SOURCES[models - 1], "v1")
    assert {key for key, _ in world.judge().waiting} == {SOURCES[models - 1]}
    world.take_in()
    assert world.judge().waiting == frozenset()


def test_a_first_model_with_an_image_waits_once_for_the_intake_to_watch_its_source():
    world = World()
    world.bucket.put(SOURCES[0], "v1")
    world.take_in()
    assert world.judge().waiting == frozenset()
    world.source.dag_ids[SOURCES[0]] = "image_build-m0"
    world.view = BucketView(AsyncBucket(world.bucket), "uploads", list(world.source.dag_ids))
    assert {key for key, _ in world.judge().waiting} == {SOURCES[0]}
    world.take_in()
    assert world.judge().waiting == frozenset()


def test_a_source_without_a_model_is_no_request():
    world = World()
    world.take_in()
    assert world.judge((SOURCES[0], "v1")) == Judged(frozenset(), frozenset({(SOURCES[0], "v1")}))
