"""A broken model file keeps the DAG of its last good version, in every process, and only while the file is broken."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from slipway.model.approval_rules import Rules
from slipway.model.pipelines import STALE_TAG, pipelines
from slipway.release_dag import build_release_dag
from tests.unit.model.test_files import aged
from tests.unit.request_samples import IRIS, ROOT, changed, iris, write_model


@pytest.fixture
def models(tmp_path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def look(models, tmp_path):
    """What the pipelines are now."""
    return lambda: pipelines(models, tmp_path / "copies")


def write(models: Path, content, name="a.yaml") -> Path:
    return aged(write_model(models, content, name))


def test_a_good_file_is_its_own_pipeline(models, look):
    write(models, iris())
    (found,) = look()
    assert found.stale is None
    assert found.model.prefix == "iris-model"


def test_a_broken_file_keeps_its_last_good_version(models, look, tmp_path):
    write(models, changed(iris(), "description", "first"))
    look()
    write(models, changed(iris(), "description", "second"))
    look()
    write(models, "prefix: {{ name }}")
    write(models, IRIS.read_text().replace("iris-model", "wine"), "b.yaml")
    good, broken = look()
    assert (good.model.prefix, good.stale) == ("wine", None)
    assert broken.model.description == "second"
    assert broken.stale.file == "a.yaml"
    assert "line 1, column 10" in broken.stale.why
    # A change of a file's content sets its ctime, which nobody can set back.
    assert broken.stale.since.startswith("20")
    assert broken.stale.since > "2026"


def test_another_process_and_a_restart_see_the_same(models, look, tmp_path):
    write(models, iris())
    look()
    write(models, "prefix: [")
    code = (
        "import sys; from pathlib import Path; from slipway.model.pipelines import pipelines\n"
        "print(*((one.model.prefix, one.stale.file) for one in pipelines(Path(sys.argv[1]), Path(sys.argv[2]))))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, models, tmp_path / "copies"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
        check=True,
        capture_output=True,
        text=True,
    )
    assert "('iris-model', 'a.yaml')" in found.stdout


def test_a_file_that_is_right_again_takes_over(models, look):
    write(models, iris())
    look()
    write(models, "prefix: [")
    look()
    write(models, changed(iris(), "description", "mended"))
    (found,) = look()
    assert (found.model.description, found.stale) == ("mended", None)


def test_a_file_that_was_removed_leaves_nothing_behind(models, look):
    path = write(models, iris())
    look()
    path.unlink()
    assert look() == []
    # Another file of that name does not bring it back.
    write(models, "prefix: [")
    assert look() == []


def test_a_file_that_never_was_good_has_no_pipeline(models, look):
    write(models, "prefix: [")
    assert look() == []


def test_what_is_being_written_is_not_taken_for_the_last_good_version(models, look):
    """Half of a file may be valid."""
    write(models, iris())
    look()
    write_model(models, changed(iris(), "description", "half"), "a.yaml")
    assert look()[0].model.description == "half"
    write(models, "prefix: [")
    assert look()[0].model.description == iris()["description"]


def test_a_file_that_took_over_a_broken_ones_name_comes_first(models, look):
    write(models, iris(), "b.yaml")
    look()
    write(models, iris(), "a.yaml")
    (found,) = look()
    assert found.stale is None


def test_a_folder_that_cannot_be_listed_says_nothing_about_its_files(models, look):
    write(models, iris())
    look()
    models.rename(models.parent / "aside")
    models.write_text("no folder")
    (found,) = look()
    assert "Cannot list the model files" in found.stale.why


def test_without_a_place_for_copies_good_files_do_their_work(models, tmp_path):
    (tmp_path / "copies").write_text("no folder")
    write(models, iris())
    assert [one.stale for one in pipelines(models, tmp_path / "copies")] == [None]


def test_copies_are_for_airflows_user_alone(models, look, tmp_path):
    write(models, iris())
    look()
    (place,) = (tmp_path / "copies").iterdir()
    assert place.stat().st_mode & 0o077 == 0
    (copy,) = place.iterdir()
    assert copy.stat().st_mode & 0o077 == 0


def test_a_stale_dag_says_so_and_begins_nothing(models, look):
    write(models, iris())
    look()
    write(models, "prefix: [")
    (found,) = look()
    dag = build_release_dag(found.model, found.stale)
    assert STALE_TAG in dag.tags
    for text in (dag.description, dag.doc_md):
        assert "a.yaml is broken since 20" in text
        assert "line " in text
    assert "a.yaml is broken" in dag.get_task("source").held
    assert build_release_dag(found.model).get_task("source").held is None
    # As the DAG processor keeps it, and the guard reads who may approve.
    kept = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert Rules.from_json(kept.task_dict["approve"].rules).approvers == ["alice", "carol"]


def test_a_copy_is_written_once_for_each_version(models, look, tmp_path):
    path = write(models, iris())
    look()
    ((copy,),) = [list(place.iterdir()) for place in (tmp_path / "copies").iterdir()]
    first = copy.stat().st_ino
    look()
    assert copy.stat().st_ino == first
    write(models, changed(iris(), "description", "another"))
    look()
    assert copy.read_text() == path.read_text()
