"""What the audit looks at: plain facts, gathered from the call ledger, S3, the Model Registry and Airflow's API."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True)
class Upload:
    """A version of a model's zip.

    :param at: S3's LastModified; ISO 8601
    """

    prefix: str
    version_id: str
    at: str


@dataclass(frozen=True)
class Answer:
    """What somebody answered to a release, or was about to: a killed API server may have heard it and not said so.

    :param option: Approve or Reject
    :param by: the user; the caller's ARN or empty where it came by UpdateModelPackage
    :param acknowledged: whether the answer was received
    """

    prefix: str
    run_id: str
    option: str
    by: str
    acknowledged: bool


@dataclass(frozen=True)
class Run:
    """A run of a model's DAG.

    :param tasks: state by task id; None for a task that has not been scheduled
    :param newer: run id of the release that has taken this one's place, if a task names one
    :param deployed_until: when deploy_prd ended, or the end of time while it has not; empty if it never began
    """

    prefix: str
    run_id: str
    version_id: str
    state: str
    tasks: dict[str, str | None]
    newer: str | None = None
    deployed_until: str = ""


@dataclass(frozen=True)
class Package:
    """A model package.

    :param status: ModelApprovalStatus
    :param at: when it was decided; ISO 8601; empty while it is not
    :param late: an answer that came after the decision, as the package keeps it
    """

    arn: str
    prefix: str
    revision: str
    run_id: str
    status: str
    by: str = ""
    how: str = ""
    at: str = ""
    late: str = ""


@dataclass(frozen=True)
class Job:
    """A training job.

    :param revision: the release's
    :param stopped_for_person: whether its task was failed or cleared, so that another job was due
    """

    name: str
    revision: str
    run_id: str
    status: str
    reason: str = ""
    stopped_for_person: bool = False


@dataclass(frozen=True)
class Production:
    """A production stack as it is at the end.

    :param changes: when a change set was executed on it; ISO 8601, from the ledger
    """

    prefix: str
    status: str
    revision: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Process:
    """A process of the instance that nobody is responsible for."""

    pid: int
    command: str


@dataclass(frozen=True)
class Evidence:
    """Everything, once nothing moves any more."""

    uploads: list[Upload] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    packages: list[Package] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    productions: list[Production] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    strays: list[Process] = field(default_factory=list)
    # CreateTrainingJob's that were answered ok, by job name.
    created: dict[str, int] = field(default_factory=dict)
    # How far the clocks that wrote the times above may have been apart.
    clocks_apart_seconds: int = 0

    def run(self, prefix: str, run_id: str) -> Run | None:
        """:returns: the run of this id"""
        return next((run for run in self.runs if (run.prefix, run.run_id) == (prefix, run_id)), None)

    def package(self, prefix: str, run_id: str) -> Package | None:
        """:returns: the model package of a run, which has at most one"""
        return next((one for one in self.packages if (one.prefix, one.run_id) == (prefix, run_id)), None)

    def before(self, earlier: str, later: str) -> bool:
        """:returns: whether a time is not after another, as far as the clocks can tell; ISO 8601"""
        if earlier <= later or not self.clocks_apart_seconds:
            return earlier <= later
        apart = timedelta(seconds=self.clocks_apart_seconds)
        return datetime.fromisoformat(earlier) - apart <= datetime.fromisoformat(later)

    def upload(self, prefix: str, version_id: str) -> Upload | None:
        """:returns: the upload of a version"""
        return next((one for one in self.uploads if (one.prefix, one.version_id) == (prefix, version_id)), None)


Row = dict[str, Any]
