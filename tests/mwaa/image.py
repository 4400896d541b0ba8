"""What `make mwaa` builds, unpacked as MWAA does it, in an environment with the packages of MWAA's image.

Its name keeps it from being collected: `make test-mwaa` makes the environment and asks for it. No MWAA runs here.
"""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.layout import look
from tools import mwaa
from tools.versions import HOME

PYTHON = HOME / "mwaa" / "bin" / "python"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Airflow's home as MWAA fills it."""
    folder = tmp_path_factory.mktemp("mwaa")
    mwaa.build(folder / "built")
    with zipfile.ZipFile(folder / "built/plugins.zip") as archive:
        archive.extractall(folder / "home/plugins")
    (folder / "built/dags").rename(folder / "home/dags")
    return folder / "home"


@pytest.fixture(scope="module")
def found(home) -> dict[str, Any]:
    """What Airflow finds there."""
    fab = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
    include = str(home / "dags/include")
    return look(PYTHON, home, {"AIRFLOW__CORE__AUTH_MANAGER": fab, "SLIPWAY_INCLUDE_FOLDER": include})


def test_the_environment_is_that_of_mwaas_image(found):
    assert found["python"] == [int(part) for part in mwaa.PYTHON_VERSION.split(".")]
    assert found["airflow"] == mwaa.AIRFLOW_VERSION
    assert found["amazon"] == "9.34.0"
    assert not found["sagemaker"]


def test_every_dag_is_there_and_can_be_stored(found):
    assert found["errors"] == {}
    assert {"iris-model", "stress_test", "teardown"} <= set(found["dags"])
    assert found["serialized"] == found["dags"]


def test_the_plugin_comes_from_the_zip_and_is_loaded_once(found, home):
    assert Path(found["package"]) == home / "plugins/slipway"
    assert found["plugins"] == 1
    assert found["plugin_errors"] == {}


def test_airflow_runs_none_of_the_packages_modules_by_its_bare_name(found):
    """Without plugins/.airflowignore it would."""
    assert found["executed"] == []


@pytest.fixture
def aws(tmp_path) -> Path:
    """A folder with a program of the AWS CLI's name, which answers as it does and says what it was asked."""
    program = tmp_path / "bin/aws"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\necho a-key\n')
    program.chmod(0o755)
    return program.parent


@pytest.mark.parametrize(("component", "key"), [("webserver", "a-key"), ("worker", ""), ("scheduler", "")])
def test_the_startup_script_gives_the_signing_key_to_the_web_server_alone(home, aws, component, key):
    script = home.parent / "built/startup.sh"
    shown = 'echo "$SLIPWAY_INCLUDE_FOLDER|$AIRFLOW__SLIPWAY__APPROVAL_SIGNING_KEY"'
    environment = {"PATH": f"{aws}:{os.defpath}", "MWAA_AIRFLOW_COMPONENT": component}
    command = ["/bin/sh", "-c", f". {script}; {shown}"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == f"/usr/local/airflow/dags/include|{key}\n"
    assert (aws.parent / "asked").exists() is bool(key)


def test_the_requirements_name_the_constraints_of_the_images_airflow(home):
    first, *rest = (home.parent / "built/requirements.txt").read_text().splitlines()
    assert first == f'--constraint "{mwaa.CONSTRAINTS}"'
    assert [line for line in rest if line.startswith(("apache-airflow", "sagemaker"))] == []
