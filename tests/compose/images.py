"""Images for a machine that reaches no registry of them: stand-ins from Debian's packages, and Slipway's two."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.compose.engine import BUILD, Podman

HERE = Path(__file__).resolve().parent
DEBIAN = "localhost/debian:bookworm"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
AIRFLOW = "localhost/slipway-test-airflow:latest"
LOCAL_AWS = "localhost/slipway-test-local-aws:latest"
COLLECTOR = "localhost/slipway-base-collector:latest"
# What docker-compose.yaml pulls → the stage that stands in for it.
STAND_INS = {
    "BASE_IMAGE": "airflow",
    "AWS_BASE_IMAGE": "python",
    "POSTGRES_IMAGE": "postgres",
    "REDIS_IMAGE": "redis",
    "PROMETHEUS_IMAGE": "prometheus",
}


def variables() -> dict[str, str]:
    """Return what docker-compose.yaml reads from .env to take these images."""
    stand_ins = {name: f"localhost/slipway-base-{stage}:latest" for name, stage in STAND_INS.items()}
    return stand_ins | {"OTEL_IMAGE": COLLECTOR, "SLIPWAY_IMAGE": AIRFLOW, "SLIPWAY_AWS_IMAGE": LOCAL_AWS}


def build(engine: Podman, project: Path) -> None:
    """Build all images; what has not changed comes from podman's cache.

    :param engine: podman
    :param project: the folder with Slipway's Dockerfile and what it copies
    """
    require_debian(engine.run)
    with _folder(*(HERE / "images").iterdir(), CERTIFICATES) as folder:
        for name, stage in STAND_INS.items():
            engine.build(variables()[name], folder, stage)
    for target, tag, base in (("airflow", AIRFLOW, "BASE_IMAGE"), ("aws", LOCAL_AWS, "AWS_BASE_IMAGE")):
        engine.build(tag, project, target, {base: variables()[base]})
    tests = HERE.parent
    with _folder(*(HERE / "collector").iterdir(), tests / "__init__.py", tests / "otlp.py") as folder:
        engine.build(COLLECTOR, folder, arguments={"AIRFLOW": AIRFLOW})


@contextmanager
def _folder(*files: Path) -> Iterator[Path]:
    """Give a folder with copies of files, until the block ends."""
    with tempfile.TemporaryDirectory() as name:
        for file in files:
            if file.is_file():
                shutil.copy(file, name)
        yield Path(name)


def build_python(run: Callable[..., object], tag: str) -> None:
    """Build what stands in for Python's image.

    :param run: runs podman with the words that it is given
    :param tag: the image's name
    """
    require_debian(run)
    with _folder(HERE / "images" / "Dockerfile", CERTIFICATES) as folder:
        run(*BUILD, "--tag", tag, "--target", "python", str(folder))


def require_debian(run: Callable[..., object]) -> None:
    """Make Debian 12's base image from its packages, where podman has none. https://wiki.debian.org/Debootstrap"""
    if not subprocess.run(["podman", "image", "exists", DEBIAN], check=False).returncode:  # noqa: S607
        return
    with tempfile.TemporaryDirectory() as name:
        root, archive = Path(name) / "root", Path(name) / "root.tar"
        subprocess.run(["debootstrap", "--variant=minbase", "bookworm", str(root)], check=True)  # noqa: S607
        subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True)  # noqa: S607
        run("import", str(archive), DEBIAN)
