"""The waits of a trial: enough requests, time, a newer release, errors in a bake, a verdict in the registry."""

import time
from contextlib import nullcontext
from uuid import uuid4

import pytest

from slipway.aws.cloudwatch import CloudWatchHook
from slipway.aws.translation import translate
from slipway.errors import AwsRefused
from slipway.stages.gate import Ticket
from slipway.states import BoardStage, ExecutionMode
from slipway.trial import wait
from slipway.trial.figures import VariantFigures
from slipway.trial.wait import BakeTrigger, TrialDecisionTrigger, TrialTrigger
from tests.unit.releases import release_plan
from tests.unit.scripted_aws import Script, client_error
from tests.unit.task_runs import context, first_event

CLIENT = wait._MeasuringTrigger.client
REACHED = {"outcome": "reached", "status": "", "reason": "", "fix": ""}


def ticket() -> dict:
    return Ticket.of(release_plan(), context({})["dag_run"], BoardStage.PRD, ExecutionMode.SUPERSEDED).to_json()


def measuring(seconds: float) -> dict:
    now = time.time()
    where = {"endpoint_name": "iris-production", "poll_seconds": 0.001, "aws_conn_id": None}
    return {"began": now, "deadline": now + seconds, **where}


def watching(invocations=None, seconds=60.0) -> TrialTrigger:
    return TrialTrigger(invocations=invocations, ticket=ticket(), **measuring(seconds))


def baking(seconds=60.0) -> BakeTrigger:
    return BakeTrigger(error_share_limit=0.1, minimum_invocations=10, **measuring(seconds))


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No newer release has come; gives who has."""
    newer = Script(None)

    async def overtaken(client, ticket):
        return newer()

    async def client(trigger, hook_class):
        return None

    monkeypatch.setattr(wait, "overtaken_async", overtaken)
    monkeypatch.setattr(wait._MeasuringTrigger, "client", client)
    return newer


@pytest.fixture
def measured(monkeypatch):
    """Gives the script of what CloudWatch shows of model-b; model-a has had a hundred requests."""
    script = Script(VariantFigures())

    async def figures(client, endpoint_name, variants, began, ended):
        return {"model-a": VariantFigures(100), "model-b": script()}

    monkeypatch.setattr(wait, "variant_figures_async", figures)
    return script


def test_serialization_round_trip():
    for made in (watching(5), baking()):
        path, arguments = made.serialize()
        assert path == f"slipway.trial.wait.{type(made).__name__}"
        assert type(made)(**arguments).serialize() == (path, arguments)


def test_a_trial_lasts_its_time(measured):
    assert first_event(watching(seconds=0.05)) == REACHED
    assert measured.calls == []


def test_enough_requests_of_both_variants_end_it_earlier(measured):
    measured.answers[:] = [VariantFigures(3), VariantFigures(50)]
    assert first_event(watching(50)) == REACHED
    assert len(measured.calls) == 2


def test_a_newer_release_ends_it(alone, measured):
    alone.answers[:] = [None, "newer"]
    assert first_event(watching()) == REACHED | {"status": "superseded"}


def test_a_bake_lasts_its_time(measured):
    measured.answers[:] = [VariantFigures(100, 10)]
    assert first_event(baking(seconds=0.05)) == REACHED


def test_errors_end_a_bake_once_there_are_enough_requests_to_tell(measured):
    measured.answers[:] = [VariantFigures(9, 9), VariantFigures(10, 2)]
    event = first_event(baking())
    assert (event["outcome"], event["reason"]) == ("failed", "10 invocations, 2 errors (20.00%)")
    assert len(measured.calls) == 2


def test_passing_errors_are_waited_out_and_refusals_are_told(measured):
    passing = translate(client_error("ThrottlingException"), what="Cannot read")
    measured.answers[:] = [passing, VariantFigures(50)]
    assert first_event(watching(50)) == REACHED
    measured.answers[:] = [AwsRefused("Cannot read", why="AccessDenied")]
    assert first_event(watching(50))["outcome"] == "refused"


def test_a_roles_credentials_that_cannot_be_had_now_are_asked_for_again(measured, monkeypatch):
    """With a role, to connect is a call of its own."""
    connects = Script(client_error("ThrottlingException"), nullcontext())

    async def connect(hook):
        return connects()

    monkeypatch.setattr(wait._MeasuringTrigger, "client", CLIENT)
    monkeypatch.setattr(CloudWatchHook, "get_async_conn", connect)
    measured.answers[:] = [VariantFigures(10, 10)]
    assert first_event(baking())["outcome"] == "failed"
    assert len(connects.calls) == 2


def test_the_deadline_holds_while_aws_is_away(measured, alone):
    alone.answers[:] = [translate(client_error("x", status=503), what="Cannot read")]
    assert first_event(watching(seconds=0.0)) == REACHED


def test_a_verdict_in_the_registry_ends_the_question():
    asked = TrialDecisionTrigger(ti_id=str(uuid4()), model_package_arn="arn", deadline=0.0)
    assert asked.serialize()[0] == "slipway.trial.wait.TrialDecisionTrigger"

    def decided(**properties):
        return asked.is_decided({"ModelApprovalStatus": "Approved", "CustomerMetadataProperties": properties})

    assert not decided()
    assert decided(**{"slipway-trial-verdict": "retire"})
    assert not decided(**{"slipway-trial-verdict": "keep", "slipway-trial-outcome": "kept"})
