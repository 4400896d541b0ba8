"""What waiting approvals ask of AWS, by the local AWS's ledger: calls an hour by age, and clients however many wait."""

import asyncio
import time
from collections import Counter
from types import SimpleNamespace
from uuid import uuid4

import pytest

from slipway.approval import wait
from slipway.approval.wait import ApprovalTrigger
from slipway.aws.session import AwsHook
from slipway.registry.hook import ModelRegistryHook
from slipway.stages.gate import Ticket
from slipway.states import BoardStage, ExecutionMode
from slipway.waiting import polling
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.sagemaker_cases import IMAGE
from tests.unit.releases import release_plan
from tests.unit.task_runs import context

pytestmark = pytest.mark.local_aws

HOUR = 3600.0


class Approvals(ApprovalTrigger):
    """The wait of an approval that nobody answers in Airflow."""

    async def answer(self):
        return None


@pytest.fixture(scope="module")
def package(local_aws) -> str:
    with pytest.MonkeyPatch.context() as patch:
        lead_hooks_to(local_aws.endpoint_url, patch)
        registry, group = ModelRegistryHook(aws_conn_id=None), "mlops-waiting-cost"
        registry.ensure_model_package_group(group, description="test", tags={})
        types = {"SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"]}
        return registry.create_model_package(
            {
                "ModelPackageGroupName": group,
                "ModelApprovalStatus": "PendingManualApproval",
                "InferenceSpecification": {"Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://b/k"}], **types},
            }
        )


@pytest.fixture
def clock(local_aws, monkeypatch) -> list[float]:
    """The time of all waits, which their pauses drive."""
    now = [time.time()]
    lead_hooks_to(local_aws.endpoint_url, monkeypatch)
    for module in (polling, wait):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: now[0]))
    monkeypatch.setattr(polling, "random", SimpleNamespace(uniform=lambda low, high: low))
    return now


def approval(package: str, now: float, age_seconds: float, ends_in_seconds: float) -> ApprovalTrigger:
    ticket = Ticket.of(release_plan(), context({})["dag_run"], BoardStage.APPROVE, ExecutionMode.SUPERSEDED)
    return Approvals(
        ti_id=str(uuid4()),
        model_package_arn=package,
        deadline=now + ends_in_seconds,
        ticket=ticket.to_json(),
        poll_seconds=3.0,
        aws_conn_id=None,
        first_look=now - age_seconds,
    )


async def last_event(trigger) -> dict:
    (event,) = [event.payload async for event in trigger.run()]
    return event


@pytest.mark.parametrize(("age_seconds", "most"), [(0.0, 21), (HOUR, 2), (24 * HOUR, 2)])
def test_the_calls_of_a_waiting_approval_in_a_minute_by_its_age(
    local_aws, package, clock, monkeypatch, age_seconds, most
):
    async def sleep(seconds):
        clock[0] += seconds

    monkeypatch.setattr(polling, "sleep", sleep)
    since = len(local_aws.asked())
    event = asyncio.run(last_event(approval(package, clock[0], age_seconds, 60)))
    assert event == {"outcome": "timeout"}
    calls = Counter(line["operation"] for line in local_aws.asked()[since:])
    assert calls == {"DescribeModelPackage": most, "GetObject": most}


@pytest.mark.parametrize("waiting", [2, 20])
def test_all_waiting_approvals_have_two_clients(local_aws, package, clock, monkeypatch, waiting):
    made = []
    connect = AwsHook.get_async_conn

    async def counted(hook):
        made.append(hook.service)
        return await connect(hook)

    monkeypatch.setattr(AwsHook, "get_async_conn", counted)
    since = len(local_aws.asked())

    async def story():
        return await asyncio.gather(*(last_event(approval(package, clock[0], 0.0, 0.0)) for _ in range(waiting)))

    assert asyncio.run(story()) == [{"outcome": "timeout"}] * waiting
    assert sorted(made) == ["s3", "sagemaker"]
    calls = Counter(line["operation"] for line in local_aws.asked()[since:])
    assert calls == {"DescribeModelPackage": waiting, "GetObject": waiting}
