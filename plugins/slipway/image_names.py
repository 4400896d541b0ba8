"""The names of a model's own container image: where its source lies, what builds it, and what a build leaves."""

from __future__ import annotations

from slipway import names

# All models' image sources are below it, so one listing of a bucket finds their uploads.
SOURCE_PREFIX = "image_builds/"
# Before a model's prefix, which has no underscore.
BUILD_DAG_PREFIX = "image_build-"
# The watcher of builds that no task waits for; several connections each have their own, with a suffix.
BUILD_REAPER_DAG_ID = "image_reaper"
# What the name of every build project begins with.
PROJECT_PREFIX = "mlops-buildimage-"

# The source's name, also where its copy is kept.
SOURCE_FILE = "image.zip"
# What a build keeps besides: the record of its image, the lists of packages that it puts beside the image
# (command/cfn/model.yaml), and what is made of them.
RECORD_FILE = "image.json"
PACKAGES_FILE = "packages.json"
DEBIAN_FILE = "packages.debian"
BILL_FILE = "bill.cdx.json"
# How much of the source's digest is in the tag.
_TAG_CHARS = 32


def build_dag_id(prefix: str) -> str:
    """Name the DAG that builds a model's image."""
    return f"{BUILD_DAG_PREFIX}{prefix}"


def prefix_of_dag(dag_id: str) -> str:
    """Return the prefix of the model that a DAG builds the image of."""
    return dag_id.removeprefix(BUILD_DAG_PREFIX)


def source_key(prefix: str) -> str:
    """Return the key to which the source of a model's image is uploaded."""
    return f"{SOURCE_PREFIX}{prefix}/{SOURCE_FILE}"


def is_source(key: str) -> bool:
    """Tell whether a key is that of some model's image source."""
    return key.startswith(SOURCE_PREFIX)


def project(prefix: str) -> str:
    """Name the CodeBuild project of a model, as command/cfn/model.yaml makes it."""
    return f"{PROJECT_PREFIX}{prefix}"


def prefix_of_build(build_id: str) -> str | None:
    """Return the prefix of the model that a build is for; None for a build of another project.

    :param build_id: CodeBuild's, the project's name and a UUID with a colon between them
    """
    name = build_id.partition(":")[0]
    return name.removeprefix(PROJECT_PREFIX) if name.startswith(PROJECT_PREFIX) else None


def log_group(prefix: str) -> str:
    """Name the log group of a model's builds."""
    return f"/aws/codebuild/{project(prefix)}"


def tag(digest: str) -> str:
    """Return the tag of the image that a source gives.

    :param digest: SHA-256 of the zip, hexadecimal
    """
    return f"src-{digest[:_TAG_CHARS]}"


def builds_of(prefix: str) -> str:
    """Return what stands in place of a model's prefix in the keys of its builds, beside those of its releases."""
    return f"{prefix}/images"


def build_key(prefix: str, revision: str, file: str) -> str:
    """Return the key, in the source bucket, of something that a build keeps.

    :param prefix: the model's prefix
    :param revision: the id of the source's revision
    :param file: the file's name
    """
    return f"{names.release_prefix(builds_of(prefix), revision)}{file}"


def packages_folder(prefix: str) -> str:
    """Return the key prefix, in the source bucket, of what builds put beside their images."""
    return f"{prefix}/images/"


def asset(prefix: str) -> str:
    """Name the asset that each new image of a model updates."""
    return f"slipway-image-{prefix}"
