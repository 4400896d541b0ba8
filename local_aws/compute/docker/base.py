"""The base image `python:3.11`: this machine's programs and its Python, with an environment for packages of its own.

What programs see of the machine is read-only: /usr/bin, /usr/lib and their like, and the interpreter.
Nothing of /usr/local, /home, /root, /etc and /var is the machine's.
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import sys
import sysconfig
import uuid
import zipfile
from importlib import resources
from pathlib import Path
from py_compile import PycInvalidationMode

from local_aws.compute.base import ContainerFailed
from local_aws.compute.sandbox.spec import Bind, owned_by_sandbox

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
# Changes when a base is made otherwise than before, so that those of earlier versions are not used.
_FORMAT = 2
_VERSION = f"{VERSION}.{sys.version_info.micro}"
# The registries that carry Docker's official images: https://docs.docker.com/docker-hub/official_images/ and
# https://docs.aws.amazon.com/AmazonECR/latest/public/docker-official-images.html
_BASE = re.compile(
    r"^(?:(?:docker\.io/)?(?:library/)?|public\.ecr\.aws/docker/library/)"
    rf"python:{re.escape(VERSION)}(?:\.\d+)?(?:-slim)?(?:-(?:bookworm|bullseye|trixie))?(?:@sha256:[0-9a-f]{{64}})?$"
)
_PYTHON = "/opt/python"
_MACHINE = ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "libexec", "include", "share")
_TOP = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_FOLDERS = {
    "dev": 0o755,
    "etc/ssl/certs": 0o755,
    "home": 0o755,
    "opt/ml": 0o755,
    "proc": 0o555,
    "root": 0o700,
    "run": 0o755,
    "srv": 0o755,
    "tmp": 0o1777,
    "usr/local/bin": 0o755,
    "usr/src": 0o755,
    "var/lib": 0o755,
    "var/log": 0o755,
    "var/tmp": 0o1777,
}
# What a mount needs, and an image must not have replaced by a link.
_MOUNTED = ("dev", "proc", "tmp")
_COPIED = ("etc/ld.so.cache", "etc/alternatives", "etc/mime.types", "etc/protocols", "etc/services")
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    # With the names that containers.py gives; SageMaker's training toolkit waits until its host's can be looked up.
    "etc/hosts": "127.0.0.1 localhost algo-1 model build\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "etc/os-release": 'NAME="This machine"\nID=machine\n',
}
_PIP = """#!/usr/local/bin/python3
import sys
from pip._internal.cli.main import main
sys.exit(main())
"""
PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
# As the official image has it: https://github.com/docker-library/python/blob/master/3.11/slim-bookworm/Dockerfile
ENVIRONMENT = {"PATH": PATH, "LANG": "C.UTF-8"}
# As Go and docker name it.
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"


def interpreter() -> str:
    """Return the machine's interpreter, as a sandbox sees it: no image can have changed it."""
    return f"{_python()}/bin/python{VERSION}"


def is_base(name: str) -> bool:
    """Tell whether an image's name stands for this machine's Python."""
    return _BASE.match(name) is not None


class Base:
    """The directories of the base image, made once in a state folder.

    :param folder: where they are
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        name = f"python-{_VERSION}-{_FORMAT}"
        self._image = folder / name
        self._mounted = folder / f"{name}-mounts"

    @property
    def identity(self) -> str:
        """What the layers of a build stand on."""
        return f"python:{sys.version} {_FORMAT}"

    def lower(self, layers: tuple[Path, ...]) -> tuple[str, ...]:
        """Return the directories of a root, the topmost first.

        :param layers: the image's own, the topmost first
        """
        return (str(self._mounted), *map(str, layers), str(self._image))

    def binds(self) -> tuple[Bind, ...]:
        """Return what programs see of the machine."""
        found = [Bind(f"/usr/{name}", f"/usr/{name}") for name in _MACHINE if _is_folder(Path("/usr", name))]
        found += [Bind(f"/{name}", f"/{name}") for name in _TOP if _is_folder(Path("/", name))]
        if sys.base_prefix != "/usr":
            found.append(Bind(sys.base_prefix, _python()))
        return tuple(found)

    def require(self) -> None:
        """Make the directories where they are missing.

        :raises ContainerFailed: they cannot be made
        """
        if self._image.is_dir() and self._mounted.is_dir():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        new = self._folder / f"new-{uuid.uuid4().hex[:12]}"
        try:
            _make_mounted(new / "mounts")
            _make_image(new / "image")
            _add_environment(new / "image")
            _add_apt(new / "image")
            for part in ("mounts", "image"):
                owned_by_sandbox(new / part)
            # Another build may have been faster.
            for part, place in (("mounts", self._mounted), ("image", self._image)):
                if not place.is_dir():
                    (new / part).rename(place)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def _add_environment(folder: Path) -> None:
    """Make the Python environment at /usr/local. https://docs.python.org/3/library/venv.html

    :raises ContainerFailed: this Python has no pip to give
    """
    home = f"{_python()}/bin"
    local = folder / "usr" / "local"
    (local / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\nversion = {_VERSION}\n")
    for name, target in ((f"python{VERSION}", f"{home}/python{VERSION}"), ("python3", f"python{VERSION}")):
        (local / "bin" / name).symlink_to(target)
    (local / "bin" / "python").symlink_to("python3")
    packages = local / "lib" / f"python{VERSION}" / "site-packages"
    packages.mkdir(parents=True)
    wheels = Path(str(resources.files("ensurepip"))) / "_bundled"
    folders = [wheels, Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or wheels)]
    for name in ("pip", "setuptools"):
        found = [wheel for place in folders for wheel in sorted(place.glob(f"{name}-*.whl"))]
        if found:
            zipfile.ZipFile(found[0]).extractall(packages)
        elif name == "pip":
            raise ContainerFailed(f"images need the module ensurepip of Python {_VERSION}: install python3-venv")
    # No build writes what Python has compiled, and pip takes seconds longer without.
    compileall.compile_dir(
        packages, quiet=2, stripdir=str(folder), invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
    )
    for name in ("pip", "pip3", f"pip{VERSION}"):
        script = local / "bin" / name
        script.write_text(_PIP)
        script.chmod(0o755)


def _add_apt(folder: Path) -> None:
    """Put programs before the machine's, which could only say that they cannot lock their files."""
    program = resources.files("local_aws.compute.docker").joinpath("apt_get.py").read_text()
    for name in ("apt", "apt-get"):
        script = folder / "usr" / "local" / "bin" / name
        script.write_text(f"#!{interpreter()} -IS\n{program}")
        script.chmod(0o755)


def _python() -> str:
    """Return where a sandbox sees the interpreter: at its own path, which its libraries may know.

    Only /usr/local is the image's own.
    """
    return _PYTHON if sys.base_prefix == "/usr/local" else sys.base_prefix


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _make_mounted(folder: Path) -> None:
    for name in _MOUNTED:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in _TOP:
        machine = Path("/", name)
        if machine.is_symlink():
            (folder / name).symlink_to(machine.readlink())


def _make_image(folder: Path) -> None:
    for name, mode in _FOLDERS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name).chmod(mode)
    for name, text in _FILES.items():
        (folder / name).write_text(text)
    for name in (*_COPIED, CERTIFICATES):
        source = Path("/", name)
        if source.is_dir():
            shutil.copytree(source, folder / name, symlinks=True)
        elif source.is_file():
            shutil.copyfile(source, folder / name)
