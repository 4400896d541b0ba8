"""The link from a stress test to its report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, BaseOperatorLink

from slipway.host.link_buttons import keep
from slipway.host.xcoms import read_xcom

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import TaskInstanceKey


class StressReportLink(BaseOperatorLink):
    """Link to the report.

    The bucket is private, so the link is a presigned URL, valid for a week. Airflow makes the link in the worker, at
    the end of the task, and stores it.
    """

    name = "Stress report"
    key = "stress_report"

    @classmethod
    def persist(cls, context: Context | Mapping[str, Any], aws_conn_id: str | None, bucket: str, key: str) -> None:
        """Store where the report is.

        :param context: the task's Airflow context
        :param aws_conn_id: Airflow connection with the AWS credentials
        :param bucket: the bucket
        :param key: the HTML file's key
        """
        value = {"aws_conn_id": aws_conn_id, "bucket": bucket, "key": key}
        context["ti"].xcom_push(key=cls.key, value=value)
        if isinstance(operator := context.get("task"), BaseOperator):
            keep(operator, cls())

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the report, or an empty text where there is none."""
        report = read_xcom(ti_key, self.key)
        if not report:
            return ""
        # Imported here: the API server also loads links, but never calls AWS.
        from slipway.stress.report_hook import StressReportHook

        return StressReportHook(aws_conn_id=report["aws_conn_id"]).address(report["bucket"], report["key"])
