"""The names and places of one release: the small JSON that its tasks pass on to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Self, cast

from slipway import names
from slipway.errors import PermanentError
from slipway.formats.encoding import encoded
from slipway.formats.stored import known, unreadable, versioned
from slipway.host import log_fields
from slipway.states import Environment

# The entry of a task's context that keeps the results of earlier tasks.
_RESULTS = "slipway_results"

TAG_MODEL_PREFIX = "slipway:model-prefix"
TAG_REVISION = "slipway:revision"
TAG_DIGEST = "slipway:digest"
TAG_SEQUENCE = "slipway:sequence"
TAG_VERSION_ID = "slipway:version-id"


@dataclass(frozen=True)
class Revision:
    """One pinned version of a model's zip; the XCom of ``source``.

    :param attempt: 2 and above for a further release of a version that has been released
    :param sequence: orders the releases of a model, ISO 8601, UTC; None before ``source`` has claimed the version
    :param data: the fingerprint of the training data when the version was claimed; None where the model names none
    """

    bucket: str
    key: str
    version_id: str
    etag: str
    size_bytes: int
    last_modified: str  # ISO 8601, UTC
    attempt: int = 1
    sequence: str | None = None
    data: str | None = None

    @property
    def revision_id(self) -> str:
        """The id of this revision, which identifies the release."""
        return names.revision_id(self.bucket, self.key, self.version_id, self.attempt)

    @property
    def written_at(self) -> datetime:
        """``last_modified`` as an aware datetime."""
        return datetime.fromisoformat(self.last_modified)

    def to_xcom(self) -> dict[str, Any]:
        """Return plain JSON."""
        return versioned(asdict(self))

    @classmethod
    def from_xcom(cls, value: Mapping[str, Any]) -> Self:
        """Read what ``to_xcom`` returned.

        :raises UnreadableDocument: when it is no revision
        """
        revision = known(cls, value)
        try:
            # The training jobs' names need it.
            revision.written_at.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise unreadable(f"{cls.__name__}.last_modified", f"expected an ISO 8601 time: {error}") from error
        return revision


@dataclass(frozen=True)
class PinnedImage:
    """The container image that a release trains and serves with.

    :param uri: with its digest
    :param tag: by which it was found; None where it was named by its digest
    :param source: the S3 URI and version of the source that Slipway built it from; None where that is not known
    """

    uri: str
    tag: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class ReleasePlan:
    """Every name of one release, computed once; the XCom of ``process_request``.

    :param sequence: orders the releases of a model: when the zip was written, released again, or rolled back to
    :param stacks: names by dev and prd, as are ``endpoints``
    :param rolled_back_by: the Airflow user name of who ordered a roll-back; None for a release
    :param trial_share: the new model's share of production's requests in an A/B test, 0 to 1; None for all
    :param model_package_arn: what a roll-back deploys; None for a release, whose package `register` names
    :param image: the image by its digest; None for one that is not in the account's own registry, such as AWS's
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
    rolled_back_by: str | None = None
    trial_share: float | None = None
    model_package_arn: str | None = None
    image: PinnedImage | None = None

    @property
    def rolls_back(self) -> bool:
        """Whether this puts an earlier release back into production."""
        return self.rolled_back_by is not None

    @property
    def began(self) -> datetime | None:
        """Since when the release can have made anything; None for a roll-back, whose model is older than its order."""
        return None if self.rolls_back else datetime.fromisoformat(self.sequence)

    @property
    def home_bucket(self) -> str:
        """The bucket that keeps the release's copy of the zip and what its model's releases share."""
        return self.request_uri.removeprefix("s3://").partition("/")[0]

    def stack(self, environment: Environment) -> str:
        """The name of the environment's stack."""
        return self.stacks[environment.short]

    def endpoint(self, environment: Environment) -> str:
        """The name of the environment's endpoint."""
        return self.endpoints[environment.short]

    def tags(self) -> dict[str, str]:
        """The tags of everything that a release makes: its model, and the bytes that it is made of."""
        return {
            TAG_MODEL_PREFIX: self.prefix,
            TAG_REVISION: self.revision_id,
            TAG_DIGEST: self.digest,
            TAG_SEQUENCE: self.sequence,
            TAG_VERSION_ID: encoded(self.revision.version_id),
        }

    def to_xcom(self) -> dict[str, Any]:
        """Return plain JSON."""
        return versioned(asdict(self))

    @classmethod
    def from_xcom(cls, value: Mapping[str, Any]) -> Self:
        """Read what ``to_xcom`` returned.

        :raises UnreadableDocument: when it is no plan
        """
        plan = known(cls, value)
        Revision.from_xcom(value["revision"])
        for member, given in (("stacks", plan.stacks), ("endpoints", plan.endpoints)):
            if missing := [one.short for one in Environment if one.short not in given]:
                raise unreadable(f"{cls.__name__}.{member}", f"the member {missing[0]} is missing")
        return plan


def pull_plan(context: Mapping[str, Any]) -> ReleasePlan:
    """Read the plan of the running release, or of the release that production is rolled back to; the log names it.

    :param context: the task's Airflow context
    :raises PermanentError: when the task that makes the plan has left no plan
    """
    plan = ReleasePlan.from_xcom(result_needed(context, ROLL_BACK if roll_back_target(context) else "process_request"))
    log_fields.bind({"model": plan.prefix, "revision": plan.revision_id})
    return plan


def pull_package_arn(context: Mapping[str, Any]) -> str:
    """Read which model package ``register`` made of the running release.

    :param context: the task's Airflow context
    :returns: the package's ARN
    :raises PermanentError: when ``register`` has left no result
    """
    return result_needed(context, "register")["model_package_arn"]


def named_package_arn(context: Mapping[str, Any], plan: ReleasePlan) -> str | None:
    """Read which model package an earlier task has named, to be compared with the Model Registry.

    :param context: the task's Airflow context
    :param plan: the plan of the running release
    :returns: what should be the package's ARN; None where no task has named it
    """
    if plan.rolls_back:
        return plan.model_package_arn
    named = (result_of(context, "register") or {}).get("model_package_arn")
    return named if isinstance(named, str) else None


def pull_revision(context: Mapping[str, Any]) -> Revision:
    """Read the revision that ``source`` pinned; the log names it.

    :param context: the task's Airflow context
    :raises PermanentError: when ``source`` has pinned nothing
    """
    revision = Revision.from_xcom(result_needed(context, "source"))
    log_fields.bind({"revision": revision.revision_id})
    return revision


def result_of(context: Mapping[str, Any], task_id: str) -> Any:
    """Read what an earlier task of the run returned.

    It is read once for each process of a task: Airflow clears the tasks after one that runs again.

    :param context: the task's Airflow context
    :param task_id: the earlier task
    :returns: its XCom; None if it has none
    """
    known = cast(dict[str, Any], context).setdefault(_RESULTS, {})
    if task_id not in known:
        known[task_id] = context["ti"].xcom_pull(task_ids=task_id)
    return known[task_id]


def result_needed(context: Mapping[str, Any], task_id: str) -> Mapping[str, Any]:
    """Read the result of an earlier task of the run.

    :param context: the task's Airflow context
    :param task_id: the earlier task
    :raises PermanentError: when it has none
    """
    value = result_of(context, task_id)
    if value is None:
        raise PermanentError(
            "This task needs the result of an earlier one",
            resource=task_id,
            why="it has no result in this run",
            fix=f"clear {task_id} together with the tasks after it, instead of marking it success",
        )
    return value


# The field of the release DAG's form.
ROLL_BACK_TO = "roll_back_to"
# What that field says for the release before the live one.
PREVIOUS = "previous"
# The task that chooses what to roll back to, and the one that deploys it: each checks the order.
ROLL_BACK = "roll_back"
DEPLOY_PRD = "deploy_prd"
# The entry of test_prd's XCom that says when its last request was answered.
TESTED_AT = "tested_at"
# The task of a release that sends load to the development endpoint.
STRESS_DEV = "stress_dev"


def roll_back_target_of(conf: Mapping[str, Any] | None) -> str | None:
    """Return what a run with this conf rolls back to; None for a release."""
    value = (conf or {}).get(ROLL_BACK_TO)
    return str(value) if value else None


def roll_back_target(context: Mapping[str, Any]) -> str | None:
    """Return what the running run rolls back to; None for a release."""
    return roll_back_target_of(getattr(context.get("dag_run"), "conf", None))
