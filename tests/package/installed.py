"""Slipway installed by pip into an environment with nothing but Airflow, and used from outside the checkout.

Installs Airflow from a package index, so its name keeps it from being collected: `make test-package` asks for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo import upload
from tests.instance import SHORT_PATIENCE, Instance
from tools import setup
from tools.package.__main__ import build

ROOT = Path(__file__).resolve().parents[2]

# What a user's DAG file and Airflow do with the package. No path of the checkout is known here.
PROBE = """
import json, sys
from importlib.metadata import version
from pathlib import Path

import slipway
import yaml
from botocore.waiter import WaiterModel
from slipway import ModelConfig, ModelFileError, build_release_dag, load_model, paths

model = ModelConfig.model_validate(yaml.safe_load(Path(sys.argv[1]).read_text()))
assert model == load_model(Path(sys.argv[1]))
dag = build_release_dag(model)

from airflow import plugins_manager
from airflow.configuration import conf
from airflow.providers_manager import ProvidersManager
from airflow.sdk import Asset
from airflow.serialization.serialized_objects import DagSerialization

def waiters(service):
    return sorted(WaiterModel(json.loads(paths.waiters(service).read_text())).waiter_names)

def plugin():
    [found] = [each for each in plugins_manager.get_plugin_info() if each["name"] == "slipway"]
    return [str(found["source"]), len(found["operator_extra_links"]), len(found["fastapi_root_middlewares"])]

print(json.dumps({
    "package": str(Path(slipway.__file__).parent),
    "versions": [slipway.__version__, version("airflow-slipway")],
    "dag": dag.dag_id,
    "tasks": sorted(dag.task_dict),
    "serialized": sorted(DagSerialization.from_dict(DagSerialization.to_dict(dag)).task_dict),
    "template": str(paths.endpoint_template()),
    "set_up_templates": [str(paths.set_up_template(name)) for name in ("bootstrap", "images", "model", "labs")],
    "template_head": paths.endpoint_template().read_text()[:40],
    "deployed_template": dag.get_task("deploy_dev").template_path,
    "waiters": {service: waiters(service) for service in ("cloudformation", "sagemaker")},
    "plugin": plugin(),
    "plugin_errors": plugins_manager.get_import_errors(),
    "provider": ProvidersManager().providers["airflow-slipway"].data,
    "patience": conf.get("slipway", "aws_patience_seconds"),
    "signing_key": conf.get("slipway", "approval_signing_key"),
    "asset": Asset("sagemaker://US-west-2/123456789012/endpoint/iris").uri,
}))
"""


def run(*command: str | Path, **options: Any) -> str:
    """Run a command and show what it said when it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("package")


@pytest.fixture(scope="module")
def wheel(folder) -> Path:
    """The wheel, built from a copy: a build leaves folders beside its sources."""
    source = folder / "source"
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("plugins", "dags", "include"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md"):
        shutil.copy(ROOT / name, source)
    [found] = [path for path in build(source, folder / "dist") if path.suffix == ".whl"]
    return found


@pytest.fixture(scope="module")
def python(folder, wheel) -> Path:
    """The Python of an environment that has Airflow under our pins, and then the wheel."""
    environment = folder / "environment"
    run(sys.executable, "-m", "venv", environment, env=setup.clean_environment())
    interpreter = environment / "bin" / "python"
    uv = setup.install_uv()
    installer = [uv, "pip", "install", "--python", interpreter] if uv else [interpreter, "-m", "pip", "install"]
    variables = setup.uv_environment(setup.MAIN.python)
    for wanted in ("apache-airflow", f"airflow-slipway[cli] @ {wheel.as_uri()}"):
        run(*installer, "--quiet", "-c", ROOT / "constraints.txt", wanted, env=variables)
    return interpreter


@pytest.fixture(scope="module")
def elsewhere(folder) -> dict[str, Any]:
    """Where the probes run: a folder with copies of the DAG files and the model file, and an environment of its own."""
    place = folder / "elsewhere"
    shutil.copytree(ROOT / "dags", place / "dags")
    shutil.copytree(ROOT / "include" / "models", place / "include" / "models")
    variables = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(place),
        "AIRFLOW_HOME": str(place / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # Only an option that the provider declares as sensitive may come from a command.
        "AIRFLOW__SLIPWAY__APPROVAL_SIGNING_KEY_CMD": "printf from-a-command",
    }
    return {"cwd": place, "env": variables}


@pytest.fixture(scope="module")
def found(python, elsewhere) -> dict[str, Any]:
    """What the probe found."""
    return json.loads(run(python, "-c", PROBE, "include/models/iris-model.yaml", **elsewhere).splitlines()[-1])


def test_the_wheel_has_every_file_of_the_package(wheel):
    """What is beside the modules is in pyproject.toml's package-data."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("slipway/")}
    sources = (path for path in (ROOT / "plugins" / "slipway").rglob("*") if path.is_file())
    wanted = {str(path.relative_to(ROOT / "plugins")) for path in sources if "__pycache__" not in path.parts}
    assert names == wanted


def test_the_wheel_names_its_licence_and_the_sdist_has_what_is_for_copying(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
    [sdist] = wheel.parent.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        there = {name.partition("/")[2] for name in archive.getnames()}
    assert {"CHANGELOG.md", "LICENSE", "dags/release.py", "include/models/iris-model.yaml"} <= there
    assert not [name for name in there if name.startswith(("tests/", "local_aws/", "ui/"))]


def test_it_is_the_installed_package(found, folder):
    assert Path(found["package"]).is_relative_to(folder / "environment")
    assert found["versions"][0] == found["versions"][1]


def test_a_dag_file_builds_a_release(found):
    assert found["dag"] == "iris-model"
    assert {"train", "approve", "deploy_prd", "collect_garbage"} <= set(found["tasks"])
    assert found["serialized"] == found["tasks"]


def test_the_package_has_the_template_and_the_waiters(found):
    assert Path(found["template"]).is_relative_to(found["package"])
    assert found["deployed_template"] == found["template"]
    assert found["template_head"].startswith("AWSTemplateFormatVersion")
    assert all(found["waiters"].values())


def test_the_command_makes_and_checks_a_release_from_an_empty_folder(python, elsewhere, tmp_path):
    slipway, alone = python.with_name("slipway"), elsewhere | {"cwd": tmp_path}
    assert run(slipway, "--version", **alone).startswith("slipway ")
    (tmp_path / "rows.csv").write_text("kind,size\n" + "small,1\nlarge,9\n" * 20)
    made = ["--csv", "rows.csv", "--label", "kind", "--approver", "alice"]
    where = ["--account", "123456789012", "--region", "us-west-2"]
    image = ["--image", "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1"]
    run(slipway, "init", "wine", *made, *where, *image, **alone)
    checked = json.loads(run(slipway, "check", "wine", "--offline", "--json", **alone))
    assert (checked["ok"], checked["model"]) == (True, "wine")


def test_bootstrap_needs_nothing_of_the_repository(python, elsewhere, tmp_path, found):
    """Nobody answers at this port, which comes after everything that it needs of its own."""
    assert all(Path(path).is_relative_to(found["package"]) for path in found["set_up_templates"])
    assert all(Path(path).is_file() for path in found["set_up_templates"])
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1", "AWS_DEFAULT_REGION": "us-west-2"}
    keys = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"}
    command = [python.with_name("slipway"), "bootstrap", "--yes", "--json"]
    environment = elsewhere["env"] | nowhere | keys
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 7, done.stderr
    assert json.loads(done.stdout)["error"]["what"] == "Cannot find out the AWS account"


def test_airflow_has_the_plugin(found):
    source, links, middlewares = found["plugin"]
    assert "slipway==" in source
    assert links > 0
    assert middlewares == 1
    assert found["plugin_errors"] == {}


def test_airflow_has_the_provider_with_its_options(found):
    assert found["provider"]["config"]["slipway"]["options"]["approval_signing_key"]["sensitive"] is True
    assert found["patience"] == "300"
    assert found["signing_key"] == "from-a-command"
    assert found["asset"] == "sagemaker://us-west-2/123456789012/endpoint/iris"


def test_every_dag_file_is_imported(python, elsewhere):
    code = "import pathlib, runpy; [runpy.run_path(str(file)) for file in sorted(pathlib.Path('dags').glob('*.py'))]"
    variables = elsewhere["env"] | {"SLIPWAY_INCLUDE_FOLDER": str(elsewhere["cwd"] / "include")}
    run(python, "-c", code, cwd=elsewhere["cwd"], env=variables)


def test_without_a_setting_the_missing_model_files_are_an_error_that_names_it(python, elsewhere):
    """There is no include folder beside site-packages."""
    command = [python, "dags/model_files.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **elsewhere)
    assert done.returncode == 1
    assert "There is no folder of model files" in done.stderr
    assert "Fix: set SLIPWAY_INCLUDE_FOLDER" in done.stderr


@pytest.fixture(scope="module")
def running(python, folder, free_ports) -> Iterator[Instance]:
    """An Airflow that has the installed package, a folder with the shortest DAG file, and no plugins folder."""
    dags, plugins = folder / "dags", folder / "no-plugins"
    shutil.copytree(ROOT / "docs/examples/dags", dags)
    shutil.copy(ROOT / "include/models/iris-model.yaml", dags)
    plugins.mkdir()
    options = {
        "SLIPWAY_AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "SLIPWAY_AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
        "SLIPWAY_DATABASE_URL": "sqlite",
    }
    instance = Instance.in_folder(folder / "running", free_ports(2), SHORT_PATIENCE | options)
    instance.python = python
    try:
        instance.services("up")
        yield instance
    finally:
        instance.services("down")


def test_the_shortest_dag_file_releases_a_model(running):
    """Without the intake, so somebody triggers the run."""
    running.wait("the DAG", lambda: "iris-model" in running.api().dag_ids())
    assert running.api().dag_ids() == {"iris-model"}
    upload.upload_data(running.settings, "iris-model", "iris")
    uploaded = upload.upload_zip(running.settings, "iris-model")
    conf = {"bucket": uploaded.bucket, "key": uploaded.key, "version_id": uploaded.version_id}
    run_id = running.api().trigger("iris-model", conf)
    running.wait_approval("iris-model", run_id)
    running.api().answer("iris-model", run_id, "approve", "Approve")
    assert running.wait_end("iris-model", run_id) == "success", running.story("iris-model", run_id)
    assert running.ask("iris-model-production").accuracy >= 0.93
    assert len(running.ledger(operation="CreateTrainingJob", outcome="ok")) == 1


def test_two_clones_give_the_same_archives(tmp_path):
    """In other folders, with another umask and time zone. What is committed is built."""
    made = []
    for name, umask, zone in (("one", 0o022, "UTC"), ("a folder/two", 0o077, "Asia/Tokyo")):
        clone = tmp_path / name
        former = os.umask(umask)
        try:
            run("git", "clone", "--quiet", "--no-hardlinks", ROOT, clone)
            for virtual in (setup.MAIN, setup.PACKAGE):
                (clone / virtual.folder.name).symlink_to(virtual.folder)
            out = tmp_path / f"dist-{len(made)}"
            environment = setup.clean_environment() | {"TZ": zone}
            run(sys.executable, "-m", "tools.package", "--out", out, cwd=clone, env=environment)
        finally:
            os.umask(former)
        made.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.iterdir()})
    assert len(made[0]) == 3
    assert made[0] == made[1]
