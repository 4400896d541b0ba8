"""Each column of chaos' table can be other than zero: one story for each thing that must not happen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.chaos.audit import COLUMNS, audit
from tests.faults.chaos.evidence import Answer, Evidence, Job, Package, Process, Production, Run, Upload

IRIS = "iris-model"
TASKS = ("source", "train", "register", "deploy_dev", "approve", "deploy_prd", "test_prd")
# A release without a trial, which is no roll-back.
DONE: dict[str, str | None] = dict.fromkeys(TASKS, "success") | {"roll_back": "skipped", "settle_trial": "skipped"}

UPLOADS = [Upload(IRIS, "v1", "2026-01-01T10:00:00"), Upload(IRIS, "v2", "2026-01-01T10:10:00")]
FIRST = Run(IRIS, "r1", "v1", "success", DONE, deployed_until="2026-01-01T10:06:00")
REJECTED = Run(IRIS, "r2", "v2", "failed", DONE | {"approve": "failed", "deploy_prd": "upstream_failed"})
APPROVED = Package("arn/1", IRIS, "rev1", "r1", "Approved", "alice", "Airflow", "2026-01-01T10:05:00")
REFUSED = Package("arn/2", IRIS, "rev2", "r2", "Rejected", "carol", "Airflow", "2026-01-01T10:15:00")
JOBS = [Job("j1", "rev1", "r1", "Completed"), Job("j2", "rev2", "r2", "Completed")]
ANSWERS = [Answer(IRIS, "r1", "Approve", "alice", True), Answer(IRIS, "r2", "Reject", "carol", True)]

# Two releases, one in production, one rejected; nothing is wrong.
WELL = Evidence(
    uploads=UPLOADS,
    answers=ANSWERS,
    runs=[FIRST, REJECTED],
    packages=[APPROVED, REFUSED],
    jobs=JOBS,
    productions=[Production(IRIS, "CREATE_COMPLETE", "rev1", ("2026-01-01T10:05:30",))],
    created={"j1": 1, "j2": 1},
)


def superseded(newer: str | None) -> Run:
    tasks = DONE | dict.fromkeys(("approve", "deploy_prd", "test_prd"), "skipped")
    return replace(FIRST, tasks=tasks, newer=newer, deployed_until="")


def jobs(**changes: object) -> list[Job]:
    return [replace(JOBS[0], **changes), replace(JOBS[0], name="j1-2"), JOBS[1]]


STORIES = {
    "duplicate jobs": [
        replace(WELL, created={"j1": 2, "j2": 1}),
        replace(WELL, jobs=jobs()),
        replace(WELL, jobs=jobs(status="Failed", reason="AlgorithmError: no data")),
        replace(WELL, jobs=jobs(status="Stopped")),
    ],
    "lost uploads": [
        replace(WELL, uploads=[*UPLOADS, Upload(IRIS, "v3", "2026-01-01T11:00:00")]),
        replace(WELL, runs=[FIRST, REJECTED, replace(FIRST, run_id="r3")]),
        replace(WELL, runs=[FIRST, replace(REJECTED, tasks=DONE | {"train": "failed"})]),
        replace(WELL, runs=[FIRST, replace(REJECTED, tasks=DONE | {"test_prd": "failed"})]),
        replace(WELL, runs=[superseded(None), REJECTED]),
        replace(WELL, runs=[superseded("r1"), REJECTED, FIRST]),
        # Overtaken by an older one.
        replace(WELL, runs=[superseded("r2"), REJECTED], uploads=[replace(UPLOADS[0], at="2027"), UPLOADS[1]]),
    ],
    "lost approvals": [
        replace(WELL, packages=[replace(APPROVED, status="PendingManualApproval"), REFUSED]),
        replace(WELL, packages=[APPROVED, replace(REFUSED, status="Approved")]),
        replace(WELL, packages=[APPROVED]),
    ],
    "invented approvals": [
        replace(WELL, answers=ANSWERS[1:]),
        replace(WELL, packages=[replace(APPROVED, by="bob"), REFUSED]),
        replace(WELL, packages=[APPROVED, replace(REFUSED, status="Approved")]),
    ],
    "unapproved production deploys": [
        replace(WELL, packages=[replace(APPROVED, status="Rejected"), REFUSED]),
        replace(WELL, productions=[Production(IRIS, "CREATE_COMPLETE", "rev2")]),
        replace(WELL, productions=[Production(IRIS, "CREATE_COMPLETE", "rev1", ("2026-01-01T10:04:59",))]),
        replace(WELL, productions=[Production(IRIS, "CREATE_COMPLETE", "rev1", ("2026-01-01T10:06:01",))]),
        replace(WELL, runs=[replace(FIRST, deployed_until=""), REJECTED]),
    ],
    "stuck runs": [
        replace(WELL, runs=[FIRST, replace(REJECTED, state="running")]),
        replace(WELL, busy=["stack s is UPDATE_IN_PROGRESS"]),
    ],
    "orphan jobs": [replace(WELL, jobs=[replace(JOBS[0], status="InProgress"), JOBS[1]])],
    "orphan processes": [replace(WELL, strays=[Process(7, "airflow worker")])],
}


def test_nothing_is_wrong_where_nothing_is():
    assert audit(WELL) == {name: [] for name in COLUMNS}


@pytest.mark.parametrize(("column", "story"), [(name, story) for name, stories in STORIES.items() for story in stories])
def test_each_column_sees_what_it_is_for(column, story):
    assert COLUMNS[column](story)


def test_every_column_has_a_story():
    assert STORIES.keys() == COLUMNS.keys()


def test_times_of_two_clocks_are_compared_as_far_as_the_clocks_can_tell():
    column = COLUMNS["unapproved production deploys"]
    changed = replace(WELL, productions=[Production(IRIS, "CREATE_COMPLETE", "rev1", ("2026-01-01T10:06:50",))])
    assert column(changed)
    assert not column(replace(changed, clocks_apart_seconds=60))
    late = Production(IRIS, "CREATE_COMPLETE", "rev1", ("2026-01-01T10:07:01",))
    assert column(replace(changed, productions=[late], clocks_apart_seconds=60))


@pytest.mark.parametrize(
    "story",
    [
        # SageMaker's own failures, and jobs that ended with a task that was cleared.
        replace(WELL, jobs=jobs(status="Failed", reason="InternalServerError: try again")),
        replace(WELL, jobs=jobs(status="Stopped", stopped_for_person=True)),
        # Overtaken by a newer upload, with or without an answer that came too late.
        replace(
            WELL,
            runs=[superseded("r2"), REJECTED],
            packages=[replace(APPROVED, status="Rejected", late="alice"), REFUSED],
            productions=[Production(IRIS, "", "")],
        ),
        # Nobody was told that the answer had been heard, and it was not.
        replace(WELL, answers=[*ANSWERS, Answer(IRIS, "r2", "Approve", "alice", False)]),
        # It goes on, and its task still waits for its job.
        replace(
            WELL,
            runs=[FIRST, replace(REJECTED, state="running")],
            jobs=[JOBS[0], replace(JOBS[1], status="InProgress")],
            packages=[APPROVED],
            answers=ANSWERS[:1],
        ),
    ],
)
def test_what_may_happen_is_not_taken_for_wrong(story):
    found = audit(story)
    del found["stuck runs"]
    assert found == {name: [] for name in found}
