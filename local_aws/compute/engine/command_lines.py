"""The command lines of builds and containers: what an image may do is here in one place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_aws.compute.base import ContainerSpec
from local_aws.compute.docker.index import Index
from local_aws.compute.sandbox.network import SERVING_PORT
from local_aws.compute.sandbox.spec import Limits

# The value is of the local AWS that made the container.
LABEL = "slipway.local-aws"
# And the directory that it has as /opt/ml, which is removed with it.
FOLDER_LABEL = "slipway.local-aws.opt-ml"
_OPT_ML = "/opt/ml"
# Fewer than docker leaves to a container: no raw sockets, no devices, no other root directory.
# https://docs.docker.com/engine/security/#linux-kernel-capabilities
_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")
_PIP_CONFIG = "/etc/pip.conf"


def owner_of(state_dir: Path) -> str:
    """Return the label's value for a local AWS; others on this machine have containers, too.

    :param state_dir: of its compute
    """
    return hashlib.sha256(str(state_dir.resolve()).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class BuildOptions:
    """What `docker build` was given.

    :param folder: the context
    :param file: its Dockerfile
    :param arguments: those of `--build-arg`
    :param flags: those that both engines have
    """

    folder: Path
    file: Path
    tags: Sequence[str]
    arguments: Mapping[str, str]
    flags: Sequence[str] = ()


def build(options: BuildOptions, podman: bool, index: Index | None, config: Path) -> list[str]:
    """Return the words of a build.

    :param podman: whether they are podman's
    :param index: how pip reaches the machine's package index, which podman can show the build; None for no network
    :param config: the file with the index's pip.conf
    """
    words = ["build", "--file", str(options.file)]
    # Otherwise podman's images lose what OCI's format has not, such as SHELL.
    words += ["--format", "docker", "--layers"] if podman else []
    words += [word for tag in options.tags for word in ("--tag", tag)]
    words += [word for name, value in options.arguments.items() for word in ("--build-arg", f"{name}={value}")]
    if podman and index:
        words += [word for path in index.paths for word in ("--volume", f"{path}:{path}:ro")]
        words += ["--volume", f"{config}:{_PIP_CONFIG}:ro"]
    return [*words, *options.flags, str(options.folder)]


def create(
    spec: ContainerSpec, image: str, owner: str, private: Path, limits: Limits, extra: Iterable[str] = ()
) -> list[str]:
    """Return the words that create a job's or model server's container, which is not started yet.

    :param spec: with the job's or model's variables
    :param image: the engine's name for it
    :param owner: the local AWS, by which it finds its containers after a kill
    :param private: a model server's own /opt/ml; the model in it is shared and read-only
    :param limits: of memory, processes and /tmp
    :param extra: options of one engine only
    """
    train = spec.command == "train"
    words = ["create", "--name", spec.name, "--hostname", "algo-1" if train else "model", "--pull", "never"]
    words += ["--label", f"{LABEL}={owner}", "--label", f"{FOLDER_LABEL}={spec.opt_ml if train else private}"]
    words += [*bounds(limits), *extra, *_network(spec)]
    words += ["--mount", f"type=bind,source={spec.opt_ml if train else private},target={_OPT_ML}"]
    if not train:
        words += ["--mount", f"type=bind,source={spec.opt_ml / 'model'},target={_OPT_ML}/model,readonly"]
    words += [word for name, value in _variables(spec).items() for word in ("--env", f"{name}={value}")]
    return [*words, image, spec.command]


def run(image: str, words: Sequence[str], entrypoint: str | None, owner: str, limits: Limits) -> list[str]:
    """Return the words that run a program of an image during a build, without network."""
    first = ["run", "--rm", "--label", f"{LABEL}={owner}", "--pull", "never", "--network", "none", *bounds(limits)]
    return [*first, *(("--entrypoint", entrypoint) if entrypoint is not None else ()), image, *words]


def bounds(limits: Limits) -> list[str]:
    """Return what every container is bounded by."""
    words = ["--read-only", "--tmpfs", f"/tmp:rw,nosuid,nodev,mode=1777,size={limits.tmp_bytes}"]  # noqa: S108
    words += ["--memory", str(limits.memory_bytes), "--memory-swap", str(limits.memory_bytes)]
    words += ["--pids-limit", str(limits.processes), "--security-opt", "no-new-privileges", "--cap-drop", "ALL"]
    words += [word for name in _CAPABILITIES for word in ("--cap-add", name)]
    # Its output is read where it is written, and fills no disk.
    return [*words, "--log-driver", "none"]


def _network(spec: ContainerSpec) -> list[str]:
    if not spec.network:
        return ["--network", "none"]
    return ["--publish", f"127.0.0.1:{spec.port}:{SERVING_PORT}"] if spec.port else []


def _variables(spec: ContainerSpec) -> dict[str, str]:
    port = str(SERVING_PORT)
    # The machine's port leads to the container's, which is always the same.
    ports = {"SAGEMAKER_BIND_TO_PORT": port, "SAGEMAKER_SAFE_PORT_RANGE": f"{port}-{port}"} if spec.port else {}
    return {**spec.environment, **ports}
