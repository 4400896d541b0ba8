"""The Airflow plugin."""

import os
import subprocess
import sys
from importlib.util import find_spec
from types import ModuleType

import pytest
from airflow import plugins_manager
from airflow.serialization.serialized_objects import DagSerialization

from slipway import plugin, release_dag
from slipway.aws import session
from slipway.images.dag import build_image_dags
from slipway.metrics import record
from slipway.model import files
from slipway.model.config import ModelConfig
from slipway.model.files import load_models
from slipway.model.pipelines import Pipeline, Stale
from slipway.paths import models_folder
from slipway.plugin import SlipwayPlugin
from slipway.release_dag import build_release_dag
from tests.unit.image_samples import forest_model
from tools.settings import ROOT

STRESS = {"allowed": True, "before_production": True, "slo": {"p99_ms": 500}}


def test_every_link_of_a_task_is_known_to_the_api_server():
    """It deserializes the links of plugins and providers, and no others."""
    models, _ = load_models(models_folder())
    loaded = ModelConfig.model_validate(models[0].model_dump() | {"stress": STRESS})
    builds = build_image_dags([Pipeline(forest_model())])
    tasks = [task for dag in (build_release_dag(loaded), *builds) for task in dag.tasks]
    used = {type(link) for task in tasks for link in task.operator_extra_links}
    own = {link for link in used if link.__module__.startswith("slipway.")}
    assert len(own) == 9
    assert own == {type(link) for link in SlipwayPlugin.operator_extra_links}


@pytest.fixture
def loaded_anew():
    """Airflow loads plugins once in a process."""
    caches = (plugins_manager._get_plugins, plugins_manager.get_fastapi_plugins, plugin._warm_up)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def scheduler(monkeypatch):
    """As in a process that has imported neither the API server nor the triggerer."""
    for module in (plugin._API_SERVER, plugin._TRIGGERER):
        monkeypatch.delitem(sys.modules, module, raising=False)


def test_a_model_file_that_cannot_be_read_does_not_cost_a_process_the_plugin(monkeypatch, scheduler, loaded_anew):
    """Airflow drops a plugin that raises an error when it is loaded, and would serve without its middleware."""

    tried = []

    def unreadable(folder):
        tried.append(folder)
        raise OSError("Stale file handle")

    monkeypatch.setattr(files, "load_models", unreadable)
    apps, middlewares = plugins_manager.get_fastapi_plugins()
    assert [entry["middleware"].__name__ for entry in middlewares] == [plugin.guard_approvals.__name__]
    assert [entry["url_prefix"] for entry in apps] == ["/slipway/guard", "/slipway/api/v1", "/slipway/board"]
    assert tried


def test_what_is_prepared_is_prepared_once_however_often_airflow_loads_the_plugin(monkeypatch, scheduler, loaded_anew):
    """Airflow's scheduler and its task runner have a list of plugins each."""
    read, load_models = [], files.load_models
    monkeypatch.setattr(files, "load_models", lambda folder: read.append(folder) or load_models(folder))
    for _ in range(3):
        SlipwayPlugin.on_load()
    assert len(read) == 1


@pytest.mark.parametrize("module", [plugin._API_SERVER, plugin._TRIGGERER])
def test_who_forks_no_process_of_a_task_prepares_none(monkeypatch, scheduler, loaded_anew, module):
    assert find_spec(module)
    monkeypatch.setitem(sys.modules, module, ModuleType(module))
    monkeypatch.setattr(files, "load_models", lambda folder: pytest.fail("the model files were read"))
    SlipwayPlugin.on_load()
    assert plugin._warm_up.cache_info().misses == 0


def test_the_triggerer_loads_what_sends_metrics(monkeypatch, scheduler):
    """Its triggers call AWS, and all of them would wait for the imports."""
    asked = []
    monkeypatch.setattr(record, "load", lambda: asked.append(1))
    monkeypatch.setitem(sys.modules, plugin._TRIGGERER, ModuleType(plugin._TRIGGERER))
    SlipwayPlugin.on_load()
    assert asked


@pytest.mark.parametrize(("parses", "loaded"), [(True, 0), (False, 1)])
def test_clients_are_made_where_tasks_run(monkeypatch, scheduler, loaded_anew, parses, loaded):
    asked = []
    monkeypatch.setattr(session, "load_service_models", lambda: asked.append(1))
    monkeypatch.delitem(sys.modules, plugin._DAG_PROCESSOR, raising=False)
    if parses:
        monkeypatch.setitem(sys.modules, plugin._DAG_PROCESSOR, ModuleType(plugin._DAG_PROCESSOR))
    SlipwayPlugin.on_load()
    assert len(asked) == loaded


def test_a_process_takes_the_dag_that_was_made_before_it_was_forked_once(monkeypatch):
    monkeypatch.setattr(release_dag, "_prepared", {})
    (model, *_), _ = load_models(models_folder())
    new = DagSerialization.to_dict(build_release_dag(model))
    release_dag.prepare_release_dag(model)
    (_, made), *_ = release_dag._prepared.values()
    assert build_release_dag(model, Stale("m.yaml", "now", "it is broken")) is not made
    assert build_release_dag(model.model_copy()) is not made
    taken, another = build_release_dag(model), build_release_dag(model)
    assert taken is made
    assert another is not made
    assert DagSerialization.to_dict(taken) == new


@pytest.mark.parametrize("start", ["DeferringLocalExecutor().start()", "import slipway.preload"])
def test_a_workers_processes_need_not_load_plugins_for_airflows_task_runner(start):
    script = f"""
from airflow.executors.local_executor import LocalExecutor
from airflow.sdk.plugins_manager import _get_plugins
from airflow.sdk.listener import get_listener_manager
from slipway.host.executor import DeferringLocalExecutor
LocalExecutor.start = lambda executor: None
{start}
print([len(_get_plugins()[0]) > 0, *(each.cache_info().misses for each in (_get_plugins, get_listener_manager))])
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "plugins", "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["[True, 1, 1]"], done.stderr
    assert "could not prepare" not in done.stdout + done.stderr


def test_a_task_of_a_celery_worker_loads_nothing_of_slipway():
    """Its process is forked when `slipway.preload` was imported."""
    script = """
import runpy, sys
import slipway.preload
before = set(sys.modules)
runpy.run_path("dags/release.py")
runpy.run_path("dags/image_build.py")
runpy.run_path("dags/intake.py")
new = set(sys.modules) - before
print(sorted(name for name in new if name.partition(".")[0] in ("slipway", "botocore", "pydantic")))
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": "plugins"}, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr
