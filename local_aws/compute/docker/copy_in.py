"""Puts a tar's members into an image: `python -c SOURCE DESTINATION OWNER MANY`, the tar on standard input.

It runs inside of the image, as its user 0, so links and names of the image lead nowhere else. Only the standard library
is there.
"""

import grp
import os
import pwd
import shutil
import sys
import tarfile


def main(destination: str, owner: str, many: bool) -> None:
    """Write what the tar has.

    :param destination: of the COPY, absolute; it is a directory if it ends with a slash or already is one
    :param owner: `user[:group]` as names or numbers, empty for root
    :param many: whether the tar has a directory's content, or several files
    """
    user, group = ids(owner)
    folder = many or destination.endswith("/") or os.path.isdir(destination)
    make_folder(destination if folder else os.path.dirname(destination), user, group)
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
        for member in tar:
            target = os.path.join(destination, member.name) if folder else destination
            if put(tar, member, target):
                os.chown(target, user, group, follow_symlinks=False)


def put(tar: tarfile.TarFile, member: tarfile.TarInfo, target: str) -> bool:
    """Write one member in place of what is there; False where a directory is there already."""
    if member.isdir():
        if os.path.isdir(target):
            return False
        os.mkdir(target)
        return True
    if os.path.lexists(target):
        if os.path.isdir(target) and not os.path.islink(target):
            sys.exit(f"cannot replace the directory {target} by a file")
        os.unlink(target)
    if member.issym():
        os.symlink(member.linkname, target)
        return True
    content = tar.extractfile(member)
    assert content is not None
    with open(target, "wb") as file:
        shutil.copyfileobj(content, file)
    os.chmod(target, member.mode)
    return True


def make_folder(path: str, user: int, group: int) -> None:
    """Make a directory and those above it that are missing."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path.rstrip("/")) or "/"
    for folder in reversed(missing):
        os.mkdir(folder, 0o755)
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
    main(sys.argv[1], sys.argv[2], sys.argv[3] == "many")
