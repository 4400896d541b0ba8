"""Artifacts: files of a build that are put into S3 at its end.

https://docs.aws.amazon.com/codebuild/latest/APIReference/API_ProjectArtifacts.html
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from local_aws.codebuild.buildspec import Artifacts
from local_aws.codebuild.errors import BuildProblem
from local_aws.codebuild.sessions import Session
from local_aws.framework.store import Document


def upload(session: Session, build: Document, wanted: Artifacts, source: Path) -> None:
    """Put the artifacts into S3, with the role's permissions.

    :param session: of the service role
    :param build: the build
    :param wanted: what the buildspec says
    :param source: where the build's source is
    :raises BuildProblem: there are no such files, or they cannot be put
    """
    settings = build["artifactSettings"]
    if settings["type"] != "S3" or not wanted.files:
        return
    base = (source / wanted.base_directory).resolve()
    files = sorted({path for pattern in wanted.files for path in _matching(base, source.resolve(), pattern)})
    if not files:
        raise BuildProblem("CLIENT_ERROR", "no matching artifact paths found")
    names = {path: path.name if wanted.discard_paths else path.relative_to(base).as_posix() for path in files}
    prefix = key_prefix(build)
    client = session.client("s3")
    try:
        if settings.get("packaging", "NONE") == "ZIP":
            archive = source.parent / "artifacts.zip"
            with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
                for path, name in names.items():
                    zipped.write(path, name)
            client.upload_file(str(archive), settings["location"], prefix)
            return
        for path, name in names.items():
            client.upload_file(str(path), settings["location"], f"{prefix}/{name}")
    except (ClientError, BotoCoreError) as error:
        raise BuildProblem("CLIENT_ERROR", f"Error in UPLOAD_ARTIFACTS phase: {error}") from error


def key_prefix(build: Document) -> str:
    """Return the key of a zip of artifacts, or what the keys of the files begin with.

    :param build: the build
    """
    settings = build["artifactSettings"]
    parts = [settings.get("path", "").strip("/")]
    if settings.get("namespaceType") == "BUILD_ID":
        parts.append(build["id"].partition(":")[2])
    parts.append(settings.get("name") or build["projectName"])
    return "/".join(part for part in parts if part)


def _matching(base: Path, source: Path, pattern: str) -> Iterator[Path]:
    """Find the files of a pattern; none outside the source, whatever links lead to."""
    try:
        found = [base / pattern] if (base / pattern).is_file() else [*base.glob(pattern)]
    except (ValueError, NotImplementedError, OSError):
        return
    for path in found:
        if path.is_file() and path.resolve().is_relative_to(source):
            yield path
