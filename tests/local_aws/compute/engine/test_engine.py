"""Which engine is used, and what it is told; the engines are programs of the tests' own."""

import json
import os
import stat

import pytest

from local_aws.compute.engine.engine import Engine, EngineError, find


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Writes an engine's program, which all look-ups find; returns its folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def write(name, script):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    for name in ("docker", "podman"):
        write(name, f"echo {name} does not run >&2; exit 1")
    return write


def variables(**more):
    return {"PATH": os.environ["PATH"], **more}


def test_docker_comes_first_where_it_answers(programs):
    programs("docker", "exit 0")
    programs("podman", "exit 0")
    assert find(variables()).program == "docker"


def test_podman_is_next(programs):
    programs("podman", 'test "$1" = info')
    assert find(variables()).program == "podman"


def test_without_an_answer_it_is_an_error_that_says_what_each_said(programs):
    with pytest.raises(EngineError) as error:
        find(variables())
    assert "docker does not run" in str(error.value)
    assert "podman does not run" in str(error.value)


def test_an_engine_gets_no_credentials(programs):
    programs("docker", "env > /dev/null")
    given = variables(HOME="/h", DOCKER_HOST="tcp://d", CONTAINERS_CONF="/c", https_proxy="http://p")
    engine = find(given | {"AWS_SECRET_ACCESS_KEY": "s", "SLIPWAY_X": "y"})
    assert engine.environment == given


def test_it_is_kept_for_the_builds_alone(programs, tmp_path):
    engine = Engine("podman", {"PATH": "/bin"})
    engine.keep(tmp_path)
    assert Engine.kept(tmp_path) == engine
    assert stat.S_IMODE((tmp_path / "engine.json").stat().st_mode) == 0o600


def test_a_refusal_is_the_engines_own_words(programs):
    programs("docker", 'test "$1" = info || { echo "Error: no space left" >&2; exit 125; }')
    with pytest.raises(EngineError, match=r"^docker create: Error: no space left$"):
        find(variables()).run("create", "it")


@pytest.mark.parametrize("program", ["docker", "podman"])
def test_removal_kills_at_once_and_takes_what_is_gone_for_removed(programs, tmp_path, program):
    asked = tmp_path / "asked"
    programs(program, f'echo "$*" >> {asked}; echo "Error: No such container: $4" >&2; exit 1')
    Engine(program, variables()).remove(["one", "two"])
    at_once = "--time 0 " if program == "podman" else ""
    assert asked.read_text().splitlines() == [f"rm --force --volumes {at_once}{name}" for name in ("one", "two")]
    programs(program, "echo it is busy >&2; exit 1")
    with pytest.raises(EngineError, match="it is busy"):
        Engine(program, variables()).remove(["one"])


def test_an_image_has_the_same_id_from_both(programs):
    programs("docker", "echo sha256:abc")
    programs("podman", "echo abc")
    assert {Engine(program, variables()).image_id("it") for program in ("docker", "podman")} == {"abc"}
    programs("podman", "exit 1")
    assert Engine("podman", variables()).image_id("it") is None


def test_no_containers_are_not_asked_about(programs):
    programs("docker", f"echo '{json.dumps([{'Name': '/it'}])}'")
    engine = Engine("docker", variables())
    assert engine.inspect([]) == []
    assert engine.inspect(["it"]) == [{"Name": "/it"}]
