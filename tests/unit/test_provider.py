"""What the package says of itself to Airflow as a provider."""

import json
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import airflow
import jsonschema
import pytest
from airflow.configuration import conf

from slipway.assets.endpoint import SCHEME
from slipway.aws.patience import patience_seconds
from slipway.options import AWS_PATIENCE, OPTIONS, SECTION
from slipway.plugin import SlipwayPlugin
from slipway.provider import get_provider_info

ROOT = Path(__file__).resolve().parents[2]


def test_airflows_own_schema_takes_it():
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_its_name_is_the_distributions():
    """Airflow refuses a provider whose package has another name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert get_provider_info()["package-name"] == project["name"]


def test_it_names_the_links_that_the_plugin_registers():
    links = {f"{type(link).__module__}.{type(link).__name__}" for link in SlipwayPlugin.operator_extra_links}
    assert set(get_provider_info()["extra-links"]) == links


def test_the_parts_of_the_scheme_are_there():
    """Airflow logs a warning about a part that it cannot import, and goes on without it."""
    [uris] = get_provider_info()["asset-uris"]
    assert uris["schemes"] == [SCHEME]
    parts = [uris[key].rpartition(".") for key in ("handler", "factory", "to_openlineage_converter")]
    assert all(callable(getattr(import_module(module), name)) for module, _, name in parts)


def test_every_option_is_declared_once():
    declared = get_provider_info()["config"][SECTION]["options"]
    assert list(declared) == [option.name for option in OPTIONS]
    assert {name for name, option in declared.items() if option["sensitive"]} == {"approval_signing_key"}


def test_nobody_reads_an_option_past_the_list():
    """So each has one default."""
    read = re.compile(r"conf\.get\w*\(\s*[\"']slipway[\"']")
    files = [*(ROOT / "plugins").rglob("*.py"), *(ROOT / "dags").rglob("*.py")]
    assert [path.name for path in files if read.search(path.read_text())] == []


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_an_option_that_is_not_set_has_its_default_from_the_plugins_folder_too(monkeypatch, option):
    """There Airflow does not know the option, because nothing is installed."""
    monkeypatch.delenv(f"AIRFLOW__SLIPWAY__{option.name.upper()}", raising=False)
    assert conf.get(SECTION, option.name, fallback=option.default) == option.default


def test_the_default_patience_is_that_of_the_option(monkeypatch):
    monkeypatch.delenv("AIRFLOW__SLIPWAY__AWS_PATIENCE_SECONDS")
    assert patience_seconds() == float(AWS_PATIENCE.default)


def test_it_imports_no_airflow():
    """Airflow calls it while it reads its configuration."""
    code = "import sys, slipway.provider; sys.exit('airflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT / "plugins", check=True)
