"""The XComs that links read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.execution_time.xcom import XCom

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


def read_xcom(ti_key: TaskInstanceKey, key: str) -> Any:
    """Read an XCom of a task instance, in the worker or in the API server.

    :param ti_key: the task instance
    :param key: the XCom's key
    :returns: its value; None if there is none
    """
    return XCom.get_value(key=key, ti_key=ti_key)
