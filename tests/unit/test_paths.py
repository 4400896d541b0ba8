"""Where include/ is, and the files of the package."""

import pytest

from slipway import paths


def test_it_lies_beside_the_plugins_folder(monkeypatch):
    monkeypatch.delenv("SLIPWAY_INCLUDE_FOLDER", raising=False)
    assert (paths.models_folder() / "iris-model.yaml").is_file()


def test_the_package_brings_the_endpoint_template_along(monkeypatch, tmp_path):
    monkeypatch.setenv("SLIPWAY_INCLUDE_FOLDER", str(tmp_path))
    assert paths.endpoint_template().is_file()


def test_it_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("SLIPWAY_INCLUDE_FOLDER", str(tmp_path))
    assert paths.models_folder() == tmp_path / "models"


@pytest.mark.parametrize("service", ["cloudformation", "sagemaker"])
def test_the_package_brings_its_waiters_along(service):
    assert paths.waiters(service).is_file()
