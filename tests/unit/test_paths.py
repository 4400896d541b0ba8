"""Where include/ is."""

from slipway import paths


def test_it_lies_beside_the_plugins_folder(monkeypatch):
    monkeypatch.delenv("SLIPWAY_INCLUDE_FOLDER", raising=False)
    assert (paths.models_folder() / "iris-model.yaml").is_file()
    assert paths.template("endpoint.yaml").is_file()


def test_it_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("SLIPWAY_INCLUDE_FOLDER", str(tmp_path))
    assert paths.models_folder() == tmp_path / "models"
    assert paths.template("endpoint.yaml") == tmp_path / "cfn" / "endpoint.yaml"
