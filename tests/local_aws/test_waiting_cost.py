"""What waiting approvals and trials ask of AWS, by the local AWS's ledger: calls by age, clients however many wait.

And what the judgement of a trial asks at its end, by how long it was.
"""

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import uuid4

import pytest

from slipway.approval import wait
from slipway.approval.wait import ApprovalTrigger
from slipway.aws.session import AwsHook
from slipway.load.answers import Answers
from slipway.registry.hook import ModelRegistryHook
from slipway.stages.gate import Ticket
from slipway.states import BoardStage, ExecutionMode
from slipway.trial import wait as trial_wait
from slipway.trial.ground_truth import GroundTruth, Hits
from slipway.trial.metrics import TrialMetrics
from slipway.trial.wait import TrialTrigger
from slipway.waiting import polling
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.sagemaker_cases import BUCKET, IMAGE
from tests.unit.releases import release_plan
from tests.unit.task_runs import context
from tests.unit.trial.test_ground_truth import capture, truth

pytestmark = pytest.mark.local_aws

HOUR = 3600.0
DAY = 24 * HOUR


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
    for module in (polling, wait, trial_wait):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: now[0]))
    monkeypatch.setattr(polling, "random", SimpleNamespace(uniform=lambda low, high: low))
    return now


def ticket(stage: BoardStage) -> dict:
    return Ticket.of(release_plan(), context({})["dag_run"], stage, ExecutionMode.SUPERSEDED).to_json()


def approval(package: str, now: float, age_seconds: float, ends_in_seconds: float) -> ApprovalTrigger:
    return Approvals(
        ti_id=str(uuid4()),
        model_package_arn=package,
        deadline=now + ends_in_seconds,
        ticket=ticket(BoardStage.APPROVE),
        poll_seconds=3.0,
        aws_conn_id=None,
        first_look=now - age_seconds,
    )


def watch(now: float, age_seconds: float, ends_in_seconds: float) -> TrialTrigger:
    """The wait of a trial that has too few requests to end before its time."""
    return TrialTrigger(
        endpoint_name="waiting-cost",
        began=now - age_seconds,
        deadline=now + ends_in_seconds,
        invocations=100,
        ticket=ticket(BoardStage.PRD),
        poll_seconds=3.0,
        aws_conn_id=None,
        first_look=now - age_seconds,
    )


async def last_event(trigger) -> dict:
    (event,) = [event.payload async for event in trigger.run()]
    return event


@pytest.fixture
def pauses(clock, monkeypatch) -> None:
    """Let pauses take no time but the clock's."""

    async def sleep(seconds):
        clock[0] += seconds

    monkeypatch.setattr(polling, "sleep", sleep)


def calls_of(aws, act) -> tuple[object, Counter]:
    """What an act returns, and the calls that it made."""
    since = len(aws.asked())
    answer = act()
    return answer, Counter(line["operation"] for line in aws.asked()[since:])


@pytest.mark.parametrize(("age_seconds", "most"), [(0.0, 21), (HOUR, 2), (DAY, 2)])
def test_the_calls_of_a_waiting_approval_in_a_minute_by_its_age(local_aws, package, clock, pauses, age_seconds, most):
    waiting = approval(package, clock[0], age_seconds, 60)
    event, calls = calls_of(local_aws, lambda: asyncio.run(last_event(waiting)))
    assert event == {"outcome": "timeout"}
    assert calls == {"DescribeModelPackage": most, "GetObject": most}


@pytest.mark.parametrize(("age_seconds", "most"), [(0.0, 21), (HOUR, 2), (20 * DAY, 2)])
def test_the_calls_of_a_trial_in_a_minute_by_its_age(local_aws, clock, pauses, age_seconds, most):
    waiting = watch(clock[0], age_seconds, 60)
    event, calls = calls_of(local_aws, lambda: asyncio.run(last_event(waiting)))
    assert event["outcome"] == "reached"
    # The last look, at the end of its time, reads no figures: the task does.
    assert calls == {"GetObject": most, "GetMetricData": most - 1}


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


@pytest.mark.parametrize("hours", [2, 12])
def test_a_trial_is_judged_by_as_many_listings_however_long_it_was(local_aws, monkeypatch, hours):
    """And each object of its hours is read once; those before and after it are not."""
    lead_hooks_to(local_aws.endpoint_url, monkeypatch)
    s3, began = local_aws.client("s3"), datetime(2026, 5, 2, 23, 0, 30, tzinfo=UTC).timestamp()
    place, variants = f"trial-cost-{hours}", ("model-a", "model-b")
    for hour in range(-2, hours + 2):
        at = datetime.fromtimestamp(began + hour * HOUR, UTC)
        folders = [f"{place}/truth", *(f"{place}/captured/endpoint/{variant}" for variant in variants)]
        lines = [truth(str(hour), "1"), *[capture(str(hour), "1", at=at.isoformat())] * 2]
        for folder, line in zip(folders, lines, strict=True):
            s3.put_object(Bucket=BUCKET, Key=f"{folder}/{at:%Y/%m/%d/%H}/1.jsonl", Body=line.encode())
    span, home = (began, began + (hours - 1) * HOUR), f"s3://{BUCKET}/{place}"
    kinds = dict.fromkeys(variants, Answers.UNKNOWN)
    truths = GroundTruth(aws_conn_id=None)
    found, calls = calls_of(
        local_aws, lambda: truths.hits(f"{home}/captured", f"{home}/truth/", "endpoint", span, kinds)
    )
    assert found == dict.fromkeys(variants, Hits(hours, hours))
    assert calls == {"ListObjectsV2": 3, "GetObject": 3 * hours}
    metrics = TrialMetrics(aws_conn_id=None)
    _, calls = calls_of(local_aws, lambda: metrics.variant_figures("waiting-cost", variants, *span))
    assert calls == {"GetMetricData": 1}
