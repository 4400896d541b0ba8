"""States and modes, as enums. A state that AWS adds later raises an error; it is not taken for a known one."""

from __future__ import annotations

from enum import StrEnum
from typing import NoReturn


class _KnownState(StrEnum):
    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise ValueError(f"unknown {cls.__name__} {value!r}; known are: {', '.join(cls)}")


class Environment(_KnownState):
    """Where a model serves: in full in data, short in names."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"

    @property
    def short(self) -> str:
        """The short form in stack names and task ids: dev or prd."""
        return "dev" if self is Environment.DEVELOPMENT else "prd"


class ExecutionMode(_KnownState):
    """What happens to several releases of one model at once, in CodePipeline's words.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/concepts-how-it-works.html
    """

    SUPERSEDED = "SUPERSEDED"  # a newer release overtakes one that waits
    QUEUED = "QUEUED"  # one after the other, the oldest first
    PARALLEL = "PARALLEL"  # independently of each other, except that one at a time writes an environment


class BoardStage(_KnownState):
    """The stages at which releases of one model meet, in their order."""

    TRAIN = "train"
    DEV = "dev"
    APPROVE = "approve"
    PRD = "prd"


class Decider(_KnownState):
    """Who judges a trial in production."""

    PERSON = "person"
    RULE = "rule"


class TrialVerdict(_KnownState):
    """What to do with the model on trial."""

    PROMOTE = "promote"  # it becomes the live model, with all requests
    KEEP = "keep"  # both variants stay, with the trial's weights
    RETIRE = "retire"  # it is removed; the live model has all requests again


class TrialOutcome(_KnownState):
    """What happened to the model on trial."""

    PROMOTED = "promoted"
    KEPT = "kept"
    RETIRED = "retired"
    SENT_BACK = "sent back"  # it failed while it was promoted; the trial's weights are back
    SUPERSEDED = "superseded"  # a newer release has come to production


class TrainingJobStatus(_KnownState):
    """The states of a training job.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html
    """

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    DELETING = "Deleting"


class EndpointStatus(_KnownState):
    """The states of an endpoint.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html
    """

    OUT_OF_SERVICE = "OutOfService"
    CREATING = "Creating"
    UPDATING = "Updating"
    SYSTEM_UPDATING = "SystemUpdating"
    ROLLING_BACK = "RollingBack"
    IN_SERVICE = "InService"
    DELETING = "Deleting"
    FAILED = "Failed"
    UPDATE_ROLLBACK_FAILED = "UpdateRollbackFailed"


# States in which an endpoint answers requests, some of them with the previous configuration.
SERVING = frozenset(
    {
        EndpointStatus.IN_SERVICE,
        EndpointStatus.UPDATING,
        EndpointStatus.SYSTEM_UPDATING,
        EndpointStatus.ROLLING_BACK,
    }
)
# States in which an endpoint is being changed and accepts no other change.
ON_THE_WAY = frozenset(
    {
        EndpointStatus.CREATING,
        EndpointStatus.UPDATING,
        EndpointStatus.SYSTEM_UPDATING,
        EndpointStatus.ROLLING_BACK,
    }
)


class ModelApprovalStatus(_KnownState):
    """The approval states of a model package.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html
    """

    APPROVED = "Approved"
    REJECTED = "Rejected"
    PENDING = "PendingManualApproval"


class StackStatus(_KnownState):
    """The states of a stack.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Stack.html
    """

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
        """Whether CloudFormation is still at work; a stack in review is not."""
        return self.value.endswith("_IN_PROGRESS") and self is not StackStatus.REVIEW_IN_PROGRESS
