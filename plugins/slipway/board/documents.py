"""What the board's API answers. ``openapi.json`` is made from this, and the types of ui/ from that."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel

from slipway.board.parts import Part
from slipway.board.served import Costs, Served, Survey
from slipway.board.stages import StageName, StageState


class Need(StrEnum):
    """What a model's newest release needs, the most urgent first."""

    DECISION = "decision"
    FAILED = "failed"
    RUNNING = "running"
    DONE = "done"


class Order(StrEnum):
    """How the models are sorted."""

    NEED = "need"
    MODEL = "model"
    NEWEST = "newest"


class Failure(BaseModel):
    """Why a task failed or was skipped, in four parts."""

    run_id: str
    task_id: str
    at: datetime | None
    kind: str
    what: str
    where: str | None = None
    why: str | None = None
    fix: str | None = None
    skipped: bool = False


class Stage(BaseModel):
    """The newest release that has reached a stage.

    ``version`` is the number of the model package; a release that has none yet is known by ``uploaded_at``.
    """

    stage: StageName
    state: StageState
    run_id: str | None = None
    version: str | None = None
    uploaded_at: str | None = None
    since: datetime | None = None
    task_id: str | None = None
    waits_for: str | None = None
    failure: Failure | None = None


class Option(BaseModel):
    """A button: what it does, and why the caller may not press it."""

    name: str
    effect: str
    refusal: str | None = None


class Figure(BaseModel):
    """A number of the new model beside that of the live one."""

    name: str
    new: str
    live: str | None = None
    gate: str | None = None
    passed: bool | None = None


class Content(BaseModel):
    """A text of a release's zip beside that of the live one; null where a zip has none."""

    part: str
    name: str
    new: str | None
    live: str | None


class Comparison(BaseModel):
    """What is in a release's zip, and what of it differs from the live one.

    ``live_version`` is null where nothing is compared; ``why_not`` then says why.
    """

    contents: list[Content]
    live_version: str | None
    same_zip: bool
    why_not: str | None


class Link(BaseModel):
    """A page of AWS's console, or of the one that the connection names."""

    task_id: str
    name: str
    url: str


class Decision(BaseModel):
    """A question that waits for a person; ``changes`` has what differs from the live zip."""

    run_id: str
    task_id: str
    map_index: int
    subject: str
    effect: str
    version: str | None
    live_version: str | None
    asked_at: datetime | None
    ends_at: datetime | None
    waits_for: str
    uploader: str | None
    approvals: list[str]
    options: list[Option]
    figures: list[Figure]
    changes: Comparison | None


class Live(BaseModel):
    """What a deployment of Slipway's put into an environment last; ``links`` are only on the model's own page."""

    environment: str
    run_id: str
    version: str | None
    since: datetime | None
    links: list[Link]


class Row(BaseModel):
    """One model; ``production`` names the versions that production serves, with their shares if there are several."""

    model: str
    need: Need
    paused: bool
    newest_run_id: str | None
    newest_at: datetime | None
    stages: list[Stage]
    live: list[Live]
    production: str | None
    served: list[Served]
    decisions: list[Decision]
    failure: Failure | None


class Counts(BaseModel):
    """How many models there are of each need, whatever page is shown."""

    decision: int = 0
    failed: int = 0
    running: int = 0
    done: int = 0


class Releases(BaseModel):
    """A page of models."""

    models: list[Row]
    total: int
    counts: Counts
    survey: Survey
    costs: Costs
    at: datetime
    user: str


class Task(BaseModel):
    """A task of a release, for the timeline; ``aws_seconds`` is how long it waited for AWS, where that is known.

    ``parts`` is empty where Airflow's event log has been cleaned.
    """

    task_id: str
    stage: StageName | None
    state: str | None
    started: datetime | None
    ended: datetime | None
    tries: int
    aws_seconds: float | None
    parts: list[Part]


class Decided(BaseModel):
    """A decision that was taken."""

    task_id: str
    decision: str
    by: str
    at: str | None
    how: str
    comment: str
    approvals: list[str]


class Fact(BaseModel):
    """A line of what is in a release."""

    name: str
    value: str


class Release(BaseModel):
    """One release, or one roll-back; ``production`` names the versions that production serves, as in a row.

    ``trace_id`` is null unless Airflow sends the run's trace.
    """

    model: str
    run_id: str
    state: str
    version: str | None
    name: str | None = None
    rolled_back_by: str | None
    is_live: bool
    production: str | None
    started: datetime | None
    ended: datetime | None
    failures: list[Failure]
    stages: list[Stage]
    decisions: list[Decision]
    decided: list[Decided]
    figures: list[Figure]
    facts: list[Fact]
    comparison: Comparison
    links: list[Link]
    tasks: list[Task]
    trace_id: str | None
    at: datetime
    user: str


class PastRelease(BaseModel):
    """A line of a model's releases; ``live_share`` is its share of the requests while another one is live beside it."""

    run_id: str
    state: str
    started: datetime | None
    ended: datetime | None
    version: str | None
    name: str | None = None
    rolls_back: bool
    started_by: str | None
    decided: list[Decided]
    reached_production_at: datetime | None
    package_arn: str | None
    is_live: bool
    live_share: float | None
    roll_back_refusal: str | None
    failure: Failure | None
    measured: dict[str, float]


class PastReleases(BaseModel):
    """A page of a model's releases, the newest first."""

    releases: list[PastRelease]
    total: int
    at: datetime


class Model(BaseModel):
    """One model: its row, and who may roll it back."""

    row: Row
    survey: Survey
    costs: Costs
    description: str | None
    builds_image: bool
    approvers: list[str]
    may_roll_back: bool
    roll_back_refusal: str | None
    at: datetime
    user: str


class Problem(BaseModel):
    """Why a request was refused, as a sentence."""

    detail: str
