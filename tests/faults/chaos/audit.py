"""The table's columns: each a pure function from the evidence to what is wrong, row by row; no rows is the promise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tests.faults.chaos.evidence import Evidence, Job, Run

# Of these a job says nothing about itself: another one of the same release is no duplicate.
_OF_SAGEMAKERS_OWN = ("InternalServerError", "CapacityError", "InsufficientInstanceCapacity")
_ENDED = ("success", "failed")
_JOB_ENDED = ("Completed", "Failed", "Stopped")
# What a task may have become where it never began.
_NEVER_BEGAN = (None, "skipped", "upstream_failed", "removed", "scheduled")
# A release skips what is there for roll-backs, and for trials that the model file asks for.
_OF_OTHER_RUNS = ("roll_back", "decide_trial", "settle_trial")


def duplicate_jobs(evidence: Evidence) -> list[str]:
    """A release trains once, however often its tasks are begun again."""
    wrong = [f"{name} was created {count} times" for name, count in evidence.created.items() if count > 1]
    paid = Counter(job.revision for job in evidence.jobs if not _may_be_followed(job))
    return wrong + [f"revision {revision} has {count} jobs" for revision, count in paid.items() if count > 1]


def _may_be_followed(job: Job) -> bool:
    broke = job.status == "Failed" and job.reason.startswith(_OF_SAGEMAKERS_OWN)
    return broke or (job.status == "Stopped" and job.stopped_for_person)


def lost_uploads(evidence: Evidence) -> list[str]:
    """Every uploaded version has one release, which got to production, was rejected, or names a newer one."""
    wrong = []
    for upload in evidence.uploads:
        runs = [run for run in evidence.runs if (run.prefix, run.version_id) == (upload.prefix, upload.version_id)]
        if len(runs) != 1:
            wrong.append(f"{upload.prefix} version {upload.version_id} has {len(runs)} releases")
        elif runs[0].state in _ENDED and (fault := _fault_of(evidence, runs[0])):
            wrong.append(f"{upload.prefix} {runs[0].run_id}: {fault}")
    return wrong


def _fault_of(evidence: Evidence, run: Run) -> str | None:
    """Say what a release that has ended has come to, if it is none of what it may come to."""
    states = {state for name, state in run.tasks.items() if name not in _OF_OTHER_RUNS}
    if run.state == "success" and states == {"success"}:
        return None
    if run.state == "success" and "skipped" in states:
        return _fault_of_superseded(evidence, run)
    package = evidence.package(run.prefix, run.run_id)
    if run.tasks.get("approve") == "failed" and package and package.status == "Rejected":
        return None
    return f"{run.state} at {', '.join(sorted(name for name, state in run.tasks.items() if state == 'failed'))}"


def _fault_of_superseded(evidence: Evidence, run: Run) -> str | None:
    newer = evidence.run(run.prefix, run.newer) if run.newer else None
    if newer is None:
        return "skipped without a newer release"
    ours, theirs = (evidence.upload(run.prefix, one.version_id) for one in (run, newer))
    if ours is None or theirs is None or not evidence.before(ours.at, theirs.at):
        return f"skipped for {newer.run_id}, which is no newer upload"
    return None


def lost_approvals(evidence: Evidence) -> list[str]:
    """An answer that Airflow or SageMaker has acknowledged is on the model package, as the decision or as too late."""
    wrong = []
    for answer in evidence.answers:
        if not answer.acknowledged:
            continue
        package = evidence.package(answer.prefix, answer.run_id)
        wanted = {"Approve": "Approved", "Reject": "Rejected"}[answer.option]
        if package is None or (package.status != wanted and answer.by not in package.late):
            found = package.status if package else "no package"
            wrong.append(f"{answer.prefix} {answer.run_id}: {answer.option} by {answer.by}, but {found}")
    return wrong


def invented_approvals(evidence: Evidence) -> list[str]:
    """An approval on record was given by the one whom it names."""
    wrong = []
    for package in evidence.packages:
        answers = [
            answer
            for answer in evidence.answers
            if (answer.prefix, answer.run_id, answer.option) == (package.prefix, package.run_id, "Approve")
        ]
        if package.status == "Approved" and package.by not in {answer.by for answer in answers}:
            wrong.append(f"{package.arn} is Approved by {package.by} ({package.how}), who never did")
    return wrong


def unapproved_deploys(evidence: Evidence) -> list[str]:
    """What changes a production stack is a release with an approval on record, from the decision on."""
    wrong = []
    for run in evidence.runs:
        package = evidence.package(run.prefix, run.run_id)
        began = run.tasks.get("deploy_prd") not in _NEVER_BEGAN
        # The task that refuses what nobody has approved has begun, too.
        if run.tasks.get("deploy_prd") == "success" and (package is None or package.status != "Approved"):
            wrong.append(f"{run.prefix} {run.run_id} is in production without an approval")
        elif began and not run.deployed_until:
            wrong.append(f"{run.prefix} {run.run_id} was deployed at an unknown time")
    for stack in evidence.productions:
        windows = [
            (package.at, run.deployed_until)
            for package in evidence.packages
            if package.prefix == stack.prefix
            and package.status == "Approved"
            and (run := evidence.run(package.prefix, package.run_id))
        ]
        wrong += [
            f"{stack.prefix}'s production was changed at {at}, when no approved release was being deployed"
            for at in stack.changes
            if not any(evidence.before(begin, at) and evidence.before(at, end) for begin, end in windows)
        ]
        approved = {one.revision for one in evidence.packages if one.status == "Approved"}
        if stack.revision and stack.revision not in approved:
            wrong.append(f"{stack.prefix}'s production serves {stack.revision}, which nobody has approved")
    return wrong


def stuck(evidence: Evidence) -> list[str]:
    """Nothing is left half way: no run, no stack, no endpoint."""
    runs = [
        f"{run.prefix} {run.run_id} is {run.state}: {_where(run)}" for run in evidence.runs if run.state not in _ENDED
    ]
    return runs + evidence.busy


def _where(run: Run) -> str:
    return ", ".join(f"{name} {state}" for name, state in run.tasks.items() if state not in ("success", None))


def orphan_jobs(evidence: Evidence) -> list[str]:
    """No training job runs that no task waits for."""
    running = [job for job in evidence.jobs if job.status not in _JOB_ENDED]
    waiting = {run.run_id for run in evidence.runs if run.state not in _ENDED}
    return [f"{job.name} is {job.status}" for job in running if job.run_id not in waiting]


def orphan_processes(evidence: Evidence) -> list[str]:
    """No process is left that a killed one had started."""
    return [f"pid {process.pid}: {process.command}" for process in evidence.strays]


COLUMNS: dict[str, Callable[[Evidence], list[str]]] = {
    "duplicate jobs": duplicate_jobs,
    "lost uploads": lost_uploads,
    "lost approvals": lost_approvals,
    "invented approvals": invented_approvals,
    "unapproved production deploys": unapproved_deploys,
    "stuck runs": stuck,
    "orphan jobs": orphan_jobs,
    "orphan processes": orphan_processes,
}


def audit(evidence: Evidence) -> dict[str, list[str]]:
    """:returns: what is wrong, by column"""
    return {name: column(evidence) for name, column in COLUMNS.items()}
