"""The search for builds that no task waits for: which it finds, and at what cost."""

from dataclasses import replace

import pytest

from slipway import image_names
from slipway.images.note import NOTE, NoteStore
from slipway.images.orphans import BuildSearch
from slipway.images.reaper import build_message, reap
from slipway.notices.send import Notice
from slipway.training.owner import JobOwner
from tests.unit.images.aws import CodeBuild, Documents, build_note

FOREST, WINE = "mlops-buildimage-iris-forest", "mlops-buildimage-wine"
OWNER = JobOwner("here", "image_build-iris-forest", "build", "manual__1")


class Tasks:
    """The state of every task."""

    def __init__(self, state: str = "failed") -> None:
        self.state = state

    def task_state(self, owner: JobOwner) -> str:
        return self.state

    def run_is_open(self, owner: JobOwner) -> bool:
        return True


@pytest.fixture
def world():
    return CodeBuild(), Documents()


def add(world, number: int, *, project: str = FOREST, owner: JobOwner = OWNER, noted: bool = True) -> str:
    codebuild, documents = world
    note = build_note(f"src-{number:032x}", owner)
    build_id = f"{project}:{number}"
    codebuild.add(build_id, note.mark)
    prefix = image_names.prefix_of_build(build_id)
    notes = NoteStore(documents, "bucket", image_names.build_key(prefix, note.tag, NOTE))
    assert notes.write(replace(note, build_id=build_id if noted else None), notes.read()[1])
    return build_id


def search(world, state: str = "failed", **buckets: str) -> BuildSearch:
    return BuildSearch(*world, buckets or {"iris-forest": "bucket"}, Tasks(state))


@pytest.mark.parametrize("noted", [True, False])
def test_a_build_whose_task_has_ended_is_stopped_also_if_its_id_was_never_noted(world, noted):
    build_id = add(world, 1, noted=noted)
    told = []
    assert reap(world[0], search(world), "here", told.append) == [build_id]
    assert world[0].calls("StopBuild") == [build_id]
    (orphan,) = told
    message = build_message(orphan)
    assert (message.notice, message.model, message.stage) == (Notice.ORPHANED_BUILD, "iris-forest", "build")
    assert build_id in message.text
    assert message.link.endswith(f"/dags/{OWNER.dag_id}/runs/{OWNER.run_id}")


@pytest.mark.parametrize("state", ["running", "deferred", "up_for_retry", "queued"])
def test_a_build_whose_task_may_still_wait_goes_on(world, state):
    add(world, 1)
    assert reap(world[0], search(world, state), "here") == []


def test_builds_of_others_are_left_alone(world):
    codebuild, _ = world
    add(world, 1, owner=replace(OWNER, airflow="another"))
    add(world, 2, project=WINE)
    codebuild.add("somebodys-project:3", "x-1")
    codebuild.add(f"{FOREST}:by-hand", "x-1")["environment"]["environmentVariables"] = []
    assert reap(codebuild, search(world), "here") == []
    assert reap(codebuild, search(world), None) == []


def test_a_note_that_cannot_be_read_keeps_no_other_build_from_being_stopped(world):
    _, documents = world
    add(world, 1)
    other = add(world, 2)
    (key,) = (key for key in documents.kept if f"{1:032x}" in key)
    documents.kept[key] = {"number": "one"}
    assert reap(world[0], search(world), "here") == [other]


def test_a_build_that_has_ended_is_looked_at_once(world):
    codebuild, _ = world
    codebuild.found[add(world, 1)]["buildStatus"] = "FAILED"
    looks = search(world)
    for _ in range(3):
        assert looks.find("here") == []
    assert (codebuild.calls("ListBuilds"), codebuild.calls("BatchGetBuilds")) == (["5", "1", "1"], ["1"])


def test_a_running_build_is_found_when_it_has_left_the_listing(world):
    codebuild, _ = world
    build_id = add(world, 0)
    looks = search(world, "running")
    assert looks.find("here") == []
    assert looks.watches_any
    for number in range(1, 101):
        codebuild.add(f"somebodys-project:{number}", "x-1")
    looks._tasks.state = "failed"
    assert [one.build_id for one in looks.find("here")] == [build_id]


@pytest.mark.parametrize("models", [1, 50])
def test_the_cost_does_not_grow_with_models(world, models):
    codebuild, _ = world
    looks = search(world, **{f"m{number}": "bucket" for number in range(models)})
    looks.find("here")
    assert [operation for operation, _ in codebuild.ledger] == ["ListBuilds"]
