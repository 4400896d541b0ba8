"""What a build may use of the machine, by the compute type of its project.

https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-compute-types.html
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_aws import trees
from local_aws.codebuild.shell import Limits

_GIB = 1024**3
_MEMORY_GIB = {
    "BUILD_GENERAL1_SMALL": 4,
    "BUILD_GENERAL1_MEDIUM": 8,
    "BUILD_GENERAL1_LARGE": 16,
    "BUILD_GENERAL1_XLARGE": 72,
    "BUILD_GENERAL1_2XLARGE": 144,
}


def limits_of(environment: Mapping[str, Any]) -> Limits:
    """Return the limits of a build.

    :param environment: of its project
    """
    return Limits(memory_bytes=_MEMORY_GIB.get(environment["computeType"], 4) * _GIB)


def used_bytes(folder: Path, enough: int) -> int:
    """Return how much the files in a folder occupy; less than all if that is more than enough.

    :param folder: the folder
    :param enough: where to stop counting
    :raises trees.TooDeep: a directory is too deep
    """
    total = 0
    for entry in trees.entries(folder):
        # It may just have been deleted.
        with contextlib.suppress(OSError):
            total += entry.stat(follow_symlinks=False).st_blocks * 512
        if total > enough:
            break
    return total
