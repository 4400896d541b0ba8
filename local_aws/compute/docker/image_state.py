"""What the instructions of a Dockerfile come to: an image's configuration and layers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from local_aws.compute.docker import base
from local_aws.compute.docker.store import Layer

# The time of everything: a real one would give each build another digest.
EPOCH = "1970-01-01T00:00:00Z"


@dataclass
class ImageState:
    """What the instructions so far have come to."""

    environment: dict[str, str] = field(default_factory=lambda: dict(base.ENVIRONMENT))
    arguments: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ""
    entrypoint: list[str] | None = None
    command: list[str] | None = None
    # Of the shell form: https://docs.docker.com/reference/dockerfile/#shell
    shell: tuple[str, ...] = ("/bin/sh", "-c")
    author: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    exposed: dict[str, dict[str, str]] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    key: str = ""

    @property
    def values(self) -> dict[str, str]:
        """What instructions may name; ENV counts more than ARG."""
        return self.arguments | self.environment

    def config(self) -> dict[str, Any]:
        """Return the image's configuration. https://github.com/opencontainers/image-spec/blob/main/config.md"""
        config: dict[str, Any] = {
            "Env": [f"{name}={value}" for name, value in self.environment.items()],
            "Labels": self.labels,
            "WorkingDir": self.workdir,
        }
        optional = {
            "User": self.user,
            "Entrypoint": self.entrypoint,
            "Cmd": self.command,
            "ExposedPorts": self.exposed,
        }
        config |= {name: value for name, value in optional.items() if value}
        return {
            "architecture": base.ARCHITECTURE,
            "os": "linux",
            "created": EPOCH,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in self.layers if layer.digest]},
            "history": self.history,
        } | ({"author": self.author} if self.author else {})
