"""What is kept of images on this machine."""

import os

from local_aws.compute.docker.store import ImageStore, Layer


def layer(store, key):
    with store.work_folder() as work:
        made = work / "layer"
        (made / "diff").mkdir(parents=True)
        return store.add_layer(made, Layer(key, f"sha256:{key}", "sha256:0", 1))


def test_a_layer_is_found_by_what_made_it_and_by_its_digest(tmp_path):
    store = ImageStore(tmp_path)
    made = layer(store, "a")
    assert store.layer("a") == store.layer_of("sha256:a") == made
    assert store.layer("b") is None
    assert store.layer_of("sha256:b") is None
    # Another build that made the same at the same time gets the first one's.
    assert layer(store, "a") == made
    assert list((tmp_path / "work").iterdir()) == []


def test_layers_that_nothing_has_used_are_removed(tmp_path):
    store = ImageStore(tmp_path)
    for key in ("used", "unused"):
        layer(store, key)
        os.utime(store.layer_folder(key) / "layer.json", (1, 1))
    (tmp_path / "layers" / "of-a-killed-process").mkdir()
    assert store.layer("used")
    store.remove_unused(1000)
    assert [folder.name for folder in (tmp_path / "layers").iterdir()] == ["used"]
    assert store.layer_of("sha256:unused") is None


def test_a_folder_of_a_killed_process_is_removed_and_one_in_use_is_not(tmp_path):
    store = ImageStore(tmp_path)
    forgotten = tmp_path / "work" / "forgotten"
    forgotten.mkdir()
    (forgotten / "lock").touch()
    with store.work_folder() as used, ImageStore(tmp_path).work_folder():
        assert used.is_dir()
        assert not forgotten.exists()
