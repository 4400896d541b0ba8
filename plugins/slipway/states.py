"""States and modes, as enums. A state that AWS adds one day raises instead of being taken for a known one."""

from __future__ import annotations

from enum import StrEnum
from typing import NoReturn


class _KnownState(StrEnum):
    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise ValueError(f"unknown {cls.__name__} {value!r}; known are: {', '.join(cls)}")


class Environment(_KnownState):
    """Where a model serves: spelt out in data, short in names."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"

    @property
    def short(self) -> str:
        """The form that stack names and task ids carry: dev or prd."""
        return "dev" if self is Environment.DEVELOPMENT else "prd"


class ExecutionMode(_KnownState):
    """What becomes of several releases of one model at once, in CodePipeline's words.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/concepts-how-it-works.html
    """

    SUPERSEDED = "SUPERSEDED"  # a newer release overtakes one that waits
    QUEUED = "QUEUED"  # one after the other, the oldest first
    PARALLEL = "PARALLEL"  # independently of each other, except that an environment is written by one at a time


class BoardStage(_KnownState):
    """The stages of a release that releases of one model meet at, in their order."""

    TRAIN = "train"
    DEV = "dev"
    APPROVE = "approve"
    PRD = "prd"


class Decider(_KnownState):
    """Who judges a trial in production."""

    PERSON = "person"
    RULE = "rule"


class TrialVerdict(_KnownState):
    """What is to become of the model on trial."""

    PROMOTE = "promote"  # it becomes the live model, with all requests
    KEEP = "keep"  # both variants stay, with the trial's weights
    RETIRE = "retire"  # it is taken away; the live model has all requests again


class TrialOutcome(_KnownState):
    """What became of the model on trial."""

    PROMOTED = "promoted"
    KEPT = "kept"
    RETIRED = "retired"
    SENT_BACK = "sent back"  # it failed while it was promoted; the trial's weights are back
    SUPERSEDED = "superseded"  # a newer release has come to production


class TrainingJobStatus(_KnownState):
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html"""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    DELETING = "Deleting"


class EndpointStatus(_KnownState):
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html"""

    OUT_OF_SERVICE = "OutOfService"
    CREATING = "Creating"
    UPDATING = "Updating"
    SYSTEM_UPDATING = "SystemUpdating"
    ROLLING_BACK = "RollingBack"
    IN_SERVICE = "InService"
    DELETING = "Deleting"
    FAILED = "Failed"
    UPDATE_ROLLBACK_FAILED = "UpdateRollbackFailed"


# States in which an endpoint answers requests, if only with the configuration before.
SERVING = frozenset(
    {
        EndpointStatus.IN_SERVICE,
        EndpointStatus.UPDATING,
        EndpointStatus.SYSTEM_UPDATING,
        EndpointStatus.ROLLING_BACK,
    }
)
# States in which an endpoint is being changed and takes no further change.
ON_THE_WAY = frozenset(
    {
        EndpointStatus.CREATING,
        EndpointStatus.UPDATING,
        EndpointStatus.SYSTEM_UPDATING,
        EndpointStatus.ROLLING_BACK,
    }
)


class ModelApprovalStatus(_KnownState):
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html"""

    APPROVED = "Approved"
    REJECTED = "Rejected"
    PENDING = "PendingManualApproval"


class StackStatus(_KnownState):
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Stack.html"""

    CREATE_IN_PROGRESS = "CREATE_IN_PROGRESS"
    CREATE_FAILED = "CREATE_FAILED"
    CREATE_COMPLETE = "CREATE_COMPLETE"
    ROLLBACK_IN_PROGRESS = "ROLLBACK_IN_PROGRESS"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"
    ROLLBACK_COMPLETE = "ROLLBACK_COMPLETE"
    DELETE_IN_PROGRESS = "DELETE_IN_PROGRESS"
    DELETE_FAILED = "DELETE_FAILED"
    DELETE_COMPLETE = "DELETE_COMPLETE"
    UPDATE_IN_PROGRESS = "UPDATE_IN_PROGRESS"
    UPDATE_COMPLETE_CLEANUP_IN_PROGRESS = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
    UPDATE_COMPLETE = "UPDATE_COMPLETE"
    UPDATE_FAILED = "UPDATE_FAILED"
    UPDATE_ROLLBACK_IN_PROGRESS = "UPDATE_ROLLBACK_IN_PROGRESS"
    UPDATE_ROLLBACK_FAILED = "UPDATE_ROLLBACK_FAILED"
    UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS = "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"
    UPDATE_ROLLBACK_COMPLETE = "UPDATE_ROLLBACK_COMPLETE"
    REVIEW_IN_PROGRESS = "REVIEW_IN_PROGRESS"
    IMPORT_IN_PROGRESS = "IMPORT_IN_PROGRESS"
    IMPORT_COMPLETE = "IMPORT_COMPLETE"
    IMPORT_ROLLBACK_IN_PROGRESS = "IMPORT_ROLLBACK_IN_PROGRESS"
    IMPORT_ROLLBACK_FAILED = "IMPORT_ROLLBACK_FAILED"
    IMPORT_ROLLBACK_COMPLETE = "IMPORT_ROLLBACK_COMPLETE"

    @property
    def in_progress(self) -> bool:
        """Whether CloudFormation is still at work; a change set under review is not."""
        return self.value.endswith("_IN_PROGRESS") and self is not StackStatus.REVIEW_IN_PROGRESS
