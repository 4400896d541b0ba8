"""Which task of which Airflow waits for a training job, as the job's tags say, and whether it still waits."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from airflow.sdk import Variable
from airflow.utils.state import State, TaskInstanceState

from slipway.formats.encoding import TAG_VALUE_MAX_CHARS, decoded, encoded, fits
from slipway.host import runs
from slipway.states import TrainingJobStatus

if TYPE_CHECKING:
    from slipway.aws.sagemaker import SageMakerHook

# Put on a job before it is stopped with its task, so that the task trains again when it is cleared.
STOPPED_BY_TAG = "slipway:stopped-by"
_TAGS = {"airflow": "slipway:airflow", "dag_id": "slipway:dag", "task_id": "slipway:task", "run_id": "slipway:run"}

# The variable that identifies this Airflow among those that use the same AWS account. Like the runs that the tags
# name, it is in the metadata database.
INSTANCE_VARIABLE = "slipway_airflow_id"


@dataclass(frozen=True)
class JobOwner:
    """The task that waits for a training job.

    :param airflow: ``airflow_id()`` of the task's Airflow
    :param dag_id: the task's DAG
    :param task_id: the task
    :param run_id: the task's run
    """

    airflow: str
    dag_id: str
    task_id: str
    run_id: str

    def to_tags(self) -> dict[str, str]:
        """Write the owner as tags.

        :returns: values by key; none if a run id is too long for a tag: such a job has no owner
        """
        values = {key: getattr(self, field) for field, key in _TAGS.items()}
        if not all(fits(value, TAG_VALUE_MAX_CHARS) for value in values.values()):
            return {}
        return {key: encoded(value) for key, value in values.items()}

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> Self | None:
        """Read the owner from a job's tags, if they name one."""
        if not all(tags.get(key) for key in _TAGS.values()):
            return None
        return cls(**{field: decoded(tags[key]) for field, key in _TAGS.items()})

    @property
    def task(self) -> tuple[str, str, str]:
        """The task, its DAG and its run, for a log."""
        return self.task_id, self.dag_id, self.run_id

    def to_json(self) -> dict[str, str]:
        """Return plain JSON."""
        return asdict(self)


def airflow_id() -> str | None:
    """Return this Airflow's id, or None before its first training job."""
    found: Any = Variable.get(INSTANCE_VARIABLE, default=None)
    return found


def ensure_airflow_id() -> str:
    """Return this Airflow's id, and make one if there is none.

    Two tasks that make one at once may put different ids on their jobs. The job with the id that was overwritten is
    never found as an orphan: only its trigger stops it.
    """
    if found := airflow_id():
        return found
    Variable.set(INSTANCE_VARIABLE, uuid.uuid4().hex, description="Marks the training jobs of this Airflow")
    return Variable.get(INSTANCE_VARIABLE)


class TaskStates(Protocol):
    """The states of tasks and runs that the search for orphans needs."""

    def task_state(self, owner: JobOwner) -> str | None:
        """Return the task's state; ``removed`` if there is no such task."""

    def run_is_open(self, owner: JobOwner) -> bool:
        """Tell whether the run exists and has not ended."""


class AirflowTasks:
    """Ask Airflow through the channel of the running task or trigger, which needs no credential."""

    def task_state(self, owner: JobOwner) -> str | None:
        """Return the task's state; ``removed`` if there is no such task."""
        return runs.task_state(owner.dag_id, owner.run_id, owner.task_id)

    def run_is_open(self, owner: JobOwner) -> bool:
        """Tell whether the run exists and has not ended."""
        return runs.goes_on(owner.dag_id, owner.run_id)


def has_ended(task_state: str | None, *, run_is_open: bool) -> bool:
    """Tell whether a task no longer waits for its job, now or after a retry.

    A task that has lost its worker or triggerer is running, deferred or up for retry: its job keeps running.

    :param task_state: the task's state; None before it is scheduled
    :param run_is_open: whether its run exists and has not ended
    """
    finished = task_state is not None and TaskInstanceState(task_state) in State.finished
    return finished or not run_is_open


def waits(owner: JobOwner, tasks: TaskStates) -> bool:
    """Tell whether the owner of a job still waits for it."""
    return not has_ended(tasks.task_state(owner), run_is_open=tasks.run_is_open(owner))


def stop_and_mark(hook: SageMakerHook, job_name: str, owner: JobOwner | None = None) -> bool:
    """Stop a running job, and mark it so that its task trains again when it is cleared.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html

    :param hook: SageMaker
    :param job_name: the job
    :param owner: the expected owner; a job that another run has adopted is not stopped
    :returns: whether it was running and was stopped
    :raises slipway.errors.AwsError: when a call fails
    """
    job = hook.describe_training_job(job_name)
    if job is None or job["TrainingJobStatus"] != TrainingJobStatus.IN_PROGRESS:
        return False
    if owner and JobOwner.from_tags(hook.list_tags(job["TrainingJobArn"])) not in (None, owner):
        return False
    hook.add_tags(job["TrainingJobArn"], {STOPPED_BY_TAG: "airflow"})
    return hook.stop_training_job(job_name)
