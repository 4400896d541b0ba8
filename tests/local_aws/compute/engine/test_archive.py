"""The archives that engines save and load."""

import gzip
import hashlib
import io
import json
import tarfile

import pytest

from local_aws.compute.engine.archive import ArchiveError, read, write


def layer(name, content):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def sha256(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


ONE, TWO = layer("one", b"1" * 5000), layer("two", b"2")
CONFIG = json.dumps({"config": {}, "rootfs": {"diff_ids": [sha256(ONE), sha256(TWO)]}}).encode()


@pytest.fixture
def saved(tmp_path):
    """Writes an archive of layers as an engine saves them, and reads it."""
    turns = iter(range(9))

    def save_and_read(*layers, config=CONFIG):
        folder = tmp_path / str(next(turns))
        folder.mkdir()
        paths = []
        for number, content in enumerate(layers):
            paths.append(folder / f"{number}.layer")
            paths[-1].write_bytes(content)
        write(folder / "image.tar", "localhost/it:1", config, paths)
        return read(folder / "image.tar", folder)

    return save_and_read


def test_layers_are_compressed_and_the_same_each_time(saved):
    first, again = saved(ONE, TWO), saved(ONE, TWO)
    assert first.config == CONFIG
    assert [gzip.decompress(one.path.read_bytes()) for one in first.layers] == [ONE, TWO]
    assert [one.digest for one in first.layers] == [sha256(one.path.read_bytes()) for one in first.layers]
    assert [one.size for one in first.layers] == [one.path.stat().st_size for one in first.layers]
    assert [one.digest for one in again.layers] == [one.digest for one in first.layers]


def test_a_compressed_layer_stays_as_it_is(saved):
    packed = gzip.compress(TWO)
    assert saved(ONE, packed).layers[1].path.read_bytes() == packed


@pytest.mark.parametrize("layers", [(TWO, ONE), (ONE,), (ONE, b"no tar"), (ONE, gzip.compress(ONE))])
def test_other_layers_than_the_configuration_names_are_refused(saved, layers):
    with pytest.raises(ArchiveError):
        saved(*layers)


def test_what_is_no_archive_is_refused(tmp_path):
    (tmp_path / "image.tar").write_bytes(b"no archive")
    with pytest.raises(ArchiveError, match="cannot be read"):
        read(tmp_path / "image.tar", tmp_path)


def test_a_layer_that_an_image_has_twice_may_be_a_link(tmp_path):
    config = json.dumps({"rootfs": {"diff_ids": [sha256(ONE), sha256(ONE)]}}).encode()
    (tmp_path / "layer").write_bytes(ONE)
    write(tmp_path / "image.tar", "localhost/it:1", config, [tmp_path / "layer"])
    with tarfile.open(tmp_path / "image.tar", "a") as tar:
        link = tarfile.TarInfo("again/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../0.tar"
        tar.addfile(link)
        entry = [{"Config": f"{hashlib.sha256(config).hexdigest()}.json", "Layers": ["0.tar", "again/layer.tar"]}]
        member = tarfile.TarInfo("manifest.json")
        member.size = len(json.dumps(entry))
        tar.addfile(member, io.BytesIO(json.dumps(entry).encode()))
    assert len({one.digest for one in read(tmp_path / "image.tar", tmp_path).layers}) == 1
