"""Which task of which Airflow waits for a training job, written on the job itself, and whether it still does."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import quote, unquote

from airflow.sdk import Variable
from airflow.utils.state import State, TaskInstanceState

from slipway.host import runs
from slipway.states import TrainingJobStatus

if TYPE_CHECKING:
    from slipway.aws.sagemaker import SageMakerHook

# Put on a job before it is stopped for a person, so that a cleared task knows it may train again.
STOPPED_BY_TAG = "slipway:stopped-by"
_TAGS = {"airflow": "slipway:airflow", "dag_id": "slipway:dag", "task_id": "slipway:task", "run_id": "slipway:run"}

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Tag.html
_TAG_VALUE_MAX_CHARS = 256
_TAG_VALUE_SAFE = "_.:/+-@ "

# The variable that tells this Airflow from any other that works in the same AWS account. It lives in the metadata
# database, as the runs do that the tags name.
INSTANCE_VARIABLE = "slipway_airflow_id"


@dataclass(frozen=True)
class JobOwner:
    """The task that waits for a training job.

    :param airflow: ``airflow_id()`` of the Airflow whose task it is
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

        :returns: values by key; none where a run id is too long for a tag, so that nothing is ever taken for its job
        """
        tags = {key: _escape(getattr(self, field)) for field, key in _TAGS.items()}
        return tags if all(len(value) <= _TAG_VALUE_MAX_CHARS for value in tags.values()) else {}

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> Self | None:
        """:param tags: a job's tags; :returns: the owner they name, if they do"""
        if not all(tags.get(key) for key in _TAGS.values()):
            return None
        return cls(**{field: _unescape(tags[key]) for field, key in _TAGS.items()})

    @property
    def task(self) -> tuple[str, str, str]:
        """Task, DAG and run, for a log."""
        return self.task_id, self.dag_id, self.run_id

    def to_json(self) -> dict[str, str]:
        """:returns: plain JSON"""
        return asdict(self)


def airflow_id() -> str | None:
    """:returns: what tells this Airflow from others; None before it has trained anything"""
    found: Any = Variable.get(INSTANCE_VARIABLE, default=None)
    return found


def ensure_airflow_id() -> str:
    """Name this Airflow unless it has a name.

    Two tasks that do so at once may put different names on their jobs. The one whose name does not last is then never
    taken for an orphan: it is stopped by its trigger alone.

    :returns: the name
    """
    if not airflow_id():
        Variable.set(INSTANCE_VARIABLE, uuid.uuid4().hex, description="Marks the training jobs of this Airflow")
    return Variable.get(INSTANCE_VARIABLE)


class TaskStates(Protocol):
    """What has to be known about tasks and runs."""

    def task_state(self, owner: JobOwner) -> str | None:
        """:returns: the task's state; ``removed`` if there is no such task"""

    def run_is_open(self, owner: JobOwner) -> bool:
        """:returns: whether the run exists and has not ended"""


class AirflowTasks:
    """Asks Airflow through the channel of the task or trigger that runs, which needs no credential."""

    def task_state(self, owner: JobOwner) -> str | None:
        """:returns: the task's state; ``removed`` if there is no such task"""
        return runs.task_state(owner.dag_id, owner.run_id, owner.task_id)

    def run_is_open(self, owner: JobOwner) -> bool:
        """:returns: whether the run exists and has not ended"""
        return runs.goes_on(owner.dag_id, owner.run_id)


def has_ended(task_state: str | None, *, run_is_open: bool) -> bool:
    """Judge whether a task waits for its job no more, now or after a retry.

    A task whose worker or triggerer was lost is running, deferred or up for retry: its job runs on.

    :param task_state: the task's state; None before it is scheduled
    :param run_is_open: whether its run exists and has not ended
    """
    finished = task_state is not None and TaskInstanceState(task_state) in State.finished
    return finished or not run_is_open


def waits(owner: JobOwner, tasks: TaskStates) -> bool:
    """:returns: whether the owner of a job still waits for it"""
    return not has_ended(tasks.task_state(owner), run_is_open=tasks.run_is_open(owner))


def stop_for_person(hook: SageMakerHook, job_name: str, owner: JobOwner | None = None) -> bool:
    """Stop a job that runs, marked so that its task, when it is cleared, trains again.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html

    :param hook: SageMaker
    :param job_name: the job
    :param owner: whose job it has to be; a job that another run has adopted is left alone
    :returns: whether it ran and was stopped
    :raises slipway.errors.AwsError: when a call fails
    """
    job = hook.describe_training_job(job_name)
    if job is None or job["TrainingJobStatus"] != TrainingJobStatus.IN_PROGRESS:
        return False
    if owner and JobOwner.from_tags(hook.list_tags(job["TrainingJobArn"])) not in (None, owner):
        return False
    hook.add_tags(job["TrainingJobArn"], {STOPPED_BY_TAG: "airflow"})
    return hook.stop_training_job(job_name)


def _escape(text: str) -> str:
    """Quote what a tag's value may not hold, with = in place of %: run ids may have ~ in them."""
    return quote(text, safe=_TAG_VALUE_SAFE).replace("~", "%7E").replace("%", "=")


def _unescape(value: str) -> str:
    return unquote(value.replace("=", "%"))
