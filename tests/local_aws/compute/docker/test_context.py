"""What a COPY means, and that it means nothing outside of the context."""

import io
import os
import tarfile

import pytest

from local_aws.compute.docker.context import Context, ContextError


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "context"
    (found / "src" / "deep").mkdir(parents=True)
    for name in ("train", "serve", "src/a.py", "src/b.txt", "src/deep/c.py"):
        (found / name).write_text(name)
    (found / "train").chmod(0o755)
    return found


def names(context, *sources):
    stream = io.BytesIO()
    context.write(context.sources(sources), stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as tar:
        return {member.name: member.mode for member in tar}


def test_files_keep_their_names_and_directories_give_their_content(folder):
    context = Context(folder)
    assert names(context, "train", "serve") == {"train": 0o755, "serve": 0o644}
    assert set(names(context, "src")) == {"a.py", "b.txt", "deep", "deep/c.py"}
    assert set(names(context, "src/*.py")) == {"a.py"}
    assert set(names(context, ".")) == {"train", "serve", "src", "src/a.py", "src/b.txt", "src/deep", "src/deep/c.py"}


def test_dockerignore(folder):
    (folder / ".dockerignore").write_text("# a comment\n**/*.py\n!src/deep/c.py\nserve\n")
    assert set(names(Context(folder), ".")) == {
        ".dockerignore",
        "train",
        "src",
        "src/b.txt",
        "src/deep",
        "src/deep/c.py",
    }
    with pytest.raises(ContextError, match='"/serve": not found in the context'):
        Context(folder).sources(["serve"])


@pytest.mark.parametrize("source", ["../secret", "src/../../secret", "/../secret"])
def test_no_source_is_outside(folder, source):
    (folder.parent / "secret").write_text("of the machine")
    with pytest.raises(ContextError, match="leads out of the context"):
        Context(folder).sources([source])


def test_links_are_not_followed(folder):
    (folder.parent / "secret").write_text("of the machine")
    (folder / "file").symlink_to(folder.parent / "secret")
    (folder / "src" / "out").symlink_to("/etc")
    context = Context(folder)
    with pytest.raises(ContextError, match="file is a symbolic link"):
        context.sources(["file"])
    stream = io.BytesIO()
    context.write(context.sources(["src"]), stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as tar:
        member = tar.getmember("out")
        assert (member.issym(), member.linkname) == (True, "/etc")
        assert not any(name.startswith("out/") for name in tar.getnames())


def test_a_file_that_becomes_a_link_is_not_read(folder):
    context = Context(folder)
    sources = context.sources(["train"])
    (folder / "train").unlink()
    (folder / "train").symlink_to("/etc/hostname")
    with pytest.raises(OSError, match="symbolic links"):
        context.digest(sources)


def test_the_digest_is_of_names_contents_and_modes(folder):
    def digest():
        context = Context(folder)
        return context.digest(context.sources(["."]))

    first = digest()
    os.utime(folder / "serve", (1, 1))
    assert digest() == first
    (folder / "serve").chmod(0o755)
    executable = digest()
    (folder / "serve").write_text("else")
    assert len({first, executable, digest()}) == 3
