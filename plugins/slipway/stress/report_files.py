"""The files of a stress test's report: report.json for machines, report.html for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from slipway.formats.json_numbers import json_value

if TYPE_CHECKING:
    from slipway.load.result import LoadResult
    from slipway.load.slo import SloVerdict
    from slipway.stress.order import StressOrder

PAGE = "report.html"


@dataclass(frozen=True)
class ReportFile:
    """One file of a report."""

    name: str
    content: str
    content_type: str


def prepare() -> None:
    """Import what draws the page: that takes seconds, which a task that is told to end does not have."""
    import matplotlib.figure  # noqa: F401

    import slipway.load_report.page  # noqa: F401


def document(result: LoadResult, verdict: SloVerdict, evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Put together what is known about a run.

    :param result: the run
    :param verdict: the verdict on it
    :param evidence: what AWS says about the endpoint in that time; empty where AWS was not asked
    :returns: JSON that `slipway.load_report.page` renders
    """
    return {"load": json.loads(result.to_json()), "verdict": verdict.to_json(), **evidence}


def evidence(order: StressOrder, began: datetime, *, aws_conn_id: str | None) -> dict[str, Any]:
    """Ask AWS about the endpoint since a load began.

    :param order: the load
    :param began: when it began, with a time zone
    :param aws_conn_id: Airflow connection with the AWS credentials
    :returns: as `slipway.load_report.evidence.collect`, with the reason for each missing part
    """
    from slipway.aws.autoscaling import AutoScalingHook
    from slipway.aws.cloudwatch import CloudWatchHook
    from slipway.aws.sagemaker import SageMakerHook
    from slipway.load_report.evidence import collect

    return collect(
        order.endpoint_name,
        began,
        datetime.now(UTC),
        sagemaker=SageMakerHook(aws_conn_id=aws_conn_id),
        cloudwatch=CloudWatchHook(aws_conn_id=aws_conn_id),
        autoscaling=AutoScalingHook(aws_conn_id=aws_conn_id),
        model=order.model.prefix,
        environment=order.environment.value,
    )


def machine_readable(report: Mapping[str, Any]) -> ReportFile:
    """Return the file for machines, from what `document` returned."""
    text = json.dumps(json_value(report), indent=1, allow_nan=False)
    return ReportFile("report.json", f"{text}\n", "application/json")


def page(report: Mapping[str, Any]) -> ReportFile:
    """Return the file for people, from what `document` returned."""
    from slipway.load_report.page import render

    return ReportFile(PAGE, render(report), "text/html; charset=utf-8")


def summary(result: LoadResult, verdict: SloVerdict) -> dict[str, Any]:
    """Return a few figures of a run, for XCom and for approvers.

    :param result: the run
    :param verdict: the verdict on it
    """
    from slipway.load.tally import merged, milliseconds

    total = merged(phase.tally for phase in result.phases)
    return {
        "endpoint_name": result.plan["endpoint_name"],
        "passed": verdict.passed,
        "ended": result.ended,
        "limits": verdict.to_json()["limits"],
        "sent": total.sent,
        "answered": total.answered,
        "errors": total.errors.total(),
        "accuracy": total.right / total.answered if total.answered else None,
        "p99_ms": milliseconds(total.latency, 99),
        "variants": dict(total.variants),
    }
