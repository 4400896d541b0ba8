"""`apt-get` and `apt` of the base image: the machine's packages are there, and no others can be.

It runs inside of an image. Only the standard library is there.
"""

import sys
from pathlib import Path

# Each package of Debian has a directory here: https://www.debian.org/doc/debian-policy/ch-docs.html
DOCUMENTS = Path("/usr/share/doc")
# Options with a value of their own behind them: https://manpages.debian.org/bookworm/apt/apt-get.8.en.html
VALUED = (
    "-o",
    "--option",
    "-c",
    "--config-file",
    "-t",
    "--target-release",
    "--default-release",
    "-a",
    "--host-architecture",
)
# What there is nothing to do for.
IDLE = ("update", "upgrade", "dist-upgrade", "full-upgrade", "clean", "autoclean", "autoremove", "remove", "purge")


def main(words: list[str]) -> int:
    """Answer one command; return its exit status.

    :param words: behind the program's name
    """
    command, *packages = without_options(words) or [""]
    if command in IDLE:
        return say(f"{command}: nothing to do, the base image is this machine")
    if command != "install":
        return say(f"E: {command or 'no command'}: the local AWS has install, {', '.join(IDLE)}", 100)
    names = [package.split("=")[0].split("/")[0].split(":")[0] for package in packages]
    missing = [name for name in names if not (DOCUMENTS / name).is_dir()]
    if missing:
        return say(explain(missing), 100)
    return say(f"{' '.join(names)}: there, in the machine's version")


def say(text: str, status: int = 0) -> int:
    """Write a line, and return the exit status that goes with it."""
    print(text, file=sys.stderr if status else sys.stdout)
    return status


def without_options(words: list[str]) -> list[str]:
    """Leave out options and their values."""
    found = []
    given = iter(words)
    for word in given:
        if word in VALUED:
            next(given, None)
        elif not word.startswith("-"):
            found.append(word)
    return found


def explain(missing: list[str]) -> str:
    """Say why packages cannot be installed, and what to do."""
    names = " ".join(missing)
    return (
        f"E: {names}: the local AWS builds without docker on this machine, which does not have it. Do without it, or "
        f"run `sudo apt-get install {names}` on the machine, or build with docker or podman: SLIPWAY_COMPUTE=container"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
