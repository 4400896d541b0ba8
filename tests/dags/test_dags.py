"""The DAG files: the DAGs that Airflow makes of them, and what a broken model file does."""

import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

from slipway.guard.approvals import APPROVAL_OPERATOR, TRIAL_OPERATOR
from slipway.host.task_errors import TaskErrors, with_error_block
from slipway.model.approval_rules import Rules
from slipway.model.config import RESERVED_PREFIXES
from slipway.model.files import load_models
from slipway.model.pipelines import STALE_TAG
from slipway.names import DAG_IDS, DAG_TAG
from slipway.paths import models_folder
from slipway.release_dag import build_release_dag

ROOT = Path(__file__).resolve().parents[2]
DAGS = ROOT / "dags"
RELEASE = [
    "source",
    "process_request",
    "train",
    "evaluate",
    "register",
    "deploy_dev",
    "test_dev",
    "approve",
    "deploy_prd",
    "test_prd",
    "watch_trial",
    "decide_trial",
    "settle_trial",
    "collect_garbage",
]
ROLL_BACK = ["source", "roll_back", "deploy_prd"]
NO_TRIAL = ["watch_trial", "collect_garbage"]


def bag() -> DagBag:
    return DagBag(str(DAGS), bundle_path=DAGS)


@pytest.fixture(scope="module")
def shipped() -> DagBag:
    return bag()


def test_no_task_of_a_release_has_airflow_store_what_nobody_reads(shipped):
    """Each is a request to Airflow's API server: rendered fields that are no templates, and parts of a result."""
    tasks = shipped.dags["iris-model"].tasks
    assert [task.task_id for task in tasks if task.multiple_outputs] == []
    # The guard and the board read the rules of those that ask, in the serialized DAG.
    assert {task.task_id for task in tasks if task.template_fields} == {"approve", "decide_trial"}
    assert [task.task_id for task in tasks if task.prepare_for_execution().template_fields] == []


@pytest.fixture
def own_models(tmp_path, monkeypatch) -> Path:
    """A copy of include/ that a test may break; returns its models folder."""
    shutil.copytree(ROOT / "include", tmp_path / "include")
    monkeypatch.setenv("SLIPWAY_INCLUDE_FOLDER", str(tmp_path / "include"))
    return tmp_path / "include" / "models"


def test_every_dag_file_is_imported(shipped):
    assert shipped.import_errors == {}
    assert {"iris-model", *DAG_IDS} <= set(shipped.dags)


def test_no_model_may_have_the_name_of_another_dag(shipped):
    others = {dag_id for dag_id, dag in shipped.dags.items() if "release" not in dag.tags}
    # A model's prefix has no underscore.
    assert {dag_id for dag_id in others if "_" not in dag_id} <= DAG_IDS
    assert others - DAG_IDS == {"image_build-iris-forest", "image_reaper"}
    assert DAG_IDS <= RESERVED_PREFIXES


def test_every_dag_bears_the_tag_by_which_the_guard_knows_it(shipped):
    assert [dag_id for dag_id, dag in shipped.dags.items() if DAG_TAG not in dag.tags] == []


def test_a_release_is_one_line_of_tasks_by_the_labs_stages(shipped):
    tasks = shipped.dags["iris-model"].task_dict
    assert set(tasks) == {*RELEASE, *ROLL_BACK}
    edges = [*pairwise(RELEASE), *pairwise(ROLL_BACK), *pairwise(NO_TRIAL)]
    assert {(task, following) for task in tasks for following in tasks[task].downstream_task_ids} == set(edges)


def test_the_grid_has_a_group_for_each_stage_in_their_order():
    """As the API server has the DAG: there the groups are sorted by id before their edges are looked at."""
    models, _ = load_models(models_folder())
    dag = DagSerialization.from_dict(DagSerialization.to_dict(build_release_dag(models[0])))
    shown = [getattr(node, "group_display_name", "") or node.node_id for node in dag.task_group.topological_sort()]
    assert shown == ["build", "development", "approval", "production", "trial", "collect_garbage"]
    groups = [node for node in dag.task_group.topological_sort() if node.node_id not in dag.task_dict]
    inside = [[task.node_id for task in group.topological_sort()] for group in groups]
    assert [inside[0], *inside[1:3]] == [RELEASE[:5], ["deploy_dev", "test_dev"], ["approve"]]
    assert inside[3:] == [["roll_back", "deploy_prd", "test_prd"], ["watch_trial", "decide_trial", "settle_trial"]]


def test_a_run_is_a_release_or_a_roll_back(shipped):
    tasks = shipped.dags["iris-model"].task_dict
    # source is skipped in a roll-back, and with it all that follows of the release.
    assert tasks["roll_back"].trigger_rule == "all_skipped"
    meeting = {"deploy_prd", "collect_garbage"}
    assert {tasks[name].trigger_rule for name in meeting} == {"none_failed_min_one_success"}
    others = {name: task.trigger_rule for name, task in tasks.items() if name not in {"roll_back", *meeting}}
    assert set(others.values()) == {"all_success"}


def test_load_before_production_is_a_task_of_the_models_that_ask_for_it(own_models):
    path = own_models / "iris-model.yaml"
    path.write_text(path.read_text().replace("  # before_production: true", "  before_production: true"))
    tasks = bag().dags["iris-model"].task_dict
    line = [*RELEASE[:7], "stress_dev", *RELEASE[7:]]
    assert set(tasks) == {*line, *ROLL_BACK}
    edges = [*pairwise(line), *pairwise(ROLL_BACK), *pairwise(NO_TRIAL)]
    assert {(task, following) for task in tasks for following in tasks[task].downstream_task_ids} == set(edges)
    assert tasks["stress_dev"].trigger_rule == tasks["approve"].trigger_rule == "all_success"


def test_a_stress_test_is_one_task_of_one_run_at_a_time_that_is_never_repeated(shipped):
    dag = shipped.dags["stress_test"]
    assert dag.schedule is None
    assert dag.max_active_runs == 1
    assert {name: task.retries for name, task in dag.task_dict.items()} == {"stress": 0}
    assert (dag.params["model"], dag.params["environment"]) == ("iris-model", "dev")


def test_the_form_offers_only_models_that_allow_load(own_models):
    text = (own_models / "iris-model.yaml").read_text()
    (own_models / "iris-model.yaml").write_text(text.replace("  allowed: true", "  allowed: false"))
    form = bag().dags["stress_test"].params
    assert form.get_param("model").schema["enum"] == [None]


def test_the_form_is_the_dags_alone(shipped):
    """Copied to every class of every task, it takes half the time of a parse; Airflow merges it in when a task runs."""
    dag = shipped.dags["iris-model"]
    assert "version_id" in dag.params
    assert [name for name, task in dag.task_dict.items() if "version_id" in task.params] == []


def test_a_release_starts_by_itself_and_by_hand(shipped):
    dag = shipped.dags["iris-model"]
    assert dag.schedule is None
    assert dag.is_paused_upon_creation is False
    assert dag.params["key"] == "training_jobs/iris-model/trainingjob.zip"
    assert dag.params["version_id"] is None
    assert dag.params["roll_back_to"] is None


def test_every_dag_is_documented(shipped):
    assert all(dag.doc_md for dag in shipped.dags.values())


def test_nobody_but_approvers_is_asked_and_silence_is_no_approval(shipped):
    approve = shipped.dags["iris-model"].get_task("approve")
    assert Rules.from_json(approve.rules).approvers == ["alice", "carol"]
    assert approve.defaults is None
    assert approve.response_timeout.days == 7


def test_a_broken_model_file_takes_away_its_own_dag_alone(own_models):
    shutil.copy(own_models / "iris-model.yaml", own_models / "wine-model.yaml")
    broken = bag()
    assert "iris-model" in broken.dags
    assert "wine-model" not in broken.dags
    [(file, error)] = broken.import_errors.items()
    assert file.endswith("model_files.py")
    assert "wine-model.yaml" in error
    assert "prefix" in error
    assert "Fix:" in error


def test_a_missing_folder_of_model_files_is_an_import_error(own_models):
    shutil.rmtree(own_models.parent)
    [(file, error)] = bag().import_errors.items()
    assert file.endswith("model_files.py")
    assert f"There is no folder of model files ({own_models}): SLIPWAY_INCLUDE_FOLDER is {own_models.parent}" in error
    assert "Fix:" in error


NASTY_FILES = {
    "key.yaml": b"prefix: {{ name }}",
    "keys.yaml": b"? [a, b]\n: 1",
    "tag.yaml": b"prefix: !!int x",
    "number.yaml": b"prefix: " + b"1" * 5000,
    "time.yaml": b"prefix: 2026-01-01T25:00:00Z",
    "date.yaml": b"description: 2026-02-30",
    "cycle.yaml": b"prefix: &a [*a]",
    "deep.yaml": b"[" * 100_000,
    "latin.yaml": b"description: \xe4",
    "nul.yaml": b"prefix: \0",
    "large.yaml": b"#" * 300_000,
}


def test_whatever_a_file_is_the_other_models_keep_their_dags(own_models):
    for name, content in NASTY_FILES.items():
        (own_models / name).write_bytes(content)
    (own_models / "folder.yaml").mkdir()
    (own_models / "link.yaml").symlink_to("nowhere")
    os.mkfifo(own_models / "fifo.yaml")
    made = bag()
    assert {"iris-model", *DAG_IDS} <= set(made.dags)
    [(file, error)] = made.import_errors.items()
    assert file.endswith("model_files.py")
    for name in [*NASTY_FILES, "folder.yaml", "link.yaml", "fifo.yaml"]:
        assert name in error


def test_a_broken_file_keeps_the_dag_of_its_last_good_version(own_models):
    path = own_models / "iris-model.yaml"
    os.utime(path, (1_700_000_000, 1_700_000_000))
    bag()
    path.write_text("prefix: {{ name }}")
    made = bag()
    assert STALE_TAG in made.dags["iris-model"].tags
    assert "iris-model.yaml is broken" in made.dags["iris-model"].doc_md
    assert "iris-model.yaml is broken" in made.dags["intake"].doc_md
    assert [file.endswith("model_files.py") for file in made.import_errors] == [True]
    path.unlink()
    gone = bag()
    assert "iris-model" not in gone.dags
    assert gone.import_errors == {}


def test_each_of_several_broken_files_is_named(own_models):
    for name in ("one", "two"):
        (own_models / f"{name}.yaml").write_text("prefix: [")
    [error] = bag().import_errors.values()
    assert "one.yaml" in error
    assert "two.yaml" in error


def test_a_model_is_a_file(own_models):
    text = (own_models / "iris-model.yaml").read_text()
    (own_models / "wine-model.yaml").write_text(text.replace("iris-model", "wine-model"))
    made = bag()
    assert made.import_errors == {}
    assert set(made.dags["wine-model"].task_dict) == {*RELEASE, *ROLL_BACK}
    assert len([dag for dag in made.dags if dag.startswith("intake")]) == 1


def test_a_tasks_process_makes_its_own_release_dag_alone(own_models, monkeypatch):
    text = (own_models / "iris-model.yaml").read_text()
    (own_models / "wine-model.yaml").write_text(text.replace("iris-model", "wine-model"))
    # As Airflow's task runner says which DAG it parses for.
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "wine-model")
    made = bag()
    assert made.import_errors == {}
    assert {"iris-model", "wine-model"} & set(made.dags) == {"wine-model"}


def test_a_release_dag_survives_serialization():
    from airflow.serialization.definitions.dag import SerializedDAG

    models, _ = load_models(models_folder())
    restored = DagSerialization.from_dict(DagSerialization.to_dict(build_release_dag(models[0])))
    assert isinstance(restored, SerializedDAG)
    assert set(restored.task_dict) == {*RELEASE, *ROLL_BACK}
    # Where the API server's guard reads who may answer.
    approve = restored.task_dict["approve"]
    assert approve.task_type == APPROVAL_OPERATOR
    assert Rules.from_json(approve.rules) == models[0].approval.rules()
    decide = restored.task_dict["decide_trial"]
    assert decide.task_type == TRIAL_OPERATOR
    assert Rules.from_json(decide.rules).approvers == ["alice", "carol"]


BUILD = ["source", "check_source", "build", "scan", "record"]


def test_a_model_with_an_image_has_a_dag_that_builds_it(shipped):
    dag = shipped.dags["image_build-iris-forest"]
    assert [*dag.task_dict] == BUILD
    edges = {(task, following) for task, one in dag.task_dict.items() for following in one.downstream_task_ids}
    assert edges == set(pairwise(BUILD))
    assert dag.schedule is None
    assert dag.is_paused_upon_creation is False
    assert (dag.params["version_id"], dag.params["new_attempt"]) == (None, False)
    assert [asset.name for asset in dag.get_task("record").outlets] == ["slipway-image-iris-forest"]
    assert "image_build-iris-model" not in shipped.dags


def test_the_same_watcher_sees_zips_and_sources_of_images(shipped):
    (asset,) = shipped.dags["intake"].timetable.asset_condition.objects
    assert "image_builds/iris-forest/image.zip" in asset.watchers[0].trigger.keys
    assert "image_builds/iris-model/image.zip" not in asset.watchers[0].trigger.keys


def test_one_reaper_watches_the_builds_of_all_models_of_a_connection(shipped):
    (asset,) = shipped.dags["image_reaper"].timetable.asset_condition.objects
    assert asset.watchers[0].trigger.buckets == {"iris-forest": "mlops-{region}-{account}"}


def test_a_build_dag_survives_serialization(shipped):
    restored = DagSerialization.from_dict(DagSerialization.to_dict(shipped.dags["image_build-iris-forest"]))
    assert [*restored.task_dict] == BUILD


def test_a_tasks_process_makes_its_own_build_dag_alone(own_models, monkeypatch):
    text = (own_models / "iris-forest.yaml").read_text()
    (own_models / "wine-forest.yaml").write_text(text.replace("iris-forest", "wine-forest"))
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "image_build-wine-forest")
    assert {dag for dag in bag().dags if dag.startswith("image_build-")} == {"image_build-wine-forest"}


def test_dag_files_import_nothing_slow():
    """Every task process imports its DAG file."""
    code = (
        "import sys, runpy; sys.path.insert(0, 'plugins')\n"
        "files = ('release', 'image_build', 'intake', 'reaper', 'drift', 'stress_test', 'teardown', 'model_files')\n"
        "for file in files: runpy.run_path(f'dags/{file}.py')\n"
        "print(*{'sagemaker', 'pandas', 'xgboost', 'sklearn', 'moto'}.intersection(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert found.stdout.split() == []


def test_the_errors_of_every_task_are_logged_as_a_block(shipped):
    told = with_error_block(bag).__code__
    for dag in shipped.dags.values():
        for task in dag.tasks:
            assert isinstance(task, TaskErrors) or task.python_callable.__code__ is told, task
