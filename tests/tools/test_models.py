"""The model files as the make targets read them."""

import shutil

import pytest
from rich.console import Console

from tools import models, services
from tools.settings import ROOT


@pytest.fixture
def include(tmp_path, monkeypatch):
    """A folder with a good model file and two broken ones."""
    shutil.copytree(ROOT / "include" / "models", tmp_path / "models")
    (tmp_path / "models" / "key.yaml").write_text("prefix: {{ name }}")
    (tmp_path / "models" / "folder.yaml").mkdir()
    # The caller's own Airflow is not asked.
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "nonsense")
    return tmp_path


def test_the_good_ones_are_listed_and_the_broken_ones_named(include):
    found = models.read(include)
    assert found.prefixes == ["iris-forest", "iris-model"]
    assert [("folder.yaml" in error, "key.yaml" in error) for error in found.errors] == [(True, False), (False, True)]


def test_make_says_which_file_is_broken(include, capsys):
    services._print_broken_models(models.read(include), Console(highlight=False, soft_wrap=True))
    said = capsys.readouterr().out
    assert said.count("Broken model file: ") == 2
    assert "key.yaml): line 1, column 10: a key that is not text" in said


def test_a_check_that_fails_is_told(include, monkeypatch):
    monkeypatch.setattr(models, "ROOT", include)
    found = models.read(include / "elsewhere")
    assert found.prefixes == []
    assert "The model files cannot be checked" in found.errors[0]
