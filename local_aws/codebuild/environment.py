"""The environment of a build's commands.

https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local_aws.codebuild.buildspec import Buildspec
from local_aws.codebuild.sessions import Session
from local_aws.framework.store import Document

# A `docker` that finds no daemon, for builds without the privileged mode.
_NO_DOCKER = Path(__file__).with_name("no_docker")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def variables(
    build: Document, buildspec: Buildspec, session: Session, folder: Path, source: Path, programs: Path
) -> dict[str, str]:
    """Return the environment that the first command begins with; nothing of the local AWS's own is in it.

    Of variables with one name, that of the build's start counts, else the project's, else the buildspec's.

    :param build: the build
    :param session: of the service role
    :param folder: of the build
    :param source: where its source is
    :param programs: the folder with the programs `docker` and `aws`
    """
    first = [programs] if build["environment"].get("privilegedMode") else [_NO_DOCKER, programs]
    given = {one["name"]: one["value"] for one in build["environment"].get("environmentVariables", [])}
    return {
        "PATH": ":".join([*map(str, first), _PATH]),
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        "CI": "true",
        "CODEBUILD_CI": "true",
        "CODEBUILD_BUILD_ARN": build["arn"],
        "CODEBUILD_BUILD_ID": build["id"],
        "CODEBUILD_BUILD_IMAGE": build["environment"]["image"],
        "CODEBUILD_BUILD_NUMBER": str(build["buildNumber"]),
        "CODEBUILD_BUILD_SUCCEEDING": "1",
        "CODEBUILD_INITIATOR": build["initiator"],
        "CODEBUILD_KMS_KEY_ID": build["encryptionKey"],
        "CODEBUILD_LOG_PATH": build["id"].partition(":")[2],
        "CODEBUILD_RESOLVED_SOURCE_VERSION": build.get("resolvedSourceVersion", ""),
        "CODEBUILD_SOURCE_REPO_URL": build["source"].get("location", ""),
        "CODEBUILD_SOURCE_VERSION": build.get("sourceVersion", ""),
        "CODEBUILD_SRC_DIR": str(source),
        "CODEBUILD_START_TIME": str(int(build["startTime"] * 1000)),
        **session.variables(),
        **buildspec.variables,
        **given,
    }


def exported(names: Sequence[str], environment: dict[str, str]) -> list[dict[str, Any]]:
    """Return the variables that a build hands out.

    :param names: those that the buildspec names
    :param environment: at the build's end
    """
    return [{"name": name, "value": environment[name]} for name in names if name in environment]
