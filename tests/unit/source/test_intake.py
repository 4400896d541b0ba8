"""The intake: one run for each upload, also after crashes; and its DAG."""

from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from slipway import names
from slipway.errors import IntakeUnreadable
from slipway.model.pipelines import Pipeline, Stale
from slipway.source.intake import WatchedBucket, build_intake_dags, sources, take_in
from slipway.source.unreleased import WAITING_MAX
from slipway.source.uploads import STATE_KEY
from tests.unit.scripted_aws import MemoryStore
from tests.unit.source.bucket import Bucket

IRIS = "training_jobs/iris-model/trainingjob.zip"
WINE = "training_jobs/wine/trainingjob.zip"
ELSEWHERE = "elsewhere/my.zip"
BUCKET = "uploads"
AT = "2026-05-01T12:00:00+00:00"


def uploads(*made: tuple[str, str]) -> Bucket:
    """A bucket with these uploads, by key and VersionId, a second after the other."""
    bucket = Bucket()
    for second, (key, version_id) in enumerate(made):
        bucket.put(key, version_id, second=second)
    return bucket


def refusal(status_code: int, reason: str) -> AirflowRuntimeError:
    detail = {"status_code": status_code, "message": "", "detail": {"detail": {"reason": reason}}}
    return AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))


class Airflow:
    """Keeps (DAG, run id) unique, as Airflow does; may lack a DAG, and may fail after it created the run."""

    def __init__(self, *dag_ids: str) -> None:
        self.dag_ids, self.runs, self.notes, self.attempts = set(dag_ids), {}, {}, 0
        self.fail_after: int | None = None

    def start(self, dag_id, run_id, conf, note):
        if dag_id not in self.dag_ids:
            return False
        self.attempts += 1
        self.runs.setdefault((dag_id, run_id), dict(conf))
        self.notes[dag_id, run_id] = note
        if self.fail_after is not None and self.attempts > self.fail_after:
            raise KeyboardInterrupt
        return True

    def versions(self):
        return [conf["version_id"] for conf in self.runs.values()]


@pytest.fixture
def store():
    """The state of a bucket whose first intake found nothing."""
    empty = MemoryStore()
    take_in(source(), empty, Bucket(), Airflow().start)
    return empty


def counts(started: int, waiting: int, passed_over: int = 0) -> dict[str, int]:
    """What the intake returns."""
    return {"started": started, "waiting": waiting, "passed_over": passed_over}


def source(**dag_ids: str) -> WatchedBucket:
    return WatchedBucket(BUCKET, None, {IRIS: "iris-model", **dag_ids})


def test_every_version_of_a_burst_has_one_run_with_its_own_conf(store):
    airflow, bucket = Airflow("iris-model"), Bucket()
    for number in range(20):
        bucket.put(IRIS, f"v{number}")
    assert take_in(source(), store, bucket, airflow.start) == counts(20, 0)
    assert sorted(airflow.versions()) == sorted(f"v{n}" for n in range(20))
    run_id = names.auto_run_id(BUCKET, IRIS, "v7", AT)
    assert airflow.notes["iris-model", run_id] == names.release_name(names.revision_id(BUCKET, IRIS, "v7"), AT)
    assert airflow.runs["iris-model", run_id] == {"bucket": BUCKET, "key": IRIS, "version_id": "v7"}


def test_a_second_look_starts_nothing_and_is_one_listing(store):
    airflow, bucket = Airflow("iris-model"), uploads((IRIS, "v1"))
    take_in(source(), store, bucket, airflow.start)
    writes = store.writes
    bucket.calls.clear()
    assert take_in(source(), store, bucket, airflow.start) == counts(0, 0)
    assert (airflow.attempts, store.writes) == (1, writes)
    assert bucket.calls == [("list_objects_v2", "training_jobs/")]


def test_the_versions_of_keys_that_did_not_change_are_not_listed(store):
    models = {f"training_jobs/m{number}/trainingjob.zip": f"m{number}" for number in range(50)}
    airflow, bucket = Airflow(*models.values()), uploads(*((key, "v1") for key in models))
    take_in(source(**models), store, bucket, airflow.start)
    bucket.put("training_jobs/m7/trainingjob.zip", "v2", second=70)
    bucket.calls.clear()
    assert take_in(source(**models), store, bucket, airflow.start)["started"] == 1
    assert bucket.calls == [
        ("list_objects_v2", "training_jobs/"),
        ("list_object_versions", "training_jobs/m7/trainingjob.zip"),
    ]


def test_a_second_upload_that_looks_like_the_first_is_released(store):
    """The same content within a second: S3 shows the same ETag and the same time."""
    airflow, bucket = Airflow("iris-model"), Bucket(clock_seconds=0)
    bucket.put(IRIS, "v1", etag='"same"')
    take_in(source(), store, bucket, airflow.start)
    bucket.put(IRIS, "v2", etag='"same"')
    take_in(source(), store, bucket, airflow.start)
    assert sorted(airflow.versions()) == ["v1", "v2"]


def test_an_upload_that_was_deleted_at_once_is_released(store):
    airflow, bucket = Airflow("iris-model"), uploads((IRIS, "v1"))
    take_in(source(), store, bucket, airflow.start)
    bucket.put(IRIS, "v2", second=60)
    bucket.delete(IRIS)
    take_in(source(), store, bucket, airflow.start)
    assert sorted(airflow.versions()) == ["v1", "v2"]
    assert take_in(source(), store, bucket, airflow.start)["started"] == 0


def test_a_version_that_is_deleted_for_ever_releases_none_again(store):
    airflow, bucket = Airflow("iris-model"), uploads((IRIS, "v1"), (IRIS, "v2"))
    take_in(source(), store, bucket, airflow.start)
    attempts = airflow.attempts
    bucket.expire(IRIS, "v2")
    take_in(source(), store, bucket, airflow.start)
    assert airflow.attempts == attempts


def test_a_key_elsewhere_that_is_watched_from_now_on_has_its_newest_version_released(store):
    airflow, bucket = Airflow("my"), uploads((ELSEWHERE, "v1"), (ELSEWHERE, "v2"))
    mine = source(**{ELSEWHERE: "my"})
    take_in(mine, store, bucket, airflow.start)
    assert airflow.versions() == ["v2"]
    for version_id in ("v3", "v4"):
        bucket.put(ELSEWHERE, version_id, second=60)
    take_in(mine, store, bucket, airflow.start)
    assert airflow.versions() == ["v2", "v3", "v4"]


def test_the_first_uploads_to_a_key_elsewhere_that_is_watched_are_all_released(store):
    airflow, bucket = Airflow("my"), Bucket()
    mine = source(**{ELSEWHERE: "my"})
    take_in(mine, store, bucket, airflow.start)
    for version_id in ("v1", "v2"):
        bucket.put(ELSEWHERE, version_id)
    take_in(mine, store, bucket, airflow.start)
    assert sorted(airflow.versions()) == ["v1", "v2"]


@pytest.mark.parametrize(
    "state",
    [
        *("x", "", 0, {}, [], {"done": {}}, {"done": "x", "announced": {}}, {"done": {IRIS: "v1"}, "announced": {}}),
        *({"keys": []}, {"keys": {IRIS: "v1"}}, {"keys": {IRIS: {"newest": 1}}}, {"keys": {IRIS: {"waiting": "v1"}}}),
    ],
)
def test_a_state_that_cannot_be_read_fails_by_name_and_starts_nothing(state):
    airflow, store = Airflow("iris-model"), MemoryStore(**{STATE_KEY: state})
    with pytest.raises(
        IntakeUnreadable, match=r"entry intake in the state store of the asset slipway-uploads-.* Fix: an admin"
    ):
        take_in(source(), store, uploads((IRIS, "v1")), airflow.start)
    assert (airflow.runs, store.entries[STATE_KEY], store.writes) == ({}, state, 0)


def test_killed_between_run_and_commit_the_next_look_finds_the_run(store):
    airflow, bucket = Airflow("iris-model"), uploads((IRIS, "v1"), (IRIS, "v2"))
    airflow.fail_after = 1
    with pytest.raises(KeyboardInterrupt):
        take_in(source(), store, bucket, airflow.start)
    airflow.fail_after = None
    take_in(source(), store, bucket, airflow.start)
    assert sorted(airflow.versions()) == ["v1", "v2"]


def test_killed_in_the_first_intake_a_later_upload_is_no_older_one():
    airflow, store, bucket = Airflow("iris-model"), MemoryStore(), uploads((IRIS, "v1"), (IRIS, "v2"))
    airflow.fail_after = 0
    with pytest.raises(KeyboardInterrupt):
        take_in(source(), store, bucket, airflow.start)
    airflow.fail_after = None
    bucket.put(IRIS, "v3", second=60)
    take_in(source(), store, bucket, airflow.start)
    assert airflow.versions() == ["v2", "v3"]


def test_one_models_refusal_neither_stops_the_others_nor_is_committed(store):
    refused = ["iris-model"]

    def start(dag_id, run_id, conf, note):
        if dag_id in refused:
            raise refusal(400, "value_error")
        return airflow.start(dag_id, run_id, conf, note)

    airflow, both = Airflow("iris-model", "wine"), source(**{WINE: "wine"})
    bucket = uploads((IRIS, "v1"), (WINE, "w1"))
    with pytest.raises(AirflowRuntimeError):
        take_in(both, store, bucket, start)
    assert airflow.versions() == ["w1"]
    refused.clear()
    assert take_in(both, store, bucket, start) == counts(1, 0)
    assert airflow.versions() == ["w1", "v1"]


def test_an_unknown_model_is_logged_once_and_released_when_its_dag_appears(store, caplog):
    airflow, bucket = Airflow("iris-model", "wine"), uploads((WINE, "w1"), (WINE, "w2"))
    assert take_in(source(), store, bucket, airflow.start) == counts(0, 2)
    take_in(source(), store, bucket, airflow.start)
    assert len([record for record in caplog.records if "waits for its model" in record.message]) == 2
    assert take_in(source(**{WINE: "wine"}), store, bucket, airflow.start) == counts(2, 0)
    assert airflow.versions() == ["w1", "w2"]


def nightly(bucket: Bucket, key: str, numbers: range) -> list[str]:
    """Uploads of one ETL, an hour after the other."""
    return [bucket.put(key, f"n{number}", second=3600 * number) for number in numbers]


def test_of_the_uploads_to_a_key_without_a_model_the_newest_wait_and_the_log_says_what_is_passed_over(store, caplog):
    airflow, bucket = Airflow("iris-model", "wine"), Bucket()
    sent = nightly(bucket, WINE, range(WAITING_MAX + 3))
    assert take_in(source(), store, bucket, airflow.start) == counts(0, WAITING_MAX, passed_over=3)
    assert store.entries[STATE_KEY]["keys"][WINE]["waiting"] == sent[3:]
    (told,) = [record.message for record in caplog.records if "will not be released" in record.message]
    assert told.startswith(
        f"s3://{BUCKET}/{WINE}: only the newest 20 uploads wait, so 3 will not be released, uploaded from {AT} to "
        "2026-05-01T14:00:00+00:00. Fix: add the model file, or end these uploads; "
    )
    assert told.endswith(names.RELEASE_A_VERSION)
    # It is said once.
    take_in(source(), store, bucket, airflow.start)
    assert caplog.text.count("will not be released") == 1
    assert caplog.text.count("waits for its model") == WAITING_MAX
    sent += nightly(bucket, WINE, range(WAITING_MAX + 3, WAITING_MAX + 4))
    assert take_in(source(), store, bucket, airflow.start) == counts(0, WAITING_MAX, passed_over=1)
    assert caplog.text.count("will not be released") == 2
    assert take_in(source(**{WINE: "wine"}), store, bucket, airflow.start) == counts(WAITING_MAX, 0)
    assert airflow.versions() == sent[-WAITING_MAX:]


def test_what_is_passed_over_is_said_before_it_is_forgotten(store, caplog):
    """Killed in between, the intake says it again."""
    airflow, bucket = Airflow("iris-model"), Bucket()
    nightly(bucket, WINE, range(WAITING_MAX + 1))
    broken = MemoryStore(**store.entries)
    broken.set = lambda key, value: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        take_in(source(), broken, bucket, airflow.start)
    assert take_in(source(), store, bucket, airflow.start) == counts(0, WAITING_MAX, passed_over=1)
    assert caplog.text.count("so 1 will not be released") == 2


@pytest.mark.parametrize("held", [False, True])
def test_a_missing_dag_and_a_broken_file_let_all_uploads_wait(held):
    airflow, store, bucket = Airflow(), MemoryStore(), Bucket()
    (watched,) = sources([model("wine", BUCKET, stale=BROKEN if held else None)])
    take_in(watched, store, bucket, airflow.start)
    sent = nightly(bucket, WINE, range(30))
    assert take_in(watched, store, bucket, airflow.start) == counts(0, len(sent))
    airflow.dag_ids.add("wine")
    (watched,) = sources([model("wine", BUCKET)])
    take_in(watched, store, bucket, airflow.start)
    assert airflow.versions() == sent


def test_what_airflow_refuses_waits_however_much_it_is(store, caplog):
    """Nothing is wrong with the model: Airflow may be away for a moment."""
    airflow, bucket = Airflow("iris-model"), Bucket()
    sent = nightly(bucket, IRIS, range(50))

    def refuse(*run):
        raise refusal(503, "unavailable")

    with pytest.raises(AirflowRuntimeError):
        take_in(source(), store, bucket, refuse)
    assert take_in(source(), store, bucket, airflow.start) == counts(50, 0)
    assert airflow.versions() == sent
    assert "will not be released" not in caplog.text


def test_a_model_whose_dag_is_not_there_yet_stays_open(store, caplog):
    airflow, bucket = Airflow(), uploads((IRIS, "v1"))
    for _ in range(2):
        assert take_in(source(), store, bucket, airflow.start) == counts(0, 1)
    assert len([record for record in caplog.records if "waits for its DAG" in record.message]) == 1
    airflow.dag_ids.add("iris-model")
    assert take_in(source(), store, bucket, airflow.start) == counts(1, 0)


def test_the_first_look_takes_the_newest_of_each_key_and_passes_the_older_over():
    airflow, store = Airflow("iris-model"), MemoryStore()
    bucket = uploads((IRIS, "v1"), (IRIS, "v2"), (WINE, "w1"), (WINE, "w2"))
    assert take_in(source(), store, bucket, airflow.start) == counts(1, 1)
    assert airflow.versions() == ["v2"]
    # All later uploads are released, also those that are older than the model's DAG.
    bucket.put(WINE, "w3", second=60)
    airflow.dag_ids.add("wine")
    take_in(source(**{WINE: "wine"}), store, bucket, airflow.start)
    assert airflow.versions() == ["v2", "w2", "w3"]


def test_the_first_look_does_not_release_again_what_another_airflow_released():
    copy = names.release_prefix("iris-model", names.revision_id(BUCKET, IRIS, "v2")) + "trainingjob.zip"
    airflow, store, bucket = Airflow("iris-model"), MemoryStore(), uploads((IRIS, "v1"), (IRIS, "v2"))
    bucket.existing.add(copy)
    take_in(source(), store, bucket, airflow.start)
    take_in(source(), store, bucket, airflow.start)
    assert airflow.versions() == []


def test_the_state_does_not_grow_with_the_versions_and_forgets_what_s3_has_expired(store):
    airflow, bucket, sizes = Airflow("iris-model"), Bucket(), []
    for number in range(10, 40):
        bucket.put(IRIS, f"v{number}", second=number)
        take_in(source(), store, bucket, airflow.start)
        sizes.append(len(str(store.entries[STATE_KEY])))
    assert sizes[-1] == sizes[10]
    for number in range(10, 40):
        bucket.expire(IRIS, f"v{number}")
    take_in(source(), store, bucket, airflow.start)
    assert store.entries[STATE_KEY]["keys"] == {}


def test_what_an_earlier_slipway_stored_is_continued():
    """It knew v1 and v3 as done; v2 waited because Airflow had refused it."""
    store = MemoryStore(**{STATE_KEY: {"format_version": 1, "done": {IRIS: ["v1", "v3"]}, "announced": {WINE: ["w1"]}}})
    airflow, bucket = Airflow("iris-model", "wine"), uploads((IRIS, "v1"), (IRIS, "v2"), (IRIS, "v3"), (WINE, "w1"))
    take_in(source(), store, bucket, airflow.start)
    assert airflow.versions() == ["v2"]
    bucket.put(IRIS, "v4", second=60)
    take_in(source(**{WINE: "wine"}), store, bucket, airflow.start)
    assert sorted(airflow.versions()) == ["v2", "v4", "w1"]


FOREST = "image_builds/forest/image.zip"


def test_every_version_of_an_images_source_has_one_run_of_its_build(store):
    airflow, bucket, watched = Airflow("image_build-forest"), Bucket(), source(**{FOREST: "image_build-forest"})
    # From now on the source is watched: no upload is an older one.
    take_in(watched, store, bucket, airflow.start)
    for number in range(3):
        bucket.put(FOREST, f"v{number}")
    assert take_in(watched, store, bucket, airflow.start) == counts(3, 0)
    assert take_in(watched, store, bucket, airflow.start) == counts(0, 0)
    run_id = names.auto_run_id(BUCKET, FOREST, "v1", AT)
    assert airflow.runs["image_build-forest", run_id] == {"bucket": BUCKET, "key": FOREST, "version_id": "v1"}


def test_of_the_sources_from_before_the_model_had_an_image_only_the_newest_is_built(store):
    airflow, bucket = Airflow("image_build-forest"), uploads((FOREST, "v1"), (FOREST, "v2"))
    take_in(source(), store, bucket, airflow.start)
    assert airflow.versions() == []
    take_in(source(**{FOREST: "image_build-forest"}), store, bucket, airflow.start)
    assert airflow.versions() == ["v2"]


def test_the_first_look_does_not_build_again_what_another_airflow_has_built():
    bucket = uploads((FOREST, "v1"))
    bucket.existing.add(f"releases/forest/images/{names.revision_id(BUCKET, FOREST, 'v1')}/image.zip")
    airflow = Airflow("image_build-forest")
    take_in(source(**{FOREST: "image_build-forest"}), MemoryStore(), bucket, airflow.start)
    assert airflow.versions() == []


def test_a_model_with_an_image_has_two_sources():
    (found,) = sources([model("a", BUCKET), model("forest", BUCKET, image=object(), stale=BROKEN)])
    assert found.dag_ids == {
        names.source_key("a"): "a",
        names.source_key("forest"): "forest",
        FOREST: "image_build-forest",
    }
    assert found.held == {names.source_key("forest"): BROKEN, FOREST: BROKEN}


def model(
    prefix: str,
    bucket: str = "mlops-{region}-{account}",
    aws_conn_id: str = "aws_default",
    queue=None,
    stale=None,
    image=None,
) -> Pipeline:
    place = SimpleNamespace(bucket=bucket, key=names.source_key(prefix), queue=queue)
    return Pipeline(SimpleNamespace(prefix=prefix, source=place, aws_conn_id=aws_conn_id, image=image), stale)


BROKEN = Stale("wine.yaml", "2026-05-01T12:00:00+00:00", "field prefix: expected text, found the number 1.")


def test_uploads_for_a_broken_model_file_wait_and_keep_their_place(caplog):
    """The watcher emits no events for them, and what was released before stays done."""
    airflow, store = Airflow("iris-model", "wine"), MemoryStore()
    bucket = uploads((WINE, "w0"))
    (source,) = sources([model("iris-model", BUCKET), model("wine", BUCKET)])
    take_in(source, store, bucket, airflow.start)
    bucket.put(WINE, "w1", second=1)
    bucket.put(IRIS, "i1", second=2)
    (source,) = sources([model("iris-model", BUCKET), model("wine", BUCKET, stale=BROKEN)])
    assert take_in(source, store, bucket, airflow.start) == counts(1, 1)
    assert airflow.versions() == ["w0", "i1"]
    assert "wine.yaml is broken since 2026-05-01" in caplog.text
    (dag,) = build_intake_dags([model("iris-model", BUCKET), model("wine", BUCKET, stale=BROKEN)])
    (asset,) = dag.timetable.asset_condition.objects
    assert asset.watchers[0].trigger.keys == [names.source_key("iris-model")]
    assert "wine.yaml is broken" in dag.doc_md
    # The file is correct again.
    (source,) = sources([model("iris-model", BUCKET), model("wine", BUCKET)])
    take_in(source, store, bucket, airflow.start)
    assert airflow.versions() == ["w0", "i1", "w1"]


def test_models_of_one_bucket_share_one_watcher():
    (dag,) = build_intake_dags([model("iris-model"), model("wine")])
    assert dag.dag_id == "intake"
    assert (dag.max_active_runs, dag.is_paused_upon_creation, dag.catchup) == (1, False, False)
    (asset,) = dag.timetable.asset_condition.objects
    (watcher,) = asset.watchers
    assert watcher.trigger.keys == [names.source_key("iris-model"), names.source_key("wine")]
    assert watcher.trigger.bucket == "mlops-{region}-{account}"
    assert dag.get_task("start_releases").retries == 3


def test_the_watcher_listens_to_the_queues_of_all_models_of_its_bucket():
    (dag,) = build_intake_dags([model("a", queue="q"), model("b"), model("c", queue="p"), model("d", queue="q")])
    (asset,) = dag.timetable.asset_condition.objects
    assert asset.watchers[0].trigger.queues == ["p", "q"]


def test_several_buckets_have_an_intake_each_with_names_that_stay():
    models = [model("a", "one"), model("b", "two"), model("c", "two", "other_account")]
    ids = [dag.dag_id for dag in build_intake_dags(models)]
    assert len(set(ids)) == 3
    assert all(each.startswith("intake-") for each in ids)
    # The asset, and so the stored state, stays the same when other buckets are added.
    assert sources(models)[0].slug == sources(models[:1])[0].slug
    assert build_intake_dags([]) == []
