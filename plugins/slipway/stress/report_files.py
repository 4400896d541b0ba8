"""The files of a stress test's report: report.json for machines, report.html for people."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
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


def write(folder: Path, result: LoadResult, verdict: SloVerdict, evidence: Mapping[str, Any]) -> None:
    """Write both files into a folder, for a load that a person has started.

    :param folder: where they go; it exists
    :param result: the run
    :param verdict: the verdict on it
    :param evidence: as for `document`
    """
    report = document(result, verdict, evidence)
    for file in (machine_readable(report), page(report)):
        (folder / file.name).write_text(file.content, encoding="utf-8")


def add_evidence(
    folder: Path,
    result: LoadResult,
    verdict: SloVerdict,
    order: StressOrder,
    began: datetime,
    watch_seconds: float,
    say: Callable[[str, str | None], None],
) -> None:
    """Wait for CloudWatch, and write both files again with what AWS says; Ctrl-C leaves that out.

    :param folder: where `write` has written them
    :param result: the run
    :param verdict: the verdict on it
    :param order: the load
    :param began: when it began, with a time zone
    :param watch_seconds: how long to wait
    :param say: prints a line in a style
    """
    try:
        if watch_seconds > 0:
            say(f"Waiting {watch_seconds:g} s for CloudWatch's figures; Ctrl-C leaves them out", None)
            time.sleep(watch_seconds)
        found = evidence(order, began, aws_conn_id=None)
        write(folder, result, verdict, found)
        for part, why in found["missing"].items():
            say(f"The report lacks {part}: {why}", "yellow")
    except KeyboardInterrupt:
        say("The report lacks CloudWatch's figures", "yellow")


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
