"""CloudFormationDeployOperator in states that are hard to produce; the rest is in tests/cfn."""

from dataclasses import replace

import pytest
from airflow.sdk.exceptions import TaskDeferred

from slipway.aws.cloudformation import CloudFormationHook
from slipway.aws.stacks import ChangeSet, Stack, StackResource
from slipway.deployment.deploy_stack import CloudFormationDeployOperator
from slipway.errors import AwsError, StackFailed
from slipway.states import StackStatus
from slipway.waiting import results
from slipway.waiting.results import SOON_PAUSES_SECONDS, WaitOutcome, WaitResult
from tests.unit.task_runs import context, run_task

STACK_ID = "arn:aws:cloudformation:us-west-2:123456789012:stack/s/1"
REACHED = WaitResult(WaitOutcome.REACHED).to_event().payload


class ScriptedCloudFormation(CloudFormationHook):
    """A CloudFormation whose stack takes the given states, one for each wait."""

    def __init__(self, *states: StackStatus | None, failed_rollbacks: int = 1, change_set: ChangeSet | None = None):
        super().__init__(aws_conn_id=None, region_name="us-west-2")
        self.states, self.rollbacks, self.change_set = list(states), failed_rollbacks, change_set
        self.calls: list[str] = []

    def wait(self, trigger) -> dict:
        self.calls.append(f"wait {trigger.waiter_name}")
        self.states.pop(0)
        return REACHED

    def describe_stack(self, name_or_id):
        state = self.states[0]
        return Stack("s", STACK_ID, state, outputs={"Name": "x"}) if state else None

    def failures(self, stack_id):
        return [StackResource("Endpoint", "AWS::SageMaker::Endpoint", "UPDATE_FAILED", reason="no ping")]

    def failed_rollbacks(self, stack_id):
        return self.rollbacks

    def continue_update_rollback(self, stack_id, *, role_arn=None):
        self.calls.append(f"continue {stack_id}")

    def delete_stack(self, stack_id, *, role_arn=None):
        self.calls.append(f"delete {stack_id}")

    def describe_change_set(self, stack_name, name):
        return self.change_set and ChangeSet(name, *self.change_set)

    def create_change_set(self, request):
        self.calls.append("create" if request.create else "update")
        self.change_set = (STACK_ID, "CREATE_COMPLETE", "AVAILABLE")

    def execute_change_set(self, stack_name, name):
        self.calls.append("execute")
        self.change_set = (STACK_ID, "CREATE_COMPLETE", "EXECUTE_COMPLETE")
        return True

    def delete_change_set(self, stack_name, name):
        self.calls.append("delete change set")


@pytest.fixture
def deploy(tmp_path):
    template = tmp_path / "template.yaml"
    template.write_text("Resources: {}")

    def run(aws, **arguments):
        class Operator(CloudFormationDeployOperator):
            hook = aws

        settings = {"task_id": "deploy", "stack_name": "s", "template_path": str(template), "template_bucket": "b"}
        return run_task(Operator(**settings, do_xcom_push=False, **arguments), context({}), wait=aws.wait)

    return run


def test_a_failed_roll_back_is_continued_once_before_the_deployment(deploy):
    aws = ScriptedCloudFormation(
        StackStatus.UPDATE_ROLLBACK_FAILED, StackStatus.UPDATE_ROLLBACK_COMPLETE, StackStatus.UPDATE_COMPLETE
    )
    assert deploy(aws)["change"] == "updated"
    assert aws.calls == [f"continue {STACK_ID}", "wait StackIdle", "update", "execute", "wait StackDeployed"]


def test_a_roll_back_that_failed_twice_freezes_the_environment(deploy):
    aws = ScriptedCloudFormation(StackStatus.UPDATE_ROLLBACK_FAILED, failed_rollbacks=2)
    with pytest.raises(StackFailed, match=r"frozen.*UPDATE_ROLLBACK_FAILED; Endpoint .*no ping.*console"):
        deploy(aws)
    assert aws.calls == []


@pytest.mark.parametrize("state", [StackStatus.UPDATE_FAILED, StackStatus.IMPORT_ROLLBACK_FAILED])
def test_states_that_only_a_person_can_leave(deploy, state):
    aws = ScriptedCloudFormation(state)
    with pytest.raises(StackFailed, match=state.value):
        deploy(aws)
    assert aws.calls == []


@pytest.mark.parametrize(
    "state",
    [StackStatus.CREATE_FAILED, StackStatus.ROLLBACK_COMPLETE, StackStatus.ROLLBACK_FAILED, StackStatus.DELETE_FAILED],
)
def test_states_that_only_a_deletion_leaves(deploy, state):
    aws = ScriptedCloudFormation(state, None, StackStatus.CREATE_COMPLETE)
    aws.describe_stack = lambda name: None if name == STACK_ID else ScriptedCloudFormation.describe_stack(aws, name)
    with pytest.raises(StackFailed, match="for a person to decide"):
        deploy(aws)
    with pytest.raises(TaskDeferred):
        deploy_until_deleted(deploy, aws)
    assert aws.calls == [f"delete {STACK_ID}"]


def deploy_until_deleted(deploy, aws):
    def stop(trigger):
        raise TaskDeferred(trigger=trigger, method_name="resume")

    aws.wait = stop
    return deploy(aws, recreate_failed=True)


@pytest.mark.parametrize("state", [state for state in StackStatus if state.in_progress])
def test_an_operation_in_progress_is_waited_for(deploy, state):
    aws = ScriptedCloudFormation(state, StackStatus.UPDATE_COMPLETE, StackStatus.UPDATE_COMPLETE)
    assert deploy(aws)["change"] == "updated"
    assert aws.calls == ["wait StackIdle", "update", "execute", "wait StackDeployed"]


def test_an_execution_of_our_own_in_flight_is_adopted(deploy):
    aws = ScriptedCloudFormation(StackStatus.UPDATE_IN_PROGRESS, StackStatus.UPDATE_COMPLETE)
    aws.change_set = (STACK_ID, "CREATE_COMPLETE", "EXECUTE_IN_PROGRESS")
    done = aws.wait

    def wait(trigger):
        aws.change_set = (STACK_ID, "CREATE_COMPLETE", "EXECUTE_COMPLETE")
        return done(trigger)

    aws.wait = wait
    result = deploy(aws)
    assert result["change"] == "updated"
    # When it began is not known to the attempt that adopts it.
    assert "aws_seconds" not in result
    assert aws.calls == ["wait StackDeployed"]


def test_how_long_awss_part_took_is_told(deploy):
    result = deploy(ScriptedCloudFormation(StackStatus.UPDATE_COMPLETE, StackStatus.UPDATE_COMPLETE))
    assert result["aws_seconds"] >= 0


@pytest.mark.parametrize(("looks", "waits"), [(0, 0), (3, 0), (len(SOON_PAUSES_SECONDS), 1)])
def test_what_is_over_in_a_moment_needs_no_wait_and_is_judged_as_after_one(deploy, monkeypatch, looks, waits):
    monkeypatch.setattr(results, "SOON_PAUSES_SECONDS", [0.0] * len(SOON_PAUSES_SECONDS))
    aws, prepared = ScriptedCloudFormation(StackStatus.UPDATE_COMPLETE, StackStatus.UPDATE_COMPLETE), []
    monkeypatch.setattr(CloudFormationDeployOperator, "prepare", lambda operator, ctx: prepared.append(list(aws.calls)))
    states = [StackStatus.UPDATE_IN_PROGRESS] * looks
    execute, describe = aws.execute_change_set, aws.describe_stack

    def execute_and_change(stack_name, name):
        aws.describe_stack = lambda stack: replace(describe(stack), status=states.pop(0)) if states else describe(stack)
        return execute(stack_name, name)

    aws.execute_change_set = execute_and_change
    assert deploy(aws)["change"] == "updated"
    assert aws.calls == ["update", "execute", *["wait StackDeployed"] * waits]
    assert prepared == [[], aws.calls]


def test_a_stack_whose_execution_does_not_show_yet_is_waited_for(deploy):
    aws = ScriptedCloudFormation(StackStatus.UPDATE_COMPLETE, StackStatus.UPDATE_COMPLETE)
    done = aws.wait

    def execute(stack_name, name):
        aws.change_set = (STACK_ID, "CREATE_COMPLETE", "EXECUTE_IN_PROGRESS")
        return True

    def wait(trigger):
        aws.change_set = (STACK_ID, "CREATE_COMPLETE", "EXECUTE_COMPLETE")
        return done(trigger)

    aws.execute_change_set, aws.wait = execute, wait
    assert deploy(aws)["change"] == "updated"
    assert aws.calls == ["update", "wait StackDeployed"]


def test_a_change_set_being_made_is_waited_for(deploy):
    aws = ScriptedCloudFormation(StackStatus.UPDATE_COMPLETE, StackStatus.UPDATE_COMPLETE, StackStatus.UPDATE_COMPLETE)
    aws.change_set = (STACK_ID, "CREATE_PENDING", "UNAVAILABLE")
    done = aws.wait

    def wait(trigger):
        if trigger.waiter_name == "ChangeSetMade":
            aws.change_set = (STACK_ID, "CREATE_COMPLETE", "AVAILABLE")
        return done(trigger)

    aws.wait = wait
    assert deploy(aws)["change"] == "updated"
    assert aws.calls == ["wait ChangeSetMade", "execute", "wait StackDeployed"]


def test_a_broken_change_set_says_why_and_is_deleted(deploy):
    aws = ScriptedCloudFormation(StackStatus.UPDATE_COMPLETE)

    def broken(request):
        aws.change_set = (STACK_ID, "FAILED", "UNAVAILABLE", "Transform failed")

    aws.create_change_set = broken
    with pytest.raises(StackFailed, match="Transform failed"):
        deploy(aws)
    assert aws.calls == ["delete change set"]


@pytest.mark.parametrize(
    ("outcome", "error", "text"),
    [(WaitOutcome.TIMEOUT, StackFailed, "not deployed within"), (WaitOutcome.REFUSED, AwsError, "AccessDenied")],
)
def test_a_wait_that_ends_badly(deploy, outcome, error, text):
    aws = ScriptedCloudFormation(StackStatus.UPDATE_IN_PROGRESS)
    aws.wait = lambda trigger: WaitResult(outcome, reason="AccessDenied").to_event().payload
    with pytest.raises(error, match=text):
        deploy(aws)
