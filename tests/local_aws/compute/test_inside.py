"""What a container has written is read, and nothing that it leads to."""

import os

import pytest

from local_aws.compute.base import ContainerFailed
from local_aws.compute.inside import open_inside, own_folder


def test_only_files_that_are_really_there_are_opened(tmp_path):
    folder, outside = tmp_path / "ml", tmp_path / "outside"
    (folder / "output").mkdir(parents=True)
    outside.mkdir()
    (outside / "failure").write_text("of the machine")
    (folder / "output" / "failure").write_text("of the container")
    with open_inside(folder / "output" / "failure", folder) as file:
        assert file.read() == b"of the container"
    (folder / "link").symlink_to(outside / "failure")
    (folder / "deep").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    for name in ("link", "deep/failure", "pipe", "output", "missing"):
        assert open_inside(folder / name, folder) is None


def test_a_directory_that_was_replaced_is_an_error(tmp_path):
    (tmp_path / "ml" / "output" / "data").mkdir(parents=True)
    assert own_folder(tmp_path / "ml", "output", "data") == tmp_path / "ml" / "output" / "data"
    (tmp_path / "ml" / "model").symlink_to(tmp_path)
    with pytest.raises(ContainerFailed, match="/opt/ml/model is not a directory any more"):
        own_folder(tmp_path / "ml", "model")
