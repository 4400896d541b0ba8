"""Stack operations that a kill interrupts continue after the next start; nothing is made twice or left behind."""

import json
import shutil
import threading
from contextlib import suppress

import pytest

from local_aws.framework.disk import Disk
from local_aws.framework.store import Scope, Store
from local_aws.host.stack_operations import Journal, current_step
from tests.local_aws.refusals import outcome
from tests.local_aws.sagemaker.test_endpoint_stack import TEMPLATE, Stack
from tests.local_aws.sagemaker_cases import lend_model_data, predict, wait

SCOPE = Scope("123456789012", "us-west-2")


class Killed(BaseException):
    """An exception that no handler of the engine catches, like the end of the process."""


class Engine:
    """Makes three resources in order, and is killed before or after the work of one of them."""

    def __init__(self, journal):
        self.journal = journal
        self.made = []
        self.tokens = {}

    def run(self, operation, kill=None):
        for name in ("model", "config", "endpoint"):
            self.made.append(operation.step(name, lambda name=name: self.make(name, kill), lambda: None))

    def make(self, name, kill):
        step = current_step()
        if kill == (name, "before"):
            raise Killed
        known = self.tokens.setdefault(name, step.token)
        assert known == step.token
        if kill == (name, "after"):
            raise Killed
        return name, step.again


@pytest.fixture
def journal(tmp_path):
    return Journal(Store(tmp_path / "store.sqlite", Disk(tmp_path)))


def begin(journal, stack_id="one"):
    return journal.begin(SCOPE, {"StackId": stack_id}, 0, {"function": "f"}, "arn:aws:iam::123456789012:user/u")


class TestJournal:
    @pytest.mark.parametrize("place", ["before", "after"])
    @pytest.mark.parametrize("name", ["model", "config", "endpoint"])
    def test_only_the_step_that_was_cut_off_is_done_again(self, journal, name, place):
        engine = Engine(journal)
        with pytest.raises(Killed):
            engine.run(begin(journal), kill=(name, place))
        engine.made = []
        (operation,) = journal.unfinished()
        engine.run(operation)
        assert [one for one, again in engine.made if again] == [name]
        assert [one for one, _ in engine.made] == ["model", "config", "endpoint"]

    def test_a_step_that_failed_fails_again_without_being_done(self, journal):
        def fail():
            raise ValueError("no such role")

        with pytest.raises(ValueError, match="no such role"):
            begin(journal).step("model", fail, lambda: None)
        (operation,) = journal.unfinished()
        with pytest.raises(ValueError, match="no such role"):
            operation.step("model", lambda: pytest.fail("done again"), lambda: None)

    def test_a_step_that_fails_because_the_process_ends_has_not_failed(self, journal):
        operation = begin(journal)
        failing, failed = threading.Event(), threading.Event()

        def fail():
            failing.set()
            raise ValueError("the service has stopped")

        def work():
            with suppress(ValueError):
                operation.step("endpoint", fail, lambda: None)
            failed.set()

        journal.closed.set()
        threading.Thread(target=work, daemon=True).start()
        assert failing.wait(120)
        assert not failed.wait(0.2)
        (again,) = journal.unfinished()
        assert again.step("endpoint", lambda: current_step().again, lambda: None) is True

    def test_equal_steps_of_one_operation_are_told_apart(self, journal):
        operation = begin(journal)
        results = [operation.step("model", lambda: current_step().token, lambda: None) for _ in range(2)]
        assert results[0] != results[1]
        (again,) = journal.unfinished()
        assert [again.step("model", pytest.fail, lambda: None) for _ in range(2)] == results

    def test_a_step_is_known_only_when_what_it_changed_is_durable(self, journal):
        def killed():
            raise Killed

        with pytest.raises(Killed):
            begin(journal).step("topic", lambda: "arn", killed)
        (operation,) = journal.unfinished()
        assert operation.step("topic", lambda: current_step().again, lambda: None) is True

    def test_what_has_ended_is_forgotten(self, journal):
        operation = begin(journal)
        operation.step("model", lambda: 1, lambda: None)
        operation.end()
        assert list(journal.unfinished()) == []

    def test_a_new_operation_of_a_stack_takes_the_place_of_the_one_before(self, journal):
        begin(journal)
        begin(journal, "two")
        begin(journal)
        assert sorted(operation.stack["StackId"] for operation in journal.unfinished()) == ["one", "two"]


def endpoint_status(aws, name):
    endpoints = aws.client("sagemaker").list_endpoints()["Endpoints"]
    return next((one["EndpointStatus"] for one in endpoints if one["EndpointName"] == name), None)


def made(aws, operation):
    return len(aws.ledger(operation=operation, outcome="ok"))


@pytest.mark.local_aws
def test_create_update_and_delete_go_on_after_a_kill(local_aws, new_local_aws):
    # Slow enough that each operation is at its endpoint when the process is killed.
    aws = new_local_aws("--pace", "3").start()
    data = lend_model_data(local_aws, aws)
    created, updated, deleted = (Stack(aws) for _ in range(3))
    for stack in (updated, deleted):
        stack.begin("create_stack", ModelDataUrl=data)
    assert [stack.settled()[0] for stack in (updated, deleted)] == ["CREATE_COMPLETE"] * 2
    _, before = updated.settled()

    updated.begin("update_stack", ModelDataUrl=data, Weight=2)
    created.begin("create_stack", ModelDataUrl=data)
    # The deletion waits for it.
    aws.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=deleted.endpoint, DesiredWeightsAndCapacities=[{"VariantName": "model-a", "DesiredWeight": 0.5}]
    )
    identity = deleted.describe()["StackId"]
    aws.client("cloudformation").delete_stack(StackName=deleted.name)
    assert wait(lambda: endpoint_status(aws, created.endpoint), None) == "Creating"
    assert endpoint_status(aws, updated.endpoint) == "Updating"
    aws.kill()
    aws.start()

    status, outputs = created.settled()
    assert status == "CREATE_COMPLETE", created.reasons("CREATE_FAILED")
    status, after = updated.settled()
    assert status == "UPDATE_COMPLETE", updated.reasons("UPDATE_FAILED")
    assert aws.stack(identity)["StackStatus"] == "DELETE_COMPLETE"
    sagemaker = aws.client("sagemaker")
    for stack in (created, updated):
        assert predict(aws, stack.endpoint)[0] == 0
        live = sagemaker.describe_endpoint(EndpointName=stack.endpoint)["EndpointConfigName"]
        assert live == (outputs if stack is created else after)["ConfigName"]
    assert after["ConfigName"] != before["ConfigName"]
    # Nothing was made twice, and what was deleted or replaced is gone.
    assert {operation: made(aws, operation) for operation in ("CreateModel", "CreateEndpoint")} == {
        "CreateModel": 3,
        "CreateEndpoint": 3,
    }
    assert made(aws, "CreateEndpointConfig") == 4
    assert {one["EndpointConfigName"] for one in sagemaker.list_endpoint_configs()["EndpointConfigs"]} == {
        outputs["ConfigName"],
        after["ConfigName"],
    }
    assert len(sagemaker.list_models()["Models"]) == 2
    events = [
        (one["LogicalResourceId"], one["ResourceStatus"])
        for one in aws.client("cloudformation").describe_stack_events(StackName=created.name)["StackEvents"]
    ]
    assert len(events) == len(set(events)), "told twice"


@pytest.mark.local_aws
def test_a_change_set_is_executed_once_though_the_process_ended_before_its_answer(local_aws, new_local_aws):
    aws = new_local_aws("--pace", "3").start()
    stack = Stack(aws)
    parameters = {"EndpointName": stack.endpoint, "ModelDataUrl": lend_model_data(local_aws, aws)}
    request = {"StackName": stack.name, "ChangeSetName": "first"}
    stack.cloudformation.create_change_set(
        **request,
        ChangeSetType="CREATE",
        TemplateBody=json.dumps(TEMPLATE),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    )
    saved, before = aws.state_dir / "ministack", aws.state_dir / "before"
    shutil.copytree(saved, before)
    stack.cloudformation.execute_change_set(**request)
    aws.kill()
    # As if the process had ended right after the operation was written down.
    shutil.copytree(before, saved, dirs_exist_ok=True)
    aws.start()
    again = outcome(lambda: stack.cloudformation.execute_change_set(**request))
    assert again.startswith("InvalidChangeSetStatus"), again
    assert stack.settled()[0] == "CREATE_COMPLETE", stack.reasons("CREATE_FAILED")
    assert made(aws, "CreateModel") == made(aws, "CreateEndpoint") == 1
