"""The calls of Linux that Python 3.11 has no function for."""

from __future__ import annotations

import ctypes
import os

# https://man7.org/linux/man-pages/man2/clone.2.html
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

# https://man7.org/linux/man-pages/man2/mount.2.html
MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
_MNT_DETACH = 2

# https://man7.org/linux/man-pages/man2/prctl.2.html
PR_SET_PDEATHSIG = 1
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
# https://man7.org/linux/man-pages/man2/pivot_root.2.html, by machine
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Leave the namespaces that the flags name. https://man7.org/linux/man-pages/man2/unshare.2.html"""
    _check(_libc.unshare(flags), f"unshare {flags:#x}")


def setns(descriptor: int, kind: int) -> None:
    """Enter a namespace. https://man7.org/linux/man-pages/man2/setns.2.html"""
    _check(_libc.setns(descriptor, kind), "setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount. https://man7.org/linux/man-pages/man2/mount.2.html"""
    result = _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())
    _check(result, f"mount {kind or source} at {target}")


def unmount(target: str) -> None:
    """Unmount as soon as nothing uses it. https://man7.org/linux/man-pages/man2/umount.2.html"""
    _check(_libc.umount2(target.encode(), _MNT_DETACH), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    """Make a mount the root of this mount namespace."""
    _check(_libc.syscall(_PIVOT_ROOT[os.uname().machine], new.encode(), old.encode()), "pivot_root")


def set_hostname(name: str) -> None:
    """Name the machine of this UTS namespace."""
    encoded = name.encode()
    _check(_libc.sethostname(encoded, len(encoded)), "sethostname")


def prctl(option: int, argument: int) -> None:
    """Change this process. https://man7.org/linux/man-pages/man2/prctl.2.html"""
    unused = ctypes.c_ulong(0)
    _check(_libc.prctl(option, ctypes.c_ulong(argument), unused, unused, unused), f"prctl {option}")
