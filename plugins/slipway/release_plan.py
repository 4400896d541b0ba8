"""What one release is called and where it lives: the small JSON that tasks hand on to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

from slipway.errors import PermanentError
from slipway.states import Environment

TAG_MODEL_PREFIX = "slipway:model-prefix"
TAG_REVISION = "slipway:revision"
TAG_DIGEST = "slipway:digest"
TAG_SEQUENCE = "slipway:sequence"
TAG_VERSION_ID = "slipway:version-id"


@dataclass(frozen=True)
class Revision:
    """One pinned version of a model's zip; the XCom of ``source``."""

    bucket: str
    key: str
    version_id: str
    etag: str
    size_bytes: int
    last_modified: str  # ISO 8601, UTC
    uploader: str | None = None

    @property
    def written_at(self) -> datetime:
        """``last_modified`` as an aware datetime."""
        return datetime.fromisoformat(self.last_modified)

    def to_xcom(self) -> dict[str, Any]:
        """:returns: plain JSON"""
        return asdict(self)

    @classmethod
    def from_xcom(cls, value: Mapping[str, Any]) -> Self:
        """:param value: what ``to_xcom`` returned"""
        return cls(**value)


@dataclass(frozen=True)
class ReleasePlan:
    """Every name of one release, computed once; the XCom of ``process_request``.

    ``sequence`` orders the releases of a model: the zip's LastModified. ``stacks`` and ``endpoints`` have the keys
    dev and prd.
    """

    prefix: str
    revision: Revision
    revision_id: str
    digest: str  # SHA-256 of the zip, hexadecimal
    sequence: str
    training_job_name: str
    request_uri: str
    model_package_group: str
    endpoint_prefix: str
    stacks: dict[str, str]
    endpoints: dict[str, str]

    def stack(self, environment: Environment) -> str:
        """The name of the environment's stack."""
        return self.stacks[environment.short]

    def endpoint(self, environment: Environment) -> str:
        """The name of the environment's endpoint."""
        return self.endpoints[environment.short]

    def tags(self) -> dict[str, str]:
        """The tags of everything a release makes: whose it is, and from which bytes."""
        return {
            TAG_MODEL_PREFIX: self.prefix,
            TAG_REVISION: self.revision_id,
            TAG_DIGEST: self.digest,
            TAG_SEQUENCE: self.sequence,
            TAG_VERSION_ID: self.revision.version_id,
        }

    def to_xcom(self) -> dict[str, Any]:
        """:returns: plain JSON"""
        return asdict(self)

    @classmethod
    def from_xcom(cls, value: Mapping[str, Any]) -> Self:
        """:param value: what ``to_xcom`` returned"""
        return cls(**{**value, "revision": Revision.from_xcom(value["revision"])})


def pull_plan(context: Mapping[str, Any]) -> ReleasePlan:
    """Read the plan of the running release.

    :param context: the task's Airflow context
    :raises PermanentError: when ``process_request`` has left no plan
    """
    return ReleasePlan.from_xcom(_pull(context, "process_request"))


def pull_revision(context: Mapping[str, Any]) -> Revision:
    """Read the revision that ``source`` pinned.

    :param context: the task's Airflow context
    :raises PermanentError: when ``source`` has pinned nothing
    """
    return Revision.from_xcom(_pull(context, "source"))


def _pull(context: Mapping[str, Any], task_id: str) -> Mapping[str, Any]:
    value = context["ti"].xcom_pull(task_ids=task_id)
    if value is None:
        raise PermanentError(
            "This task needs what an earlier one found out",
            resource=task_id,
            why="it has left no result in this run",
            fix=f"clear {task_id} together with the tasks after it, instead of marking it success",
        )
    return value
