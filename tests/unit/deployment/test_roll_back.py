"""RollBackOperator on the board and with a scripted history; with stacks it is in tests/cfn."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import TaskDeferred

from slipway.deployment import roll_back
from slipway.deployment.roll_back import RollBackOperator
from slipway.errors import NotApproved, Skipped, Superseded
from slipway.signed.orders import ORDER, Act
from slipway.stages.board import Board, BoardPlace, Entry
from slipway.states import BoardStage
from slipway.waiting.results import WaitOutcome, WaitResult
from tests.unit.releases import release_plan
from tests.unit.request_samples import iris_model
from tests.unit.scripted_aws import MemoryStore
from tests.unit.signatures import signed_order
from tests.unit.stage_runs import MemoryDocuments, with_gate
from tests.unit.task_runs import FakeTaskInstance

ARN = "arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-iris-model/{}"


class History(RollBackOperator):
    """A roll-back of a model whose package n came after n - 1, all of them good."""

    def _outputs(self):
        return {"ModelPackageArn": self.live.pop(0), "Sequence": self.deployed}

    def _plan_for(self, package, order):
        self._arn = package["ModelPackageArn"]
        return replace(release_plan(), sequence=order.at, rolled_back_by=order.by)


def operator(documents, *live: int, deployed: str = "2026-01-01T00:00:00+00:00") -> History:
    made = History(task_id="roll_back", model=iris_model())
    made.__dict__["deployed"] = deployed
    made.__dict__["live"] = [ARN.format(each) for each in live]
    made.__dict__["registry"] = SimpleNamespace(describe_model_package=_package)
    return with_gate(made, documents)


def _package(arn: str) -> dict:
    number = int(arn.rpartition("/")[2])
    return {
        "ModelPackageArn": arn,
        "ModelPackageGroupName": "mlops-iris-model",
        "CustomerMetadataProperties": {"slipway-production-before": ARN.format(number - 1)},
    }


def context(conf: dict) -> dict:
    order = signed_order(Act.ROLL_BACK, "previous")
    dag_run = SimpleNamespace(dag_id="iris-model", run_id="manual__1", conf=conf)
    return {"ti": FakeTaskInstance({}), "dag_run": dag_run, "task_state_store": MemoryStore(**{ORDER: order})}


def board(**place) -> MemoryDocuments:
    documents = MemoryDocuments()
    content = Board({BoardStage.PRD: BoardPlace(**place)}).to_json()
    documents.write("b", "releases/iris-model/stages.json", content, etag=None)
    return documents


def other(sequence: str) -> Entry:
    return Entry("iris-model", "s3__other", "f" * 32, sequence, sequence)


def test_a_run_without_a_target_is_skipped():
    with pytest.raises(Skipped, match="is no roll-back"):
        operator(MemoryDocuments()).execute(context({}))


def test_what_production_serves_after_the_wait_is_what_it_goes_back_from():
    documents, back = board(holder=other("2026-01-01T00:00:00+00:00")), context({"roll_back_to": "previous"})
    task = operator(documents, 2, 3, 3)
    with pytest.raises(TaskDeferred) as wait:
        task.execute(back)
    ordered_at = back["task_state_store"].get(ORDER)["at"]
    task = operator(documents, 3, 3)
    task.gate._goes_on = lambda dag_id, run_id: False
    plan = task.execute_at_gate(back, WaitResult(WaitOutcome.REACHED).to_event().payload)
    assert wait.value.method_name == "execute_at_gate"
    assert task._arn == ARN.format(2)
    assert plan["sequence"] == ordered_at


def test_repeating_a_deployed_roll_back_goes_no_further_back():
    back = context({"roll_back_to": "previous"})
    ordered_at = back["task_state_store"].get(ORDER)["at"]
    task = operator(MemoryDocuments(), 2, 2, deployed=ordered_at)
    task.execute(back)
    assert task._arn == ARN.format(2)


def test_an_order_that_has_ended_rolls_nothing_back():
    back = context({"roll_back_to": "previous"})
    old = signed_order(Act.ROLL_BACK, "previous", at="2026-06-01T08:00:00+00:00")
    back["task_state_store"].set(ORDER, old)
    with pytest.raises(NotApproved, match="ended at"):
        operator(MemoryDocuments(), 3).execute(back)


def test_a_newer_release_goes_first():
    # Counted from now and not from the start of the session: the board takes nothing from far in the future.
    later = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
    with pytest.raises(Superseded):
        operator(board(newest=other(later)), 2).execute(context({"roll_back_to": "previous"}))


def test_a_roll_back_overtakes_who_waits_whatever_the_mode():
    documents = board(waiting=(other("2026-01-01T00:00:00+00:00"),))
    task = operator(documents, 3, 3)
    task.execution_mode = "QUEUED"
    task.execute(context({"roll_back_to": "previous"}))
    place = Board.from_json(documents.read("b", "releases/iris-model/stages.json").content)[BoardStage.PRD]
    assert place.holder.run_id == "manual__1"
    assert place.holder.rolls_back


def test_a_revision_id_has_32_hexadecimal_digits():
    assert roll_back._REVISION_ID.fullmatch("0" * 32)
    assert not roll_back._REVISION_ID.fullmatch("previous")
