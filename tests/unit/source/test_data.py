"""New training data releases the newest zip once; unchanged data with the same zip is never paid for again."""

from datetime import UTC, datetime

import pytest

from slipway import names
from slipway.errors import ReleasedMeanwhile
from slipway.model.config import ModelConfig
from slipway.plan import Revision
from slipway.source.claims import Claim, Claims, refusal
from slipway.source.data import build_new_data_dags, fingerprint, release_newest
from slipway.source.versions import CurrentObject
from tests.unit.request_samples import iris_model
from tests.unit.stage_runs import MemoryDocuments

DAG, PLACES, BEGAN = "iris-model", ["s3://data/input/"], datetime.now(UTC)


class Versions:
    """The data, and the newest zip."""

    def __init__(self, **etags: str) -> None:
        self.etags, self.zip, self.listings = etags, "v1", 0

    def current_objects(self, bucket, prefix):
        self.listings += 1
        return {f"{prefix}{key}": CurrentObject(etag, "then") for key, etag in self.etags.items()}

    def head_version(self, bucket, key, version_id=None):
        return self.zip and Revision(bucket, key, self.zip, "etag", 1, "2026-05-01T12:00:00+00:00")


class World:
    """One model, its releases, and Airflow's runs of it."""

    def __init__(self) -> None:
        self.versions, self.documents, self.runs = Versions(train="a"), MemoryDocuments(), {}

    @property
    def claims(self) -> Claims:
        return Claims(self.documents, "b", DAG, lambda dag_id, run_id: True)

    def start(self, dag_id, run_id, conf, note) -> bool:
        self.runs.setdefault(run_id, conf)
        return True

    def update(self) -> str | None:
        """What the DAG does after the asset was updated."""
        return release_newest(DAG, "b", "k", PLACES, self.versions, self.claims, self.start)

    def claim(self, run_id: str) -> Revision | Claim:
        """What ``source`` of a run does."""
        newest = self.versions.head_version("b", "k")
        wanted = Revision(**vars(newest) | {"data": fingerprint(PLACES, self.versions)})
        new = run_id.startswith(names.DATA_RUN_PREFIX)
        return self.claims.claim(wanted, DAG, run_id, began=BEGAN, new_attempt=new, new_data=new)


@pytest.fixture
def world():
    """A zip that was released with the data as it is."""
    made = World()
    assert made.claim("s3__upload").attempt == 1
    return made


def test_an_update_that_changed_nothing_releases_nothing(world):
    assert world.update() is None
    assert world.runs == {}


@pytest.mark.parametrize("change", [{"train": "b"}, {"train": "a", "more": "c"}, {}])
def test_changed_added_and_removed_rows_are_new_data(world, change):
    world.versions.etags = change
    assert world.update()
    ((run_id, conf),) = world.runs.items()
    assert run_id.startswith("data__")
    assert conf == {"bucket": "b", "key": "k", "version_id": "v1", "new_attempt": True}


def test_however_often_it_is_told_one_change_is_one_run(world):
    world.versions.etags = {"train": "b"}
    assert world.update() == world.update()
    (run_id,) = world.runs
    assert world.claim(run_id).attempt == 2
    assert world.update() is None
    assert len(world.runs) == 1


def test_data_that_comes_back_is_new_against_the_last_release(world):
    for etag, attempt in (("b", 2), ("a", 3), ("b", 4)):
        world.versions.etags = {"train": etag}
        assert world.claim(world.update()).attempt == attempt
    assert len(world.runs) == 3


def test_of_two_runs_that_find_the_same_data_one_is_skipped(world):
    """The data changes twice before the first run has claimed its version."""
    world.versions.etags = {"train": "b"}
    first = world.update()
    world.versions.etags = {"train": "c"}
    second = world.update()
    assert world.claim(first).attempt == 2
    standing = world.claim(second)
    assert standing.run_id == first
    assert isinstance(refusal(world.versions.head_version("b", "k"), standing, second, newest=False), ReleasedMeanwhile)


def test_a_run_that_was_killed_finds_its_own_claim(world):
    world.versions.etags = {"train": "b"}
    run_id = world.update()
    claimed = world.claim(run_id)
    world.versions.etags = {"train": "c"}
    assert world.claim(run_id) == claimed


def test_the_loser_of_a_race_for_the_claim_does_not_train_again(world):
    world.versions.etags = {"train": "b"}
    first, second = world.update(), "data__another"
    write = world.documents.write

    def raced(bucket, key, content, *, etag):
        world.documents.write = write
        assert world.claim(first).attempt == 2
        return write(bucket, key, content, etag=etag)

    world.documents.write = raced
    assert world.claim(second).run_id == first


def test_without_a_zip_or_before_its_own_release_there_is_nothing_to_do():
    world = World()
    assert world.update() is None
    world.versions.zip = None
    assert world.update() is None
    assert world.versions.listings == 0


def test_a_person_may_release_the_same_zip_with_the_same_data(world):
    newest = world.versions.head_version("b", "k")
    assert world.claims.claim(newest, DAG, "manual__1", began=BEGAN, new_attempt=True).attempt == 2


def model(*assets: str) -> ModelConfig:
    entries = [{"asset": one, "data": "s3://mlops-{region}-{account}/iris-model/input/"} for one in assets]
    return ModelConfig.model_validate(iris_model().model_dump() | {"assets": entries})


def test_a_model_with_assets_has_a_dag_that_each_of_them_starts():
    assert build_new_data_dags([iris_model()]) == []
    (dag,) = build_new_data_dags([model("iris-data", "s3://etl/iris")])
    assert dag.dag_id == "new_data-iris-model"
    found = dag.timetable.asset_condition.objects
    assert [getattr(one, "name", None) or one.uri for one in found] == ["iris-data", "s3://etl/iris"]


@pytest.mark.parametrize("asset", ["", " iris", "s3://mlops-{region}/iris", "ïris"])
def test_what_airflow_cannot_know_when_it_reads_the_file_is_refused(asset):
    with pytest.raises(ValueError, match="asset"):
        model(asset)


def test_the_fingerprint_does_not_depend_on_the_order_of_places():
    versions = Versions(train="a")
    assert fingerprint(["s3://a/x/", "s3://b/y/"], versions) == fingerprint(["s3://b/y/", "s3://a/x/"], versions)
    assert fingerprint(["s3://a/x/"], versions) != fingerprint(["s3://b/x/"], versions)
