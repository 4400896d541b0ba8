"""The commands of docs/astro.md make a project in which Airflow finds everything."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT
from tests.layout import look

PAGE = (DOCS / "astro.md").read_text()
# What `astro dev init` makes: https://www.astronomer.io/docs/astro/cli/develop-project
FOLDERS = ("dags", "include", "plugins", "tests")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project after the page's commands, which copy from a folder named slipway."""
    place = tmp_path_factory.mktemp("astro")
    (place / "slipway").symlink_to(ROOT)
    for folder in FOLDERS:
        (place / "my-project" / folder).mkdir(parents=True)
    block = PAGE.split("```sh")[1].split("```")[0]
    subprocess.run(["/bin/sh", "-ec", block], cwd=place, check=True)
    for compiled in list((place / "my-project").rglob("__pycache__")):
        shutil.rmtree(compiled)
    return place / "my-project"


def test_airflow_finds_the_dags_and_the_plugin_once(project):
    found = look(Path(sys.executable), project, {})
    assert found["errors"] == {}
    assert {"iris-model", "stress_test", "teardown"} <= set(found["dags"])
    assert found["serialized"] == found["dags"]
    assert (found["plugins"], found["plugin_errors"], found["executed"]) == (1, {}, [])
    assert Path(found["package"]) == project / "plugins/slipway"


def test_the_requirements_are_bounds_that_the_package_has(project):
    block = PAGE.split("```text")[1].split("```")[0].split()
    assert block[0] in (ROOT / "pyproject.toml").read_text()
