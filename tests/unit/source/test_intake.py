"""The intake: one run for each upload, also after crashes; and its DAG."""

from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from slipway import names
from slipway.errors import IntakeUnreadable
from slipway.model.pipelines import Pipeline, Stale
from slipway.source.intake import WatchedBucket, build_intake_dags, sources, take_in
from slipway.source.uploads import STATE_KEY, IntakeState
from slipway.source.versions import ObjectVersion
from tests.unit.scripted_aws import MemoryStore

IRIS = "training_jobs/iris-model/trainingjob.zip"
WINE = "training_jobs/wine/trainingjob.zip"
BUCKET = "uploads"


def version(version_id: str, key: str = IRIS, *, second: int = 0) -> ObjectVersion:
    return ObjectVersion(f"2026-05-01T12:00:{second:02}+00:00", 0, key, version_id)


def refusal(status_code: int, reason: str) -> AirflowRuntimeError:
    detail = {"status_code": status_code, "message": "", "detail": {"detail": {"reason": reason}}}
    return AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))


class Bucket:
    """Lists these versions; has these copies of earlier releases."""

    def __init__(self, *versions: ObjectVersion, copies: tuple[str, ...] = ()) -> None:
        self.versions, self.copies, self.s3 = list(versions), copies, self

    def list_versions(self, bucket, prefixes):
        return sorted(self.versions)

    def exists(self, bucket, key):
        return key in self.copies


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


def source(**dag_ids: str) -> WatchedBucket:
    return WatchedBucket(BUCKET, None, {IRIS: "iris-model", **dag_ids})


def test_every_version_of_a_burst_has_one_run_with_its_own_conf(store):
    airflow, bucket = Airflow("iris-model"), Bucket(*(version(f"v{n}") for n in range(20)))
    assert take_in(source(), store, bucket, airflow.start) == {"started": 20, "waiting": 0}
    assert sorted(airflow.versions()) == sorted(f"v{n}" for n in range(20))
    run_id = names.auto_run_id(BUCKET, IRIS, "v7", version("v7").last_modified)
    revision = names.revision_id(BUCKET, IRIS, "v7")
    assert airflow.notes["iris-model", run_id] == names.release_name(revision, version("v7").last_modified)
    assert airflow.runs["iris-model", run_id] == {"bucket": BUCKET, "key": IRIS, "version_id": "v7"}


def test_a_second_look_starts_nothing(store):
    airflow, bucket = Airflow("iris-model"), Bucket(version("v1"))
    take_in(source(), store, bucket, airflow.start)
    writes = store.writes
    assert take_in(source(), store, bucket, airflow.start) == {"started": 0, "waiting": 0}
    assert (airflow.attempts, store.writes) == (1, writes)


@pytest.mark.parametrize(
    "state", ["x", "", 0, {}, [], {"done": {}}, {"done": "x", "announced": {}}, {"done": {IRIS: "v1"}, "announced": {}}]
)
def test_a_state_that_cannot_be_read_fails_by_name_and_starts_nothing(state):
    airflow, store = Airflow("iris-model"), MemoryStore(**{STATE_KEY: state})
    with pytest.raises(
        IntakeUnreadable, match=r"entry intake in the state store of the asset slipway-uploads-.* Fix: an admin"
    ):
        take_in(source(), store, Bucket(version("v1")), airflow.start)
    assert (airflow.runs, store.entries[STATE_KEY], store.writes) == ({}, state, 0)


def test_killed_between_run_and_commit_the_next_look_finds_the_run(store):
    airflow, bucket = Airflow("iris-model"), Bucket(version("v1"), version("v2", second=1))
    airflow.fail_after = 1
    with pytest.raises(KeyboardInterrupt):
        take_in(source(), store, bucket, airflow.start)
    airflow.fail_after = None
    take_in(source(), store, bucket, airflow.start)
    assert sorted(airflow.versions()) == ["v1", "v2"]


def test_one_models_refusal_neither_stops_the_others_nor_is_committed(store):
    def start(dag_id, run_id, conf, note):
        if dag_id == "iris-model":
            raise refusal(400, "value_error")
        return True

    both = source(**{WINE: "wine"})
    bucket = Bucket(version("v1"), version("w1", WINE, second=1))
    with pytest.raises(AirflowRuntimeError):
        take_in(both, store, bucket, start)
    assert store.entries[STATE_KEY]["done"] == {WINE: ["w1"]}


def test_an_unknown_model_is_logged_once_and_released_when_its_dag_appears(store, caplog):
    airflow, bucket = Airflow("iris-model", "wine"), Bucket(version("w1", WINE), version("w2", WINE, second=1))
    assert take_in(source(), store, bucket, airflow.start) == {"started": 0, "waiting": 2}
    take_in(source(), store, bucket, airflow.start)
    assert len([record for record in caplog.records if "waits for its model" in record.message]) == 2
    assert take_in(source(**{WINE: "wine"}), store, bucket, airflow.start) == {"started": 2, "waiting": 0}
    assert airflow.versions() == ["w1", "w2"]


def test_a_model_whose_dag_is_not_there_yet_stays_open(store, caplog):
    airflow, bucket = Airflow(), Bucket(version("v1"))
    for _ in range(2):
        assert take_in(source(), store, bucket, airflow.start) == {"started": 0, "waiting": 1}
    assert len([record for record in caplog.records if "waits for its DAG" in record.message]) == 1
    airflow.dag_ids.add("iris-model")
    assert take_in(source(), store, bucket, airflow.start) == {"started": 1, "waiting": 0}


def test_the_first_look_takes_the_newest_of_each_key_and_passes_the_older_over():
    airflow, store = Airflow("iris-model"), MemoryStore()
    bucket = Bucket(version("v1"), version("v2", second=1), version("w1", WINE), version("w2", WINE, second=1))
    assert take_in(source(), store, bucket, airflow.start) == {"started": 1, "waiting": 1}
    assert airflow.versions() == ["v2"]
    # All later uploads are released, also those that are older than the model's DAG.
    bucket.versions += [version("w3", WINE, second=2)]
    airflow.dag_ids.add("wine")
    take_in(source(**{WINE: "wine"}), store, bucket, airflow.start)
    assert airflow.versions() == ["v2", "w2", "w3"]


def test_the_first_look_does_not_release_again_what_another_airflow_released():
    copy = names.release_prefix("iris-model", names.revision_id(BUCKET, IRIS, "v2")) + "trainingjob.zip"
    airflow, store = Airflow("iris-model"), MemoryStore()
    take_in(source(), store, Bucket(version("v1"), version("v2", second=1), copies=(copy,)), airflow.start)
    assert airflow.versions() == []
    assert store.entries[STATE_KEY]["done"] == {IRIS: ["v1", "v2"]}


def test_versions_that_s3_has_expired_are_forgotten(store):
    airflow = Airflow("iris-model")
    take_in(source(), store, Bucket(version("v1"), version("v2")), airflow.start)
    take_in(source(), store, Bucket(version("v2")), airflow.start)
    assert store.entries[STATE_KEY]["done"] == {IRIS: ["v2"]}


def model(
    prefix: str, bucket: str = "mlops-{region}-{account}", aws_conn_id: str = "aws_default", queue=None, stale=None
) -> Pipeline:
    place = SimpleNamespace(bucket=bucket, key=names.source_key(prefix), queue=queue)
    return Pipeline(SimpleNamespace(prefix=prefix, source=place, aws_conn_id=aws_conn_id), stale)


BROKEN = Stale("wine.yaml", "2026-05-01T12:00:00+00:00", "field prefix: expected text, found the number 1.")


def test_uploads_for_a_broken_model_file_wait_and_keep_their_place(caplog):
    """The watcher emits no events for them, and what was released before stays done."""
    airflow, store = Airflow("iris-model", "wine"), MemoryStore()
    (source,) = sources([model("iris-model", BUCKET), model("wine", BUCKET, stale=BROKEN)])
    done = version("w0", WINE)
    store.set(STATE_KEY, IntakeState(frozenset({(done.key, done.version_id)})).to_json())
    bucket = Bucket(done, version("w1", WINE, second=1), version("i1", second=2))
    assert take_in(source, store, bucket, airflow.start) == {"started": 1, "waiting": 1}
    assert airflow.versions() == ["i1"]
    assert "wine.yaml is broken since 2026-05-01" in caplog.text
    (dag,) = build_intake_dags([model("iris-model", BUCKET), model("wine", BUCKET, stale=BROKEN)])
    (asset,) = dag.timetable.asset_condition.objects
    assert asset.watchers[0].trigger.keys == [names.source_key("iris-model")]
    assert "wine.yaml is broken" in dag.doc_md
    # The file is correct again.
    (source,) = sources([model("iris-model", BUCKET), model("wine", BUCKET)])
    take_in(source, store, bucket, airflow.start)
    assert airflow.versions() == ["i1", "w1"]


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
