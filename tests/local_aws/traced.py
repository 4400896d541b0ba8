"""Call AWS as a task and as a trigger of one run do, in spans that Airflow makes, and send them.

A program: tests/local_aws/test_tracing.py starts it, because a process has one tracer provider.
"""

import asyncio
import contextlib
from types import SimpleNamespace

import airflow.settings  # noqa: F401 (sets Airflow's tracer provider)
from airflow._shared.observability.traces import new_dagrun_trace_carrier, new_task_run_carrier
from airflow.jobs.triggerer_job_runner import _make_trigger_span
from airflow.sdk.execution_time.task_runner import _make_task_span
from botocore.exceptions import ClientError
from opentelemetry import trace

from slipway.aws.s3 import S3Hook


async def wait() -> None:
    """As a trigger does."""
    async with await S3Hook(aws_conn_id=None).get_async_conn() as client:
        with contextlib.suppress(ClientError):
            await client.head_bucket(Bucket="no-such-bucket")


if __name__ == "__main__":
    carrier = new_task_run_carrier(new_dagrun_trace_carrier())
    names = {"task_id": "train", "dag_id": "iris-model", "run_id": "r", "try_number": 1, "map_index": -1}
    ti = SimpleNamespace(context_carrier=carrier, **names)
    with _make_task_span(SimpleNamespace(ti=ti)):
        S3Hook(aws_conn_id=None).exists("no-such-bucket", "key")
    with _make_trigger_span(ti, 1, "wait"):
        asyncio.run(wait())
    trace.get_tracer_provider().force_flush()
