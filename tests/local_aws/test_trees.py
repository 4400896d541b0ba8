"""Directory trees that somebody else has made."""

import os

import pytest

from local_aws import trees


def deep(folder, depth):
    """Make directories in each other, beyond what a path can name."""
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=descriptor)
        inner = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)


def test_all_that_is_below_is_listed_and_no_link_followed(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").touch()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert sorted(entry.name for entry in trees.entries(tmp_path)) == ["a", "b", "c", "up"]


@pytest.mark.parametrize("depth", [101, 4000])
def test_a_tree_that_is_too_deep_is_no_list(tmp_path, depth):
    folder = tmp_path / "folder"
    folder.mkdir()
    deep(folder, depth)
    with pytest.raises(trees.TooDeep):
        list(trees.entries(folder))
    trees.remove(folder)


def test_a_tree_of_any_depth_is_removed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    deep(folder, 4000)
    trees.remove(folder)
    assert not folder.exists()
    assert (outside / "kept").exists()


def test_what_is_not_there_is_removed_already(tmp_path):
    trees.remove(tmp_path / "nothing")


def test_a_link_is_removed_and_not_what_it_names(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "link").symlink_to(target)
    trees.remove(tmp_path / "link")
    assert target.is_dir()
    assert not (tmp_path / "link").is_symlink()
