"""The DAG ``stress_test``: a form, and one task that sends what it asks for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow.sdk import DAG, Param

from slipway.load.plan import LAB_STAGES
from slipway.model.config import ModelConfig
from slipway.names import DAG_TAG
from slipway.stress.send import StressTestOperator

DAG_ID = "stress_test"
_LAB = ",".join(f"{stage.concurrency}:{stage.requests}" for stage in LAB_STAGES)


def build_stress_dag(models: Iterable[ModelConfig], documentation: str | None) -> DAG:
    """Build the DAG.

    :param models: what the form offers
    :param documentation: Markdown
    """
    with DAG(
        DAG_ID,
        schedule=None,
        catchup=False,
        is_paused_upon_creation=False,
        # The caps are those of one load at a time.
        max_active_runs=1,
        tags=[DAG_TAG],
        doc_md=documentation,
        params=_form([model.prefix for model in models if model.stress.allowed]),
    ) as dag:
        # Nothing is sent twice: who wants another load asks for it.
        StressTestOperator(task_id="stress", retries=0)
    return dag


def _form(prefixes: list[str]) -> dict[str, Param]:
    """The form of "Trigger" in the UI."""
    return {
        "model": Param(
            min(prefixes, default=None),
            type=["null", "string"],
            enum=[*sorted(prefixes), None],
            title="Model",
            description="Those whose model file allows load.",
        ),
        "environment": Param("dev", type="string", enum=["dev", "prd"], title="Environment"),
        "endpoint": _text("Endpoint", "An endpoint's name instead of model and environment."),
        "stages": _text(
            "Stages",
            f"Requests in flight and requests in all, such as `{_LAB}`, the stress test of AWS's MLOps lab, which is "
            "sent where the model file says nothing else.",
            examples=[_LAB, "10:1000"],
        ),
        "rate_rps": _number("Rate", "Instead of stages: requests due each second, whether others are answered or not."),
        "duration_seconds": _number("Duration", "Seconds for which the rate is kept."),
        "data": _text(
            "Data",
            "Labelled rows, label first: `s3://BUCKET/PREFIX`, which Airflow's role may read. Empty: those of `test`.",
        ),
        "target_variant": _text("Variant", "The production variant that shall answer. Empty: by the weights."),
        "max_error_share": _number("Errors at most", "Share of the requests, 0 to 1."),
        "p99_ms": _number("p99 at most", "Milliseconds."),
        "min_accuracy": _number("Accuracy at least", "Share of the answers that name the row's label, 0 to 1."),
        "watch_seconds": _number(
            "Watch on",
            "Seconds after the load until CloudWatch and auto scaling are asked for the report: CloudWatch has a "
            "minute's metrics once it has ended. Empty: as the model file says.",
        ),
    }


def _text(title: str, description: str, **more: Any) -> Param:
    return Param(None, type=["null", "string"], title=title, description=description, **more)


def _number(title: str, description: str) -> Param:
    return Param(None, type=["null", "number"], title=title, description=description)
