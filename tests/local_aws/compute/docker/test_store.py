"""What is kept of images on this machine."""

import json
import os
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest

from local_aws.compute.docker import store as store_module
from local_aws.compute.docker.store import Image, ImageStore, Layer


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


def age(*paths):
    for path in paths:
        os.utime(path, (1, 1))


def image(store, name, *keys):
    """Make an image that was built here, and pulled, too."""
    layers = tuple(store.layer(key) or layer(store, key) for key in keys)
    store.save(name, Image({"config": {}}, layers))
    store.save_pulled(f"sha256:{name}", json.dumps({"config": {}, "layers": keys}))


def kept(store):
    """Return the names of all that is kept, by folder."""
    folders = ("layers", "digests", "images", "pulled", "work")
    return {name: sorted(path.name for path in (store.folder / name).iterdir()) for name in folders}


def test_layers_that_nothing_has_used_are_removed(tmp_path):
    store = ImageStore(tmp_path)
    for key in ("used", "unused"):
        layer(store, key)
        age(store.layer_folder(key) / "layer.json")
    (tmp_path / "layers" / "of-a-killed-process").mkdir()
    assert store.layer("used")
    store.remove_unused(1000)
    assert [folder.name for folder in (tmp_path / "layers").iterdir()] == ["used"]
    assert store.layer_of("sha256:unused") is None


@pytest.mark.parametrize("count", [1, 20])
def test_what_names_an_unused_image_goes_with_it_and_a_used_one_stays(tmp_path, count):
    store = ImageStore(tmp_path)
    image(store, "used", "base", "top")
    before = kept(store)
    for number in range(count):
        image(store, f"unused-{number}", "base", f"top-{number}")
        age(store.layer_folder(f"top-{number}") / "layer.json")
    assert len(kept(store)["digests"]) == 2 + count
    store.remove_unused(1000)
    assert kept(store) == before
    assert store.load("used")
    assert store.pulled("sha256:used")
    assert store.load("unused-0") is store.pulled("sha256:unused-0") is None


def test_a_name_goes_too_whose_layers_others_use(tmp_path):
    store = ImageStore(tmp_path)
    for name in ("used", "unused", "of-an-id"):
        image(store, name, "base")
    for folder in ("images", "pulled"):
        age(*(tmp_path / folder).iterdir())
    assert store.load("used")
    assert store.pulled("sha256:used")
    (tmp_path / "images" / "of-a-killed-process.json.1a2b").touch()
    (tmp_path / "images" / "empty.json").touch()
    store.remove_unused(1000)
    found = kept(store)
    assert (found["images"], found["pulled"], found["layers"]) == (["used.json"], ["used.json"], ["base"])


def test_an_image_without_one_of_its_layers_is_not_here(tmp_path):
    store = ImageStore(tmp_path)
    image(store, "it", "base", "top")
    age(store.layer_folder("top") / "layer.json")
    # Whoever loads an image is about to use all of it.
    assert store.load("it")
    store.remove_unused(1000)
    assert store.load("it")
    (store.layer_folder("base") / "layer.json").unlink()
    assert store.load("it") is store.pulled("sha256:it") is None


@pytest.fixture
def meanwhile(monkeypatch):
    """Run something in another thread, as another process does, when a layer was found unused, before it is moved."""
    last_used = store_module._last_used
    with ThreadPoolExecutor(1) as pool:
        started: list[Future] = []

        def set_up(other):
            def look(path):
                found = last_used(path)
                if not started:
                    started.append(pool.submit(other))
                    wait(started, timeout=0.5)
                return found

            monkeypatch.setattr(store_module, "_last_used", look)
            return lambda: started[0].result()

        yield set_up


def test_a_layer_that_another_build_finds_is_not_removed_below_it(tmp_path, meanwhile):
    store = ImageStore(tmp_path)
    layer(store, "a")
    age(store.layer_folder("a") / "layer.json")
    found = meanwhile(lambda: ImageStore(tmp_path).layer("a"))
    store.remove_unused(1000)
    # It would be wrong to have found one that is gone.
    assert found() is None
    assert not any(kept(store).values())


def test_an_image_that_is_pulled_again_meanwhile_stays(tmp_path, meanwhile):
    store = ImageStore(tmp_path)
    image(store, "it", "a")
    age(store.layer_folder("a") / "layer.json")
    pulled = meanwhile(lambda: image(ImageStore(tmp_path), "it", "a"))
    store.remove_unused(1000)
    pulled()
    assert store.load("it")
    assert store.pulled("sha256:it")
    assert store.layer_of("sha256:a")


def test_a_folder_of_a_killed_process_is_removed_and_one_in_use_is_not(tmp_path):
    store = ImageStore(tmp_path)
    forgotten = tmp_path / "work" / "forgotten"
    forgotten.mkdir()
    (forgotten / "lock").touch()
    with store.work_folder() as used, ImageStore(tmp_path).work_folder():
        assert used.is_dir()
        assert not forgotten.exists()
