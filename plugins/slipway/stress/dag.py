"""The DAG ``stress_test``: a form, and one task that sends the load it asks for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow.sdk import DAG, Param

from slipway.load.phases import LAB_STAGES
from slipway.model.config import ModelConfig
from slipway.names import DAG_TAG, STRESS_TEST_DAG_ID
from slipway.stress.operators import StressTestOperator

_LAB = ",".join(f"{stage.concurrency}:{stage.requests}" for stage in LAB_STAGES)


def build_stress_dag(models: Iterable[ModelConfig], documentation: str | None) -> DAG:
    """Build the DAG.

    :param models: all models; the form offers those that allow load
    :param documentation: of the DAG, as Markdown
    """
    with DAG(
        STRESS_TEST_DAG_ID,
        schedule=None,
        catchup=False,
        is_paused_upon_creation=False,
        # The caps are for one load at a time.
        max_active_runs=1,
        tags=[DAG_TAG],
        doc_md=documentation,
        params=_form([model.prefix for model in models if model.stress.allowed]),
    ) as dag:
        # No load is sent twice unless somebody asks for it.
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
            description="Models whose model file allows load.",
        ),
        "environment": Param("dev", type="string", enum=["dev", "prd"], title="Environment"),
        "endpoint": _text("Endpoint", "An endpoint's name instead of model and environment."),
        "stages": _text(
            "Stages",
            f"Requests in flight and requests in all, such as `{_LAB}`: the stress test of AWS's MLOps lab, which is "
            "the default of model files.",
            examples=[_LAB, "10:1000"],
        ),
        "rate_rps": _number("Rate", "Instead of stages: requests due each second, whether or not others are answered."),
        "duration_seconds": _number("Duration", "How many seconds the rate is sent."),
        "data": _text(
            "Data",
            "Labelled rows, label first: `s3://BUCKET/PREFIX`, which Airflow's role may read. Empty: as in `test`.",
        ),
        "target_variant": _text("Variant", "The production variant to send to. Empty: by the weights."),
        "max_error_share": _number("Errors at most", "Share of the requests, 0 to 1."),
        "p99_ms": _number("p99 at most", "Milliseconds."),
        "min_accuracy": _number("Accuracy at least", "Share of the answers that are correct, 0 to 1."),
        "watch_seconds": _number(
            "Watch afterwards",
            "Seconds to wait after the load before CloudWatch and auto scaling are read for the report: CloudWatch has "
            "a minute's metrics once it has ended. Empty: as the model file says.",
        ),
    }


def _text(title: str, description: str, **more: Any) -> Param:
    return Param(None, type=["null", "string"], title=title, description=description, **more)


def _number(title: str, description: str) -> Param:
    return Param(None, type=["null", "number"], title=title, description=description)
