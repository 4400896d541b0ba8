"""The values for Airflow's Helm chart. No helm runs here: the chart's own schema says which values it takes."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from slipway.options import SIGNING_KEY

ROOT = Path(__file__).resolve().parents[2]
FILES = ("values-celery-keda.yaml", "values-kubernetes-executor.yaml")
CHART = "1.22.0"


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(json.loads(Path(__file__).with_name(f"values-{CHART}.schema.json").read_text()))


@pytest.fixture(params=FILES)
def values(request) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "include/kubernetes" / request.param).read_text())


def places(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each text, with the keys that lead to it."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from places(value, (*path, str(key)))
    elif isinstance(node, list):
        for value in node:
            yield from places(value, path)
    else:
        yield path, str(node)


def test_the_folder_has_no_other_values():
    assert sorted(path.name for path in (ROOT / "include/kubernetes").iterdir()) == list(FILES)


def test_the_chart_takes_them(schema, values):
    assert [error.message for error in schema.iter_errors(values)] == []


def test_the_chart_knows_every_key(schema, values):
    """Where its schema allows any other, a slip of the pen would change nothing and be no error."""
    known = schema.schema["properties"]
    workers = known["workers"]["properties"]
    assert set(values) <= set(known)
    for kind, given in values["workers"].items():
        assert set(given) <= set(workers[kind]["properties"])


@pytest.mark.parametrize("part", ["apiServer", "scheduler", "triggerer", "dagProcessor"])
def test_the_schema_refuses_a_value_that_the_chart_does_not_know(schema, values, part):
    """So the test above can fail."""
    changed = copy.deepcopy(values)
    changed[part]["replica"] = 2
    assert list(schema.iter_errors(changed))


def test_the_signing_key_is_the_api_servers_alone(values):
    name = f"AIRFLOW__SLIPWAY__{SIGNING_KEY.name.upper()}"
    assert [path for path, text in places(values) if text in (name, "slipway-signing-key")] == [
        ("apiServer", "env", "name"),
        ("apiServer", "env", "valueFrom", "secretKeyRef", "name"),
    ]


def test_no_process_is_alone(values):
    parts = ("apiServer", "scheduler", "triggerer")
    assert {part: values[part]["replicas"] for part in parts} == dict.fromkeys(parts, 2)


def test_every_secret_is_named_and_none_is_here(values):
    """A key, a password or a URL with one would be a value of these names."""
    written = {path[-1] for path, _ in places(values)}
    assert not written & {"fernetKey", "jwtSecret", "apiSecretKey", "brokerUrl", "password", "sshKey", "connection"}
    named = {text for path, text in places(values) if path[-1].endswith("SecretName")}
    assert len(named) >= 4
    assert all(text.startswith("slipway-") for text in named)


def test_the_options_are_those_of_the_page(values):
    """docs/how-to/airflow-settings.md says at least which ones."""
    page = (ROOT / "docs/how-to/airflow-settings.md").read_text()
    block = page.split("```ini")[1].split("```")[0]
    wanted = [line.split(" = ") for line in block.splitlines() if " = " in line]
    ours = {option: str(value) for section in values["config"].values() for option, value in section.items()}
    assert {option: ours.get(option) for option, _ in wanted} == dict(wanted)
