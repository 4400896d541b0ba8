"""Every task of an image's build killed at each of its calls to AWS; the ledger says what was done twice."""

import contextlib
import json
from collections import Counter

import pytest
from airflow.sdk.exceptions import TaskDeferred

from slipway.images.checked import CheckedSource
from slipway.images.note import MARK, NOTE
from tests.faults.crashes import Crashes, Waits, attempt, kill_at_each_place, kill_everywhere
from tests.faults.image_builds import KEY, REPOSITORY, TASKS, make_builder, tasks, upload
from tests.faults.releases import Run
from tests.unit.image_samples import forest_model, source_zip
from tests.unit.request_samples import BUCKET

pytestmark = pytest.mark.local_aws

MODEL = forest_model()


@pytest.fixture(scope="module")
def crashes(aws, every_kill):
    """What kills."""
    make_builder(aws)
    with pytest.MonkeyPatch.context() as patch:
        yield Crashes.install(patch, every=every_kill)


def begun(aws, name: str, data: bytes, *, until: str = "build") -> Run:
    """A run of an upload, up to a task."""
    run = Run(name, upload(aws, data), key=KEY)
    for task_id in TASKS[: TASKS.index(until)]:
        run.xcoms[task_id] = tasks(MODEL)[task_id]().execute(run.context(task_id))
    return run


@pytest.fixture(scope="module")
def killed(aws, crashes) -> tuple[Run, dict]:
    """A source taken to its record, every task killed wherever it can be; and how often each was killed."""
    run, waits, kills = Run("s3__killed", upload(aws, source_zip()), key=KEY), Waits(crashes), {}
    for task_id in TASKS:
        ctx, before, make = run.context(task_id), crashes.kills, tasks(MODEL)[task_id]

        def once(make=make, ctx=ctx):
            return attempt(crashes, make, ctx, waits)

        run.xcoms[task_id] = kill_everywhere(crashes, once)
        assert once() == run.xcoms[task_id]
        kills[task_id] = crashes.kills - before
    return run, kills


def test_a_source_killed_everywhere_is_built_once_and_recorded(aws, killed, record_property):
    run, kills = killed
    for task_id, count in kills.items():
        record_property(f"kills of {task_id}", count)
    assert all(kills.values())
    started = {call["resource"] for call in aws.ledger(operation="StartBuild", outcome="ok")}
    assert len(started) == 1
    assert aws.client("codebuild").list_builds()["ids"] == [run.xcoms["build"]["build_id"]]
    assert aws.ledger(operation="StopBuild") == []
    images = aws.client("ecr").describe_images(repositoryName=REPOSITORY)["imageDetails"]
    assert [image["imageTags"] for image in images] == [[run.xcoms["build"]["tag"]]]
    assert run.xcoms["record"]["digest"] == images[0]["imageDigest"]
    assert run.xcoms["record"]["newest"]
    assert run.xcoms["record"]["packages"] > 0


def test_the_same_bytes_in_another_version_are_not_built_again(aws, killed):
    run, _ = killed
    again = begun(aws, "s3__again", source_zip())
    built = tasks(MODEL)["build"]().execute(again.context("build"))
    assert built["digest"] == run.xcoms["build"]["digest"]
    assert built["build_id"] is None
    assert len(aws.client("codebuild").list_builds()["ids"]) == 1


def test_a_build_is_started_once_wherever_the_first_two_attempts_end(aws, crashes, killed, record_property):
    """Each place on a source of its own: what follows a kill is a whole, undisturbed retry."""
    marks, before = [], crashes.kills

    def fresh():
        run = begun(aws, f"s3__{len(marks)}", source_zip(files={"number.txt": str(len(marks))}))
        marks.append(f"{CheckedSource.from_xcom(run.xcoms['check_source']).tag}-1")

        def once():
            # Up to the wait; a later attempt may find that the build has ended meanwhile.
            with contextlib.suppress(TaskDeferred):
                tasks(MODEL)["build"]().execute(run.context("build"))

        return once

    kill_at_each_place(crashes, fresh)
    record_property(f"kills of build on {len(marks)} sources", crashes.kills - before)
    codebuild = aws.client("codebuild")
    ids = [one for page in codebuild.get_paginator("list_builds").paginate() for one in page["ids"]]
    started = Counter(
        variable["value"]
        for at in range(0, len(ids), 100)
        for build in codebuild.batch_get_builds(ids=ids[at : at + 100])["builds"]
        for variable in build["environment"]["environmentVariables"]
        if variable["name"] == MARK
    )
    assert {mark: started[mark] for mark in marks} == dict.fromkeys(marks, 1)


def test_every_build_of_a_killed_run_has_ended_or_is_still_waited_for(aws, crashes, killed):
    """None is forgotten: each that runs has a note that names the task which waits for it."""
    run, _ = killed
    key = CheckedSource.from_xcom(run.xcoms["check_source"]).shared_key_of(NOTE)
    note = aws.client("s3").get_object(Bucket=BUCKET, Key=key)
    kept = json.loads(note["Body"].read())
    assert kept["build_id"] == run.xcoms["build"]["build_id"]
    assert (kept["number"], kept["owner"]["run_id"], kept["stopped"]) == (1, "s3__killed", False)
