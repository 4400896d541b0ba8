"""The directory tree that a sandbox sees: an overlay, what is bound into it, and the devices every program needs."""

from __future__ import annotations

import os
from pathlib import Path

from local_aws.compute.sandbox import kernel
from local_aws.compute.sandbox.spec import HOST_ID, Bind, SandboxSpec

_DEVICES = ("null", "zero", "full", "random", "urandom")
_SAFE = kernel.MS_NOSUID | kernel.MS_NODEV
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}


def enter(spec: SandboxSpec) -> None:
    """Make the tree and leave the machine's; the process is in a mount namespace and a process namespace of its own.

    :param spec: what the sandbox is made of
    :raises OSError: something cannot be mounted
    """
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    root = Path(spec.scratch) / "root"
    root.mkdir(exist_ok=True)
    _overlay(spec, root)
    for bind in spec.binds:
        place = _inside(root, bind.target)
        if bind.keeps:
            _bind_beside(bind, place, Path(spec.scratch) / "kept")
        else:
            _bind(bind.source, place, bind.writable)
    _devices(root)
    kernel.mount("proc", str(_inside(root, "/proc")), "proc", _SAFE | kernel.MS_NOEXEC)
    _tmpfs(_inside(root, "/tmp"), spec.limits.tmp_bytes)  # noqa: S108 - the sandbox's own
    os.chdir(root)
    # The old root is stacked on the new one and taken away, so that no directory is needed for it:
    # https://man7.org/linux/man-pages/man2/pivot_root.2.html
    kernel.pivot_root(".", ".")
    kernel.unmount(".")
    os.chdir("/")


def _overlay(spec: SandboxSpec, root: Path) -> None:
    """Mount the layers. Their names are relative, because the kernel takes one page of options only."""
    folder = os.path.commonpath(spec.lower)
    os.chdir(folder)
    # A renamed directory is copied, so that the upper directory alone says what has changed.
    options = "redirect_dir=off,index=off,metacopy=off,lowerdir=" + ":".join(
        os.path.relpath(lower, folder) for lower in spec.lower
    )
    if spec.upper:
        work = Path(spec.scratch) / "work"
        work.mkdir(exist_ok=True)
        options += f",upperdir={spec.upper},workdir={work}"
    kernel.mount("overlay", str(root), "overlay", _SAFE | (0 if spec.upper else kernel.MS_RDONLY), options)


def _inside(root: Path, target: str) -> Path:
    """Return the place of a mount; no part of it may be a link, for this process still sees the machine's tree."""
    place = root
    for part in Path(target).parts[1:]:
        place /= part
        if place.is_symlink() or part == "..":
            raise OSError(f"{target} cannot be mounted: {place.relative_to(root)} is a link")
    return place


def _bind(source: str, place: Path, writable: bool) -> None:
    kernel.mount(source, str(place), flags=kernel.MS_BIND | kernel.MS_REC)
    read_only = 0 if writable else kernel.MS_RDONLY
    kernel.mount("none", str(place), flags=kernel.MS_BIND | kernel.MS_REMOUNT | _SAFE | read_only)


def _bind_beside(bind: Bind, place: Path, kept: Path) -> None:
    """Mount a directory, and in it what the image has there under other names; links are left out."""
    kept.mkdir()
    kernel.mount(str(place), str(kept), flags=kernel.MS_BIND)
    _bind(bind.source, place, bind.writable)
    for entry in sorted(kept.iterdir()):
        target = place / entry.name
        if entry.is_symlink() or target.is_symlink() or target.exists():
            continue
        if entry.is_dir():
            target.mkdir()
        elif entry.is_file():
            target.touch()
        else:
            continue
        _bind(str(entry), target, writable=False)


def _tmpfs(place: Path, size_bytes: int, mode: str = "1777") -> None:
    options = f"size={size_bytes},mode={mode},uid={HOST_ID},gid={HOST_ID},nr_inodes=200000"
    kernel.mount("tmpfs", str(place), "tmpfs", _SAFE, options)


def _devices(root: Path) -> None:
    dev = _inside(root, "/dev")
    kernel.mount("tmpfs", str(dev), "tmpfs", kernel.MS_NOSUID | kernel.MS_NOEXEC, "size=65536,mode=755")
    for name in _DEVICES:
        (dev / name).touch()
        kernel.mount(f"/dev/{name}", str(dev / name), flags=kernel.MS_BIND)
    for name, target in _LINKS.items():
        (dev / name).symlink_to(target)
    (dev / "shm").mkdir()
    _tmpfs(dev / "shm", 256 * 1024**2)
