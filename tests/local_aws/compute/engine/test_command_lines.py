"""What docker and podman are asked to do, without either."""

from pathlib import Path

import pytest

from local_aws.compute.base import ContainerSpec
from local_aws.compute.docker.index import Index
from local_aws.compute.engine.command_lines import BuildOptions, build, create, run
from local_aws.compute.sandbox.spec import Limits

INDEX = Index("[global]\n", ("pypi.org:443",), ("/opt/index", "/etc/ca.crt"))
OPTIONS = BuildOptions(Path("context"), Path("context/Dockerfile"), ["a:1", "b:2"], {"KIND": "x y"}, ["--no-cache"])
LIMITS = Limits(memory_bytes=4096, processes=7, tmp_bytes=1024)


def spec(command="train", **changes):
    return ContainerSpec("it", "the image", command, Path("/state/ml"), {"NAME": "value", "EMPTY": ""}, **changes)


def words(found, name):
    """Return the values of an option, in order."""
    return [found[place + 1] for place, word in enumerate(found) if word == name]


def test_a_build_is_dockers():
    found = build(OPTIONS, False, INDEX, Path("/scratch/pip.conf"))
    assert found == [
        *("build", "--file", "context/Dockerfile", "--tag", "a:1", "--tag", "b:2"),
        *("--build-arg", "KIND=x y", "--no-cache", "context"),
    ]


def test_podman_shows_a_build_the_package_index_of_this_machine():
    found = build(OPTIONS, True, INDEX, Path("/scratch/pip.conf"))
    assert words(found, "--format") == ["docker"]
    assert "--layers" in found
    assert words(found, "--volume") == [
        "/opt/index:/opt/index:ro",
        "/etc/ca.crt:/etc/ca.crt:ro",
        "/scratch/pip.conf:/etc/pip.conf:ro",
    ]
    assert words(build(OPTIONS, True, None, Path("/scratch/pip.conf")), "--volume") == []


def test_a_job_has_its_folder_and_no_port():
    found = create(spec(), "name", "owner", Path("/state/private"), LIMITS)
    assert found[:3] == ["create", "--name", "it"]
    assert found[-2:] == ["name", "train"]
    assert words(found, "--mount") == ["type=bind,source=/state/ml,target=/opt/ml"]
    assert words(found, "--env") == ["NAME=value", "EMPTY="]
    assert words(found, "--hostname") == ["algo-1"]
    assert words(found, "--label") == ["slipway.local-aws=owner", "slipway.local-aws.opt-ml=/state/ml"]
    assert not words(found, "--publish") + words(found, "--network")


def test_a_model_server_shares_the_model_and_is_reached_at_port_8080():
    found = create(spec("serve", port=20001), "name", "owner", Path("/state/private"), LIMITS, ["--more"])
    assert "--more" in found
    assert found[-1] == "serve"
    assert words(found, "--mount") == [
        "type=bind,source=/state/private,target=/opt/ml",
        "type=bind,source=/state/ml/model,target=/opt/ml/model,readonly",
    ]
    assert words(found, "--publish") == ["127.0.0.1:20001:8080"]
    assert "SAGEMAKER_BIND_TO_PORT=8080" in words(found, "--env")
    assert words(found, "--label")[1] == "slipway.local-aws.opt-ml=/state/private"


@pytest.mark.parametrize("command", ["train", "serve"])
def test_isolation_leaves_no_network(command):
    found = create(spec(command, network=False, port=20001), "name", "owner", Path("/private"), LIMITS)
    assert words(found, "--network") == ["none"]
    assert words(found, "--publish") == []


@pytest.mark.parametrize(
    "found",
    [
        create(spec(), "name", "owner", Path("/private"), LIMITS),
        create(spec("serve", port=20001), "name", "owner", Path("/private"), LIMITS),
        run("name", ["-m", "pip"], "python", "owner", LIMITS),
    ],
)
def test_every_container_is_bounded(found):
    assert "--read-only" in found
    assert "--privileged" not in found
    assert words(found, "--memory") == words(found, "--memory-swap") == ["4096"]
    assert words(found, "--pids-limit") == ["7"]
    assert words(found, "--cap-drop") == ["ALL"]
    assert not {"SYS_ADMIN", "NET_RAW", "MKNOD", "SYS_CHROOT"} & set(words(found, "--cap-add"))
    assert words(found, "--security-opt") == ["no-new-privileges"]
    assert words(found, "--tmpfs") == ["/tmp:rw,nosuid,nodev,mode=1777,size=1024"]
    # Nothing is fetched from a registry that nobody has named.
    assert words(found, "--pull") == ["never"]


def test_a_program_of_a_build_has_no_network():
    found = run("name", ["-m", "pip"], "python", "owner", LIMITS)
    assert words(found, "--network") == ["none"]
    assert words(found, "--label") == ["slipway.local-aws=owner"]
    assert found[-5:] == ["--entrypoint", "python", "name", "-m", "pip"]
    assert "--entrypoint" not in run("name", [], None, "owner", LIMITS)
