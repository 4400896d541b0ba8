"""The scan task: what ECR has found, compared with what the model file lets pass."""

import pytest
from airflow.sdk.exceptions import TaskDeferred

from slipway.aws.ecr import Finding, ScanResult
from slipway.errors import AwsError, ScanFailed
from slipway.images.scan import ScanImageOperator, too_much
from slipway.waiting.results import WaitOutcome, WaitResult
from tests.unit.image_samples import forest_model
from tests.unit.images.aws import DIGEST, Ecr
from tests.unit.task_runs import context, run_task

IMAGE = {"repository": "mlops-iris-forest", "digest": DIGEST}
FOUND = ScanResult(
    {"CRITICAL": 1, "HIGH": 2, "LOW": 9},
    [
        Finding("CVE-2", "HIGH", "curl 1"),
        Finding("CVE-1", "CRITICAL", "openssl 3"),
        Finding("CVE-3", "HIGH", ""),
    ],
)


@pytest.fixture
def ecr():
    return Ecr()


def operator(ecr, **bounds) -> ScanImageOperator:
    model = forest_model(**bounds)
    made = ScanImageOperator(task_id="scan", model=model, bounds=model.image.build)
    made.__dict__["ecr"] = ecr
    return made


def ctx() -> dict:
    return context({"build": IMAGE})


def test_a_clean_scan_passes_at_once(ecr):
    assert operator(ecr).execute(ctx()) == {"findings": {}}


def test_what_is_allowed_passes_and_is_counted(ecr):
    ecr.result = FOUND
    assert operator(ecr, max_findings={"CRITICAL": 1}).execute(ctx()) == {"findings": FOUND.counts}


def test_too_much_fails_and_names_the_findings(ecr):
    ecr.result = FOUND
    with pytest.raises(ScanFailed) as failure:
        operator(ecr, max_findings={"CRITICAL": 0, "HIGH": 1}).execute(ctx())
    assert failure.value.why.splitlines() == [
        "1 findings are CRITICAL, allowed are 0:",
        "CVE-1 in openssl 3",
        "2 findings are HIGH, allowed are 1:",
        "CVE-2 in curl 1",
        "CVE-3 in the image",
    ]
    assert "requirements.txt" in failure.value.fix


def test_who_bounds_another_severity_does_not_let_critical_findings_pass(ecr):
    ecr.result = FOUND
    with pytest.raises(ScanFailed, match="1 findings are CRITICAL, allowed are 0"):
        operator(ecr, max_findings={"HIGH": 2}).execute(ctx())


def test_many_findings_are_counted_not_all_named():
    many = ScanResult({"HIGH": 200}, [Finding(f"CVE-{n}", "HIGH", "x") for n in range(200)])
    lines = too_much(many, {"HIGH": 0})
    assert len(lines) == 22
    assert lines[-1] == "and 180 more problems"


@pytest.mark.parametrize("status", [None, "IN_PROGRESS", "PENDING"])
def test_a_scan_under_way_is_waited_for_without_a_slot(ecr, status):
    ecr.status, ecr.result = status, FOUND
    with pytest.raises(TaskDeferred):
        operator(ecr).execute(ctx())
    waits = WaitResult(WaitOutcome.REACHED, "COMPLETE").to_event().payload
    with pytest.raises(ScanFailed, match="CVE-1"):
        run_task(operator(ecr), ctx(), wait=lambda trigger: waits)


@pytest.mark.parametrize("status", ["FAILED", "UNSUPPORTED_IMAGE", "SCAN_ELIGIBILITY_EXPIRED", "LIMIT_EXCEEDED"])
def test_an_image_without_a_scan_is_not_recorded(ecr, status):
    ecr.status = status
    with pytest.raises(ScanFailed, match=f"no finished scan.*the scan is {status}"):
        operator(ecr).execute(ctx())


def test_a_wait_that_ends_without_a_scan_says_which_of_the_two(ecr):
    made = operator(ecr)
    for result, why in (
        (WaitResult(WaitOutcome.FAILED, "FAILED", "the layers cannot be read"), "FAILED the layers cannot be read"),
        (WaitResult(WaitOutcome.TIMEOUT), "it has not ended in time: ECR shows none"),
    ):
        with pytest.raises(ScanFailed, match=why):
            made.resume(ctx(), result.to_event().payload)
    with pytest.raises(AwsError, match="Cannot watch the image's scan"):
        made.resume(ctx(), WaitResult(WaitOutcome.REFUSED, reason="denied").to_event().payload)
