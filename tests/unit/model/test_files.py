"""Model files are read once, each mistake names its file, and a broken file only affects its own model."""

import json
import os

import pytest
import yaml
from airflow.serialization.serialized_objects import DagSerialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway import paths
from slipway.errors import ModelFileError
from slipway.model import files
from slipway.model.files import load_model, load_models
from slipway.release_dag import build_release_dag
from tests.unit.request_samples import changed, iris, write_model


def aged(path):
    """Makes a file look as if it had been there for a while."""
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


@pytest.fixture
def read(monkeypatch):
    """The names of the files that are read."""
    found = []
    real = files._read
    monkeypatch.setattr(files, "_read", lambda path: found.append(path.name) or real(path))
    return found


def test_a_file_is_read_once(tmp_path, read):
    path = aged(write_model(tmp_path, iris()))
    assert load_model(path) is load_model(path)
    assert read == ["a-model.yaml"]


def test_a_file_that_has_changed_is_read_again(tmp_path, read):
    path = aged(write_model(tmp_path, iris()))
    load_model(path)
    write_model(tmp_path, changed(iris(), "description", "another"))
    assert load_model(path).description == "another"
    # Replaced by a file of the same age and length, as a checkout may do.
    other = aged(write_model(tmp_path, changed(iris(), "description", "athird!"), "other"))
    other.replace(aged(path))
    assert load_model(path).description == "athird!"


def test_a_young_file_is_read_each_time(tmp_path, read):
    """Two changes within one tick of the clock cannot be told apart."""
    path = write_model(tmp_path, iris())
    for _ in range(2):
        load_model(path)
    assert read == ["a-model.yaml"] * 2


@pytest.mark.parametrize(
    "text", ["since: 2026-13-45", "{{account}: x}: y", "a: " + "[" * 2000, "prefix: \x00", b"\xff\xfe\xfa"]
)
def test_whatever_a_file_is_it_costs_only_its_own_model(tmp_path, text):
    write_model(tmp_path, iris())
    (tmp_path / "broken.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    models, errors = load_models(tmp_path)
    assert ([model.prefix for model in models], len(errors)) == (["iris-model"], 1)
    assert "broken.yaml" in str(errors[0])


def test_a_broken_file_is_told_each_time(tmp_path):
    path = aged(write_model(tmp_path, "prefix: ["))
    for _ in range(2):
        with pytest.raises(ModelFileError):
            load_model(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prefix: a\nprefix: b\n", "the key 'prefix' appears twice"),
        ("policy:\n  tags: []\n  tags: []\n", "line 3"),
        ("prefix: [\n", "line 2"),
        ("prefix: !!python/object/apply:os.system ['true']\n", "is not allowed: remove it"),
    ],
)
def test_yaml_that_says_a_thing_twice_or_makes_no_sense_is_refused(text, expected, tmp_path):
    with pytest.raises(ModelFileError) as error:
        load_model(write_model(tmp_path, text))
    assert error.value.resource == "a-model.yaml"
    assert expected in error.value.why


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"description: \xe4\n")
    for broken in (path, tmp_path / "absent.yaml"):
        with pytest.raises(ModelFileError, match=broken.name):
            load_model(broken)


def test_a_broken_file_costs_only_its_own_model(tmp_path):
    write_model(tmp_path, "prefix: [", "a.yaml")
    write_model(tmp_path, iris(), "b.yml")
    write_model(tmp_path, "not a model", "readme.txt")
    models, errors = load_models(tmp_path)
    assert [model.prefix for model in models] == ["iris-model"]
    assert [error.resource for error in errors] == ["a.yaml"]


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("prefix", {"prefix": "Iris-Model", "source.key": "x", "policy.endpoint.endpoint_prefix": "x"}),
        ("source", {"prefix": "x", "policy.endpoint.endpoint_prefix": "x"}),
        ("policy.endpoint.endpoint_prefix", {"prefix": "x", "source.key": "x"}),
    ],
)
def test_two_files_never_share_a_name(field, changes, tmp_path):
    write_model(tmp_path, iris(), "a.yaml")
    second = iris()
    for path, value in changes.items():
        changed(second, path, value)
    write_model(tmp_path, second, "b.yaml")
    models, errors = load_models(tmp_path)
    assert len(models) == 1
    assert errors[0].resource == "b.yaml"
    assert f"field {field}: expected a value of its own, found that of a.yaml" in str(errors[0])


# What YAML, a person or a program may write as a value.
NASTY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**62),
    st.floats(),
    st.text(max_size=40),
    st.sampled_from(
        ["{{ x }}", "{account}", "*a", "&a b", "!!int x", "!x", "[", "1" * 5000, "? [a]", "2026-02-30", "<<: {}"]
    ),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
    st.dates(),
)


def places(value, path=()):
    """Every place of a document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def text_of(content, place, value, *, raw):
    """A model file with one value replaced, as a program writes it or as a person types it."""
    target = content
    for key in place[:-1]:
        target = target[key]
    if not raw or not isinstance(value, str):
        target[place[-1]] = value
        return yaml.dump(content)
    target[place[-1]] = "PLACE"
    return yaml.dump(content).replace("PLACE", value)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_a_file_holds_it_is_a_model_with_a_dag_or_a_model_file_error(tmp_path, data):
    place = data.draw(st.sampled_from([place for place in places(iris()) if place]))
    text = text_of(iris(), place, data.draw(NASTY), raw=data.draw(st.booleans()))
    path = tmp_path / "a.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    models, errors = load_models(tmp_path)
    assert len(models) + len(errors) == 1
    for error in errors:
        # Airflow keeps it in its database.
        str(error).encode()
        assert "\0" not in str(error)
    for model in models:
        # What the DAG processor sends and keeps.
        json.dumps(DagSerialization.to_dict(build_release_dag(model))).encode()


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=200), st.text(alphabet="ab:-[]{}*&!?<>|'\"#%@`,=~01.\n\t\0 \ud800", max_size=60)))
def test_whatever_bytes_a_file_has_only_a_model_file_error_is_raised(tmp_path, content):
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    path = tmp_path / "a.yaml"
    path.write_bytes(data)
    with pytest.raises(ModelFileError):
        load_model(path)


def test_what_a_library_raises_is_the_files_own_error(tmp_path, monkeypatch):
    def fails(text, name):
        raise RecursionError("too deep")

    write_model(tmp_path, iris(), "b.yaml")
    monkeypatch.setattr(files, "parse", fails)
    models, errors = load_models(tmp_path)
    assert models == []
    assert "The model file cannot be used (b.yaml): RecursionError: too deep" in str(errors[0])


def test_a_file_whose_name_is_no_text_is_named(tmp_path):
    (tmp_path / os.fsdecode(b"\xff.yaml")).write_text("prefix: [")
    _, errors = load_models(tmp_path)
    assert str(errors[0]).isascii()


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path):
    (tmp_path / "models").write_text("no folder")
    models, errors = load_models(tmp_path / "models")
    assert models == []
    assert "Cannot list the model files" in str(errors[0])


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("elsewhere", "SLIPWAY_INCLUDE_FOLDER is {folder}, and that folder has no folder models. "),
        (None, "SLIPWAY_INCLUDE_FOLDER is not set, and without it the folder include beside plugins/ is used. "),
    ],
)
def test_a_folder_that_is_not_there_is_an_error_that_names_the_setting(tmp_path, monkeypatch, setting, why):
    monkeypatch.delenv("SLIPWAY_INCLUDE_FOLDER", raising=False)
    if setting:
        monkeypatch.setenv("SLIPWAY_INCLUDE_FOLDER", str(tmp_path / setting))
    else:
        monkeypatch.setattr(paths, "_PACKAGE", tmp_path / "lib" / "slipway")
    models, [error] = load_models(paths.models_folder())
    assert models == []
    assert str(paths.models_folder()) in str(error)
    assert why.format(folder=tmp_path / "elsewhere") in str(error)
    assert "Fix: set SLIPWAY_INCLUDE_FOLDER" in str(error)


def test_another_folder_that_is_not_there_is_an_error_as_well(tmp_path):
    models, [error] = load_models(tmp_path / "absent")
    assert models == []
    assert "absent): No such file or directory" in str(error)


def test_an_empty_folder_has_no_models(tmp_path):
    assert load_models(tmp_path) == ([], [])
