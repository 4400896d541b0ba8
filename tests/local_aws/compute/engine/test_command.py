"""`docker` of a build's shell in front of an engine, which is a program of these tests that writes down its words."""

import os
import subprocess

import pytest

from local_aws.compute.docker.tools import images_folder, install
from local_aws.compute.engine.engine import Engine

ENGINE = """#!/bin/sh
echo "$*" >> {asked}
env > {environment}
[ "$1 $5" != "image missing:latest" ] || exit 1
[ "$1" != image ] || echo sha256:abc
[ "$1" != run ] || exit 3
"""


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """Runs a command as a build's shell does, in a folder with a Dockerfile."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    program = tmp_path / "podman"
    program.write_text(ENGINE.format(asked=tmp_path / "asked", environment=tmp_path / "environment"))
    program.chmod(0o755)
    programs = install(tmp_path, "container")
    Engine("podman", {"PATH": f"{tmp_path}:/usr/bin:/bin"}).keep(images_folder(tmp_path))
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "AWS_SECRET_ACCESS_KEY": "the build's", "FROM_SHELL": "1"}

    def run(command):
        words = ["/bin/sh", "-c", command]
        return subprocess.run(words, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)

    return run


def asked(tmp_path):
    return (tmp_path / "asked").read_text().splitlines()


def test_a_build_is_the_engines(shell, tmp_path):
    done = shell("docker build --tag it --build-arg FROM_SHELL --build-arg A=b --progress plain --no-cache .")
    assert done.returncode == 0, done.stderr
    [words] = asked(tmp_path)
    assert words.startswith("build --file Dockerfile --format docker --layers --tag it:latest ")
    assert "--build-arg FROM_SHELL=1 --build-arg A=b" in words
    assert words.endswith(":/etc/pip.conf:ro --no-cache .")
    assert "AWS_SECRET_ACCESS_KEY" not in (tmp_path / "environment").read_text()


def test_a_build_without_network_is_shown_no_index(shell, tmp_path):
    assert shell("docker build --network none --tag it .").returncode == 0
    assert asked(tmp_path) == ["build --file Dockerfile --format docker --layers --tag it:latest --network none ."]


def test_a_programs_exit_status_is_passed_on(shell, tmp_path):
    assert shell("docker run --rm --network none --entrypoint python it -m pip list").returncode == 3
    assert asked(tmp_path)[-1].endswith("--entrypoint python it:latest -m pip list")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("docker build --squash .", "unrecognized arguments: --squash"),
        ("docker build --volume /:/host .", "unrecognized arguments: --volume"),
        ("docker build https://example.com/a.git", "is no directory"),
        ("docker build --file nothing .", "open nothing: no such file or directory"),
        ("docker run --rm --network none --privileged it", "unrecognized arguments: --privileged"),
        ("docker run --rm --network host it", "invalid choice: 'host'"),
        ("docker push missing", "An image does not exist locally with the tag: missing"),
        ("docker push it", "it:latest is not ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY:TAG"),
        ("docker inspect --format '{{index .RepoDigests 0}}' it", "push the image first"),
    ],
)
def test_what_is_refused_by_name(shell, command, why):
    found = shell(command)
    assert found.returncode != 0
    assert why in found.stdout + found.stderr
