"""Whatever a model file holds: its model, or an error that names file and place; the other files are read."""

import json
import re
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from airflow.serialization.serialized_objects import DagSerialization
from hypothesis import event, example, given
from hypothesis import strategies as st

from slipway.errors import ModelFileError
from slipway.model.files import read_models
from slipway.release_dag import build_release_dag
from tests.generated import change, examples, values
from tests.unit.request_samples import IRIS, iris

# The shipped file, with the sections that it leaves out.
WHOLE = yaml.safe_load(IRIS.read_text().replace("iris", "daisy")) | {
    "execution_mode": "QUEUED",
    "metrics": {"validation:accuracy": "validation-accuracy=([0-9.]+)"},
    "golden": {"data": "s3://mlops-{region}-{account}/daisy-model/input/golden.csv"},
    "scaling_schedule": [
        {"name": "morning", "schedule": "cron(0 7 ? * MON-FRI *)", "min_capacity": 2, "max_capacity": 10}
    ],
    "trial": {"minutes": 60, "decide": "rule", "rule": {"error_share_margin": 0.01}, "steps": [0.5, 1.0]},
}
TEXT = yaml.safe_dump(WHOLE, sort_keys=False)
LINES = TEXT.splitlines(keepends=True)
# Values that YAML reads as something else than text, or not at all.
HOSTILE_YAML = [
    "2024-02-30", "2024-01-01T00:00:00Z", "0o17", "0x1F", "1_000", "12:30:45", ".inf", "-.inf", ".nan", "1e999", "~",
    "yes", "off", "!!python/object:os.system x", "!!binary aGk=", "!!set {a, b}", "&a [*a]", "*nothing", "<<: {a: 1}",
    "? [a]\n: b", "{a: 1, a: 2}", "[" * 100, "{a: " * 100, '"\\ud800"', '"\\0"', "\t", "--- a\n--- b", "%YAML 9.9",
    "| \n x", "'", "\ufeff", "\u2028", "@x", "`x`", "9" * 5000, "1" * 41, "-9223372036854775809", "k: " + "v" * 300_000,
    "&a {a: &b [x, x], c: *b, d: *b}", "!", "!<x>", "- \n- ", "{region}", "\x85", "\x7f", "\x1b[31m",
]  # fmt: skip
# What a field may well take.
MILD = (
    st.sampled_from([0, 1, 2, 60, 0.5, True, False, None, "rule", "person", "ml.c5.large", "a b", "é", 10**9])
    | st.builds(list)
    | st.builds(dict)
)
SUMMARIES = {
    "The model file does not describe a pipeline",
    "The model file is not valid YAML",
    "Cannot read the model file",
    "Two model files share a value",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder of model files with a good one."""
    models = tmp_path_factory.mktemp("models")
    (models / "iris-model.yaml").write_text(yaml.safe_dump(iris()))
    return models


def outcome(folder: Path, content: bytes) -> str:
    """Read the file beside a good one, make the DAG of what is valid, and hold what comes out against the promises."""
    (folder / "a-model.yaml").write_bytes(content)
    broken, good = read_models(folder)
    assert good.model is not None or "iris-model" in str(good.error)
    if broken.model is not None:
        json.dumps(DagSerialization.to_dict(build_release_dag(broken.model))).encode()
        return "a model"
    error = broken.error
    assert isinstance(error, ModelFileError)
    assert error.what in SUMMARIES, error
    assert error.resource == "a-model.yaml"
    assert re.search(r"^field |^line |more than \d+ bytes|document|no model", error.why or ""), error.why
    assert error.fix
    assert len(str(error)) < 8000
    assert all(character.isprintable() or character == "\n" for character in str(error)), ascii(str(error))
    return error.what


def test_the_whole_file_is_a_model(folder):
    assert outcome(folder, TEXT.encode()) == "a model"


@st.composite
def changed(draw) -> bytes:
    """The whole file with one or two values replaced, removed, added or renamed."""
    document = deepcopy(WHOLE)
    for _ in range(draw(st.integers(1, 2))):
        change(document, draw, MILD | values)
    return json.dumps(document).encode() if draw(st.booleans()) else _dumped(document)


def _dumped(document) -> bytes:
    try:
        return yaml.safe_dump(document, allow_unicode=True).encode()
    except UnicodeEncodeError:
        return json.dumps(document).encode()


@st.composite
def texts(draw) -> bytes:
    """The whole file's text with hostile lines, values and bytes in it."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 3))):
        number = draw(st.integers(0, len(lines) - 1))
        name = lines[number].partition(":")[0]
        hostile = draw(st.sampled_from(HOSTILE_YAML) | st.text(max_size=30))
        lines[number] = draw(st.sampled_from([f"{name}: {hostile}\n", f"{hostile}\n", f"{hostile}: {hostile}\n"]))
    data = bytearray("".join(lines).encode(errors="surrogatepass"))
    if draw(st.integers(0, 3)) == 0:
        start = draw(st.integers(0, len(data)))
        data[start : start + draw(st.integers(0, 40))] = draw(st.binary(max_size=40))
    return bytes(data)


@examples("changed model files")
@given(content=changed() | values.map(lambda value: json.dumps(value).encode()))
def test_a_changed_model_file(folder, content):
    event(outcome(folder, content))


@examples("model files as text")
@given(content=texts())
@example(content=b"")
@example(content=b"\xff\xfe")
@example(content=b"prefix: &a [*a]\n")
def test_a_hostile_model_file(folder, content):
    event(outcome(folder, content))
