"""The build task: one build for each source, also after crashes."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import TaskDeferred

from slipway.errors import BuildFailed
from slipway.images import build as build_module
from slipway.images.build import BuildImageOperator
from slipway.images.checked import CheckedSource
from slipway.images.failure import build_error
from slipway.images.note import NOTE, BuildNote, BuildStatus, NoteStore, stop_and_note
from slipway.images.wait import BuildTrigger
from slipway.training.owner import JobOwner
from slipway.waiting.results import WaitOutcome, WaitResult
from tests.unit.image_samples import PREFIX, forest_model, image_revision, source_zip
from tests.unit.images.aws import DIGEST, CodeBuild, Documents, Ecr
from tests.unit.request_samples import AWS, BUCKET
from tests.unit.task_runs import context, run_task

DATA = source_zip()
SOURCE = CheckedSource(
    prefix=PREFIX,
    revision=image_revision(DATA),
    digest="ab" * 32,
    bucket=BUCKET,
    key=f"releases/{PREFIX}/images/x/image.zip",
    version_id="copy",
    base_images=("python:3.11-slim",),
    files=2,
    uploader="ada",
)
MARK, SECOND = f"{SOURCE.tag}-1", f"{SOURCE.tag}-2"
# The same bytes in another upload.
AGAIN = replace(SOURCE, revision=image_revision(DATA, "v2"), key=f"releases/{PREFIX}/images/y/image.zip")
PROJECT = f"mlops-buildimage-{PREFIX}"
OWNER = JobOwner("tests", "iris-model", "build", "manual__1")
FIRST = BuildNote.begin(SOURCE, OWNER)
NOTE_KEY = SOURCE.shared_key_of(NOTE)


@pytest.fixture
def codebuild():
    return CodeBuild()


@pytest.fixture
def ecr():
    return Ecr()


@pytest.fixture
def documents():
    return Documents()


@pytest.fixture
def operator(codebuild, ecr, documents, monkeypatch):
    monkeypatch.setattr(build_module, "identity", lambda aws_conn_id: AWS)
    model = forest_model(arguments={"REVISION": "7", "INDEX": "https://e/x"})
    made = BuildImageOperator(task_id="build", model=model, repository=model.image.repository, bounds=model.image.build)
    made.__dict__.update(codebuild=codebuild, ecr=ecr, documents=documents)
    made._last_lines = lambda build: ["the last line"]
    return made


def ctx(source: CheckedSource = SOURCE, **more) -> dict:
    return context({"check_source": source.to_xcom()}, **more)


def ends(codebuild, ecr, status: str = "SUCCEEDED", *, pushes: bool = True):
    """Build a wait after which the build has this status."""

    def wait(trigger):
        assert isinstance(trigger, BuildTrigger)
        codebuild.found[trigger.build_id]["buildStatus"] = status
        if pushes and status == "SUCCEEDED":
            ecr.push(SOURCE.tag)
        outcome = WaitOutcome.REACHED if status == "SUCCEEDED" else WaitOutcome.FAILED
        return WaitResult(outcome, status).to_event().payload

    return wait


def noted(documents, note: BuildNote) -> None:
    _, document = NoteStore(documents, BUCKET, NOTE_KEY).read()
    assert NoteStore(documents, BUCKET, NOTE_KEY).write(note, document)


def test_starts_the_build_of_the_checked_copy_waits_and_reports(operator, codebuild, ecr):
    result = run_task(operator, ctx(), wait=ends(codebuild, ecr))

    assert codebuild.calls("StartBuild") == [MARK]
    assert codebuild.calls("ListBuildsForProject") == []
    (given,) = codebuild.parameters
    assert given["sourceLocationOverride"] == f"{BUCKET}/{SOURCE.key}"
    assert given["sourceVersion"] == "copy"
    registry = "123456789012.dkr.ecr.us-west-2.amazonaws.com"
    assert {one["name"]: one["value"] for one in given["environmentVariablesOverride"]} == {
        "IMAGE": f"{registry}/mlops-{PREFIX}:src-{'ab' * 16}",
        "REGISTRY": registry,
        "BUILD_ARGUMENTS": "--build-arg INDEX=https://e/x --build-arg REVISION=7",
        "SLIPWAY_SOURCE_VERSION": "v1",
        "SLIPWAY_BUILD": MARK,
    }
    assert json.loads(json.dumps(result)) == result
    assert (result["digest"], result["build_id"]) == (DIGEST, f"{PROJECT}:0")


def test_an_image_of_these_bytes_is_the_result_and_nothing_is_built(operator, codebuild, ecr, documents):
    run_task(operator, ctx(), wait=ends(codebuild, ecr))
    codebuild.ledger.clear()
    assert operator.execute(ctx(AGAIN, run_id="manual__2"))["build_id"] is None
    assert codebuild.ledger == []


def test_two_uploads_of_the_same_bytes_at_the_same_time_are_one_build(operator, codebuild, ecr, documents):
    with pytest.raises(TaskDeferred) as first:
        operator.execute(ctx())
    with pytest.raises(TaskDeferred) as second:
        operator.execute(ctx(AGAIN, run_id="manual__2"))
    assert first.value.trigger.build_id == second.value.trigger.build_id
    # Whoever fails the first run ends its wait only.
    notes = NoteStore(documents, *first.value.trigger.note)
    assert not stop_and_note(codebuild, notes, f"{PROJECT}:0", None, first.value.trigger.owner)
    event = ends(codebuild, ecr)(second.value.trigger)
    results = [operator.resume(ctx(AGAIN, run_id="manual__2"), event), operator.resume(ctx(), event)]
    assert [(one["digest"], one["build_id"]) for one in results] == [(DIGEST, f"{PROJECT}:0")] * 2
    assert codebuild.calls("StartBuild") == [MARK]


def test_a_build_that_fails_is_the_end_of_each_upload_that_has_waited_for_it(operator, codebuild, ecr):
    with pytest.raises(TaskDeferred):
        operator.execute(ctx())
    with pytest.raises(BuildFailed):
        run_task(operator, ctx(AGAIN, run_id="manual__2"), wait=ends(codebuild, ecr, "FAILED"))
    with pytest.raises(BuildFailed):
        operator.execute(ctx())
    assert codebuild.calls("StartBuild") == [MARK]


def test_what_was_started_and_not_noted_is_started_alike_for_another_upload(operator, codebuild, ecr, documents):
    """CodeBuild refuses a token that comes with other parameters."""
    noted(documents, FIRST)
    run_task(operator, ctx(AGAIN, run_id="manual__2"), wait=ends(codebuild, ecr))
    (given,) = codebuild.parameters
    assert given["sourceLocationOverride"] == f"{BUCKET}/{SOURCE.key}"
    assert given["idempotencyToken"] == MARK


@pytest.mark.parametrize("forgotten", [False, True])
def test_another_upload_of_bytes_whose_build_has_failed_is_built_from_its_own_copy(operator, codebuild, ecr, forgotten):
    with pytest.raises(BuildFailed):
        run_task(operator, ctx(), wait=ends(codebuild, ecr, "FAILED"))
    if forgotten:
        codebuild.found.clear()
    assert run_task(operator, ctx(AGAIN, run_id="manual__2"), wait=ends(codebuild, ecr))["digest"] == DIGEST
    assert codebuild.calls("StartBuild") == [MARK, SECOND]
    assert codebuild.parameters[-1]["sourceLocationOverride"] == f"{BUCKET}/{AGAIN.key}"


def test_an_image_that_was_removed_is_named_where_its_own_run_is_cleared(operator, codebuild, ecr):
    run_task(operator, ctx(), wait=ends(codebuild, ecr))
    ecr.images.clear()
    with pytest.raises(BuildFailed, match="The image of the build has gone") as failure:
        operator.execute(ctx())
    assert DIGEST in failure.value.why
    assert "New attempt" in failure.value.fix
    assert codebuild.calls("StartBuild") == [MARK]


def test_an_image_that_was_there_before_the_build_is_not_its_image(operator, codebuild, ecr):
    """Pushed by hand, or by what another Dockerfile runs: the tag of a source that somebody else uploads later."""
    ecr.push(SOURCE.tag, "sha256:" + "e" * 64)
    with pytest.raises(BuildFailed, match="has an image that its build has not pushed") as failure:
        run_task(operator, ctx(), wait=ends(codebuild, ecr, "FAILED"))
    assert f"imageTag={SOURCE.tag}" in failure.value.fix
    assert codebuild.calls("StartBuild") == [MARK]


def test_an_image_that_has_taken_the_place_of_the_built_one_is_not_the_sources(operator, codebuild, ecr):
    run_task(operator, ctx(), wait=ends(codebuild, ecr))
    ecr.push(SOURCE.tag, "sha256:" + "e" * 64, datetime.now(UTC))
    with pytest.raises(BuildFailed, match="has an image that its build has not pushed"):
        operator.execute(ctx())


def test_an_image_that_was_removed_is_built_again_and_may_be_another(operator, codebuild, ecr):
    run_task(operator, ctx(), wait=ends(codebuild, ecr))
    ecr.images.clear()
    other = "sha256:" + "2" * 64

    def wait(trigger):
        ecr.push(SOURCE.tag, other, datetime.now(UTC))
        return ends(codebuild, ecr, pushes=False)(trigger)

    assert run_task(operator, ctx(AGAIN, run_id="manual__2"), wait=wait)["digest"] == other


def test_a_build_that_was_started_and_not_noted_is_found_by_its_mark(operator, codebuild, ecr, documents):
    noted(documents, FIRST)
    codebuild.add(f"{PROJECT}:other", "another-1")
    codebuild.add(f"{PROJECT}:ours", MARK)
    assert run_task(operator, ctx(), wait=ends(codebuild, ecr))["build_id"] == f"{PROJECT}:ours"
    assert codebuild.calls("StartBuild") == []


def test_a_build_that_was_noted_and_not_started_is_started(operator, codebuild, ecr, documents):
    noted(documents, FIRST)
    run_task(operator, ctx(), wait=ends(codebuild, ecr))
    assert codebuild.calls("StartBuild") == [MARK]


def test_another_run_that_adopts_the_build_says_so(operator, codebuild, documents):
    with pytest.raises(TaskDeferred):
        operator.execute(ctx())
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(ctx(run_id="manual__2"))
    note, _ = NoteStore(documents, BUCKET, NOTE_KEY).read()
    assert note.owner.run_id == deferral.value.trigger.owner.run_id == "manual__2"
    assert codebuild.calls("StartBuild") == [MARK]


def test_the_wait_lasts_as_long_as_the_build_may_and_the_margin(operator, codebuild):
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(ctx())
    (build,) = codebuild.found.values()
    # 30 minutes in the queue, 30 for the build, 10 beside them.
    assert deferral.value.trigger.deadline == build["startTime"].timestamp() + 70 * 60


def test_a_build_beyond_its_deadline_is_stopped(operator, codebuild, documents):
    noted(documents, replace(FIRST, build_id=f"{PROJECT}:0"))
    codebuild.add(f"{PROJECT}:0", MARK, startTime=datetime.now(UTC) - timedelta(hours=2), currentPhase="BUILD")
    with pytest.raises(BuildFailed, match="did not end within 4200 s and was stopped"):
        operator.execute(ctx())
    assert codebuild.calls("StopBuild") == [f"{PROJECT}:0"]


PHASES = [
    {"phaseType": "PRE_BUILD", "phaseStatus": "SUCCEEDED"},
    {"phaseType": "BUILD", "phaseStatus": "FAILED", "contexts": [{"message": "exit status 1"}]},
    {"phaseType": "COMPLETED"},
]


@pytest.mark.parametrize(
    ("status", "what", "fix"),
    [
        ("FAILED", "The build has failed", "correct what the last lines name"),
        ("TIMED_OUT", "has reached its time limit", "timeout_minutes"),
        ("STOPPED", "Somebody has stopped the build", "New attempt"),
        ("SUCCEEDED", "has succeeded and has left no image", "slipway bootstrap"),
    ],
)
def test_an_end_without_an_image_fails_with_phase_log_and_fix(operator, codebuild, ecr, documents, status, what, fix):
    def wait(trigger):
        codebuild.found[trigger.build_id]["phases"] = PHASES
        return ends(codebuild, ecr, status, pushes=False)(trigger)

    with pytest.raises(BuildFailed, match=what) as failure:
        run_task(operator, ctx(), wait=wait)
    assert failure.value.why.splitlines() == [
        "phase BUILD: exit status 1",
        "The last lines of its log:",
        "the last line",
    ]
    assert fix in failure.value.fix
    # Nothing is tried again by a retry or by the same run.
    with pytest.raises(BuildFailed):
        operator.execute(ctx())
    assert codebuild.calls("StartBuild") == [MARK]


def test_an_image_counts_whatever_became_of_the_build(operator, codebuild, ecr):
    def wait(trigger):
        ecr.push(SOURCE.tag, pushed_at=datetime.now(UTC))
        return ends(codebuild, ecr, "FAILED")(trigger)

    assert run_task(operator, ctx(), wait=wait)["digest"] == DIGEST


def test_an_error_of_codebuild_is_tried_three_times(operator, codebuild, ecr):
    with pytest.raises(BuildFailed, match="an error of CodeBuild's own"):
        run_task(operator, ctx(), wait=ends(codebuild, ecr, "FAULT"))
    assert codebuild.calls("StartBuild") == [f"{SOURCE.tag}-{number}" for number in (1, 2, 3)]


def test_a_task_that_airflow_has_stopped_builds_again_when_it_is_cleared(operator, codebuild, ecr, documents):
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(ctx())
    notes = NoteStore(documents, *deferral.value.trigger.note)
    assert stop_and_note(codebuild, notes, f"{PROJECT}:0", None, OWNER)
    codebuild.found[f"{PROJECT}:0"]["buildStatus"] = "STOPPED"
    assert run_task(operator, ctx(), wait=ends(codebuild, ecr))["build_id"] == f"{PROJECT}:1"
    assert codebuild.calls("StartBuild") == [MARK, SECOND]


def test_a_build_that_codebuild_has_forgotten_is_an_error_with_a_fix(operator, codebuild, documents):
    noted(documents, replace(FIRST, build_id=f"{PROJECT}:gone"))
    with pytest.raises(BuildFailed, match="The build has gone"):
        operator.execute(ctx())
    assert codebuild.calls("StartBuild") == []


def test_the_reason_is_the_first_phase_and_what_the_command_has_written():
    """CodeBuild writes a dozen lines of its own behind the command, and a later phase fails because of the first."""
    later = {"phaseType": "UPLOAD_ARTIFACTS", "phaseStatus": "FAILED", "contexts": [{"message": "no matching paths"}]}
    lines = ["ERROR: no such package", "[Container] 2026/11/30 02:41:00 Phase complete: BUILD State: FAILED"]
    error = build_error(BuildStatus.FAILED, {"id": "p:1", "phases": [*PHASES, later]}, lines)
    assert error.why.splitlines() == [
        "phase BUILD: exit status 1",
        "The last lines of its log:",
        "ERROR: no such package",
    ]
