"""Puts a tar's members into an image: `python -c SOURCE DESTINATION OWNER MANY MODE`, the tar on standard input.

It runs inside of the image, as its user 0, so links and names of the image lead nowhere else. Only the standard library
is there.
"""

import grp
import os
import pwd
import shutil
import sys
import tarfile
from pathlib import Path


def main(destination: str, owner: str, many: bool, mode: str) -> None:
    """Write what the tar has.

    :param destination: of the COPY, absolute; it is a directory if it ends with a slash or already is one
    :param owner: `user[:group]` as names or numbers, empty for root
    :param many: whether the tar has a directory's content, or several files
    :param mode: of each member in octal digits, empty for its own
    """
    user, group = ids(owner)
    place = Path(destination)
    folder = many or destination.endswith("/") or place.is_dir()
    make_folder(place if folder else place.parent, user, group)
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
        for member in tar:
            target = place / member.name if folder else place
            if put(tar, member, target):
                os.chown(target, user, group, follow_symlinks=False)
                if mode and not target.is_symlink():
                    target.chmod(int(mode, 8))


def put(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> bool:
    """Write one member in place of what is there; False where a directory is there already."""
    if member.isdir():
        if target.is_dir():
            return False
        target.mkdir()
        return True
    if target.is_dir() and not target.is_symlink():
        sys.exit(f"cannot replace the directory {target} by a file")
    target.unlink(missing_ok=True)
    content = tar.extractfile(member) if member.isreg() else None
    if content is None:
        target.symlink_to(member.linkname)
        return True
    with target.open("xb") as file:
        shutil.copyfileobj(content, file)
    target.chmod(member.mode)
    return True


def make_folder(path: Path, user: int, group: int) -> None:
    """Make a directory and those above it that are missing."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir()
        os.chown(folder, user, group)


def ids(owner: str) -> tuple[int, int]:
    """Return the numbers of `user[:group]`."""
    name, _, group = owner.partition(":")
    if not name:
        return 0, 0
    try:
        user = int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid
        group = group or name
        return user, int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError as error:
        sys.exit(f"--chown: {error.args[0]}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3] == "many", sys.argv[4])
