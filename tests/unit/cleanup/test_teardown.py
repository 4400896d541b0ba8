"""Teardown: confirmed by name, done in order, resumed anywhere, failed while something is left."""

from datetime import UTC, datetime

import pytest
from airflow.sdk.exceptions import TaskDeferred

from slipway.aws.s3 import StoredObject
from slipway.cleanup import teardown
from slipway.cleanup.kept import kept_objects
from slipway.cleanup.model_resources import OwnedResource, RemovalStep
from slipway.cleanup.teardown import KEPT, NothingLeftOperator, TeardownOperator
from slipway.errors import AwsError, NotApproved, PermanentError, StackFailed
from slipway.signed.orders import ORDER, Act
from tests.unit.image_samples import forest_model
from tests.unit.request_samples import AWS, BUCKET, KEY, iris_model
from tests.unit.signatures import signed_order, teardown_context
from tests.unit.task_runs import context, run_task


class World:
    """Things in order of removal; stacks take one look to be gone, the rest goes at once."""

    def __init__(self, *, stuck_stack: bool = False) -> None:
        self.things = {
            "stack": RemovalStep.JOBS_AND_STACKS,
            "endpoint": RemovalStep.ENDPOINTS,
            "model": RemovalStep.MODELS,
            "group": RemovalStep.MODEL_PACKAGE_GROUP,
        }
        self.deleting: set[str] = set()
        self.stuck_stack = stuck_stack
        self.ledger: list[str] = []
        self.cloudformation = self

    def failures(self, stack_id):
        return ["Endpoint (AWS::SageMaker::Endpoint) DELETE_FAILED: in use"]

    def newest_package(self):
        return 3 if "group" in self.things else None

    def settle(self, _trigger=None) -> None:
        """Finish the deletions that were started."""
        if not self.stuck_stack:
            for kind in self.deleting:
                self.things.pop(kind, None)
        self.deleting.clear()

    def remaining(self, *, record: bool) -> list[OwnedResource]:
        return [
            OwnedResource(
                stage,
                kind,
                kind,
                self._status(kind),
                None if kind in self.deleting else lambda kind=kind: self._remove(kind),
            )
            for kind, stage in self.things.items()
            if record or stage is not RemovalStep.MODEL_PACKAGE_GROUP
        ]

    def _status(self, kind: str) -> str:
        if kind in self.deleting:
            return "DELETE_IN_PROGRESS"
        return "DELETE_FAILED" if self.stuck_stack and self.ledger else "UPDATE_COMPLETE"

    def _remove(self, kind: str) -> None:
        self.ledger.append(kind)
        if kind == "stack":
            self.deleting.add(kind)
        else:
            self.things.pop(kind)


NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def made(cls, world: World):
    operator = cls(task_id="remove")
    operator.__dict__["model_resources"] = lambda model: world
    return operator


@pytest.fixture(autouse=True)
def bucket(monkeypatch) -> dict[str, int]:
    """Sizes of the objects in the model's bucket, by key; the account is that of the samples."""
    sizes = {KEY: 10, "releases/iris-model/r/claim.json": 2, "releases/iris-model/r/model.tar.gz": 30, "other": 1}

    def objects(hook, bucket, prefix, most=None):
        assert bucket == BUCKET
        return [StoredObject(key, size, NOON) for key, size in sizes.items() if key.startswith(prefix)]

    monkeypatch.setattr(teardown.S3Hook, "objects", objects)
    monkeypatch.setattr(teardown, "identity", lambda aws_conn_id: AWS)
    return sizes


def test_removes_stage_by_stage_and_leaves_nothing():
    world = World()
    removed = run_task(made(TeardownOperator, world), teardown_context("iris-model"), wait=world.settle)
    assert world.ledger == ["stack", "endpoint", "model"]
    assert removed == {"stack": 1, "endpoint": 1, "model": 1}
    assert made(NothingLeftOperator, world).execute(teardown_context("iris-model")) == []


def test_what_is_kept_is_listed_with_the_command_that_removes_it():
    form, world = teardown_context("iris-model"), World()
    run_task(made(TeardownOperator, world), form, wait=world.settle)
    assert list(world.things) == ["group"]
    assert made(NothingLeftOperator, world).execute(form) == []
    record, upload, releases, *data = form["ti"].pushed[KEPT]
    assert (
        "mlops-iris-model (model packages up to version 3)" in record and 'again with "Remove the record too"' in record
    )
    assert f"(1 objects, 10 bytes). To remove it: aws s3 rm s3://{BUCKET}/{KEY}" in upload
    assert f"(2 objects, 32 bytes). To remove it: aws s3 rm --recursive s3://{BUCKET}/releases/iris-model/" in releases
    assert [one.rpartition(" ")[2] for one in data] == list(map(AWS.resolve, iris_model().policy.s3_prefixes))


def test_what_builds_of_an_image_have_left_is_kept_too():
    there = {
        "image_builds/iris-forest/image.zip": 7,
        f"releases/iris-forest/images/{'0' * 32}/image.json": 5,
        "iris-forest/images/src-1/packages.json": 3,
    }

    def objects(bucket, prefix, most):
        return [StoredObject(key, size, NOON) for key, size in there.items() if key.startswith(prefix)][:most]

    found = {one.where: one for one in kept_objects(forest_model(), AWS.resolve, objects)}
    for place in ("image_builds/iris-forest/", "releases/iris-forest/", "iris-forest/images/"):
        assert found[f"s3://{BUCKET}/{place}"].size.startswith("1 objects")
    assert found["mlops-iris-forest"].removal.startswith("aws ecr delete-repository")


def test_a_list_that_aws_refuses_is_no_failure(monkeypatch):
    def refuse(hook, bucket, prefix, most):
        raise AwsError("Could not list the objects", code="AccessDenied")

    monkeypatch.setattr(teardown.S3Hook, "objects", refuse)
    form, world = teardown_context("iris-model"), World()
    world.things.clear()
    assert made(NothingLeftOperator, world).execute(form) == []
    assert "not counted: Could not list the objects" in form["ti"].pushed[KEPT][0]


def test_the_record_goes_when_the_form_and_the_order_say_so():
    form, world = teardown_context("iris-model", remove_record=True), World()
    assert run_task(made(TeardownOperator, world), form, wait=world.settle)["group"] == 1
    assert world.things == {}
    assert made(NothingLeftOperator, world).execute(form) == []


@pytest.mark.parametrize("ordered", [True, False])
def test_an_order_that_says_otherwise_about_the_record_is_refused(ordered):
    form, world = teardown_context("iris-model", remove_record=ordered), World()
    form["params"]["remove_record"] = not ordered
    with pytest.raises(NotApproved, match="and its record in the Model Registry"):
        made(TeardownOperator, world).execute(form)
    assert world.ledger == []


def test_goes_on_after_an_interruption_without_asking_twice():
    world = World()
    with pytest.raises(TaskDeferred):
        made(TeardownOperator, world).execute(teardown_context("iris-model"))
    # The task was killed while it waited: the new attempt finds the deletion in progress.
    run_task(made(TeardownOperator, world), teardown_context("iris-model"), wait=world.settle)
    assert world.ledger == ["stack", "endpoint", "model"]


@pytest.mark.parametrize("order", [{}, {"by": "alice"}, signed_order(Act.TEARDOWN, "wine-model")])
def test_without_an_order_of_an_approver_nothing_is_removed(order):
    world, ordered = World(), teardown_context("iris-model")
    ordered["task_state_store"].set(ORDER, order)
    with pytest.raises(NotApproved, match="Only an approver may tear a model down"):
        made(TeardownOperator, world).execute(ordered)
    assert world.ledger == []


def test_an_order_is_carried_out_once():
    world, ordered = World(), teardown_context("iris-model")
    run_task(made(TeardownOperator, world), ordered, wait=world.settle)
    again = World()
    with pytest.raises(NotApproved, match="carried out already"):
        made(TeardownOperator, again).execute(ordered)
    assert again.ledger == []


def test_a_model_that_is_gone_is_no_error():
    world = World()
    world.things.clear()
    assert made(TeardownOperator, world).execute(teardown_context("iris-model")) == {}


def test_a_stack_that_cannot_be_deleted_is_tried_three_times_and_named():
    world = World(stuck_stack=True)
    with pytest.raises(StackFailed, match=r"DELETE_FAILED: in use"):
        run_task(made(TeardownOperator, world), teardown_context("iris-model"), wait=world.settle)
    assert world.ledger == ["stack"] * 3


def test_whatever_is_left_keeps_the_task_red():
    with pytest.raises(PermanentError, match="left: stack stack"):
        made(NothingLeftOperator, World()).execute(teardown_context("iris-model"))


@pytest.mark.parametrize(
    "form", [{"model": "iris-model", "confirm": "iris"}, {"model": "no-such-model", "confirm": "no-such-model"}]
)
def test_without_the_name_twice_nothing_is_removed(form):
    world = World()
    with pytest.raises(PermanentError, match="Nothing was removed"):
        made(TeardownOperator, world).execute(context({}, params=form))
    assert world.ledger == []
