"""The part of a life that is about container images: one is built, and a build that nobody waits for is stopped."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from slipway.aws.codebuild import CodeBuildHook
from slipway.aws.documents import S3Documents
from slipway.aws.s3 import bucket_and_key
from slipway.images.checked import CheckedSource
from slipway.images.note import NOTE
from slipway.images.orphans import BuildSearch
from slipway.images.reaper import reap
from slipway.images.wait import BuildTrigger
from slipway.source.intake import WatchedBucket, take_in
from slipway.source.versions import S3Versions
from tests.faults.image_builds import REPOSITORY, TASKS, tasks
from tests.faults.releases import Run
from tests.local_aws.server import LocalAws
from tests.unit.image_samples import DOCKERFILE, KEY, PREFIX, forest_model, source_zip
from tests.unit.request_samples import BUCKET
from tests.unit.scripted_aws import MemoryStore
from tests.unit.task_runs import first_event, run_task

# The clocks of a life go sixty times as fast, and a build takes its time.
MODEL = forest_model(timeout_minutes=480)


class KilledError(Exception):
    """The task ends here."""


class FailedTasks:
    """Every task has ended."""

    def task_state(self, owner: object) -> str:
        return "failed"

    def run_is_open(self, owner: object) -> bool:
        return True


def run_of(person: Callable[[str], Any], name: str, body: bytes) -> Run:
    """Upload a source as a person does, and take its run up to the build."""
    version_id = person("s3").put_object(Bucket=BUCKET, Key=KEY, Body=body)["VersionId"]
    run = Run(name, version_id, key=KEY)
    for task_id in TASKS[:2]:
        run.xcoms[task_id] = tasks(MODEL)[task_id]().execute(run.context(task_id))
    return run


def build_an_image(aws: LocalAws, person: Callable[[str], Any]) -> None:
    """A source becomes an image; a second one is being built when its task ends, and its build is stopped."""
    bucket = WatchedBucket(BUCKET, "aws_default", {KEY: f"image_build-{PREFIX}"})
    take_in(bucket, MemoryStore(), S3Versions(), lambda *_: True)
    run = run_of(person, "s3__image", source_zip())
    for task_id in TASKS[2:]:
        run.xcoms[task_id] = run_task(tasks(MODEL)[task_id](), run.context(task_id))
    assert run.xcoms["record"]["packages"] > 0
    bill = person("s3").get_object(Bucket=BUCKET, Key=bucket_and_key(run.xcoms["record"]["bill_of_materials"])[1])
    names = [one["name"] for one in json.loads(bill["Body"].read())["components"]]
    assert len(names) >= run.xcoms["record"]["packages"]
    assert "pip" in names

    orphaned = run_of(person, "s3__orphaned", source_zip(f"{DOCKERFILE}RUN sleep 600\n"))

    def end(trigger: BuildTrigger) -> dict[str, Any]:
        raise KilledError

    with pytest.raises(KilledError):
        run_task(tasks(MODEL)["build"](), orphaned.context("build"), wait=end)
    forget_the_build(aws, orphaned)

    seen: list[str] = []

    def stop(trigger: BuildTrigger) -> dict[str, Any]:
        seen.append(trigger.build_id)
        if len(seen) > 1:
            CodeBuildHook().stop_build(trigger.build_id)
            raise KilledError
        search = BuildSearch(CodeBuildHook(), S3Documents(), {PREFIX: BUCKET}, FailedTasks())
        assert reap(CodeBuildHook(), search, "tests") == seen
        return first_event(trigger)

    # The build that was started is found by its mark, stopped as an orphan, and followed by another.
    with pytest.raises(KilledError):
        run_task(tasks(MODEL)["build"](), orphaned.context("build"), wait=stop)
    assert len(set(seen)) == 2


def forget_the_build(aws: LocalAws, run: Run) -> None:
    """Have the note say what it says when the task was killed right after StartBuild."""
    key = CheckedSource.from_xcom(run.xcoms["check_source"]).shared_key_of(NOTE)
    documents = S3Documents()
    note = documents.read(BUCKET, key)
    assert note.content
    assert documents.write(BUCKET, key, note.content | {"build_id": None}, etag=note.etag)


def look_at_images(person: Callable[[str], Any]) -> None:
    """What AWS's console shows people of builds and images."""
    codebuild, ecr, project = person("codebuild"), person("ecr"), f"mlops-buildimage-{PREFIX}"
    ids = codebuild.list_builds_for_project(projectName=project)["ids"]
    assert codebuild.batch_get_builds(ids=ids)["builds"]
    assert codebuild.batch_get_projects(names=[project])["projects"]
    assert ecr.describe_repositories(repositoryNames=[REPOSITORY])["repositories"]
    (image, *_) = ecr.describe_images(repositoryName=REPOSITORY)["imageDetails"]
    assert ecr.describe_image_scan_findings(repositoryName=REPOSITORY, imageId={"imageDigest": image["imageDigest"]})[
        "imageScanStatus"
    ]
