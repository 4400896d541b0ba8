"""The endpoint that a request has reached, as Starlette matched it.

Starlette writes the matched endpoint and the path's parameters into the request's scope. A pattern of our own could
match other paths than Starlette's.
https://www.starlette.io/routing/
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

_PUBLIC = "airflow.api_fastapi.core_api.routes.public"
MARK_TASK = f"{_PUBLIC}.task_instances.patch_task_instance"
MARK_TASK_DRY_RUN = f"{_PUBLIC}.task_instances.patch_task_instance_dry_run"
ANSWER = f"{_PUBLIC}.hitl.update_hitl_detail"
TRIGGER = f"{_PUBLIC}.dag_run.trigger_dag_run"


class Route:
    """The endpoint that a request has reached, and its path's parameters.

    :param scope: the request's ASGI scope; empty if there is no request
    """

    def __init__(self, scope: Mapping[str, Any] | None = None) -> None:
        self._scope = scope or {}

    def leads_to(self, *endpoints: str) -> bool:
        """Tell whether the request has reached one of these endpoints, named by module and function."""
        endpoint = self._scope.get("endpoint")
        return f"{getattr(endpoint, '__module__', '')}.{getattr(endpoint, '__qualname__', '')}" in endpoints

    @property
    def task(self) -> tuple[str, str, str]:
        """DAG id, run id and task id; empty if the path names none."""
        found = self._scope.get("path_params", {})
        dag_id, run_id, task_id = (str(found.get(name, "")) for name in ("dag_id", "dag_run_id", "task_id"))
        return dag_id, run_id, task_id

    @property
    def map_index(self) -> int:
        """The map index; -1 if the path names none."""
        found = str(self._scope.get("path_params", {}).get("map_index", ""))
        return int(found) if found.isdecimal() else -1

    @property
    def marked(self) -> tuple[str, str, str] | None:
        """DAG id, run id and task id where the request sets the state of one task and of no others."""
        return self.task if self.leads_to(MARK_TASK) else None


def has_control_character(scope: Mapping[str, Any]) -> bool:
    """Tell whether a path has a control character, also one that is encoded twice.

    Starlette's patterns end in ``$``, which matches before a final newline.
    https://docs.python.org/3.11/library/re.html#regular-expression-syntax

    :param scope: the request's ASGI scope
    """
    path = scope["path"]
    raw = scope.get("raw_path") or b""
    written = f"{path}{unquote(path)}{unquote(unquote(raw.decode('latin-1')))}"
    return any(unicodedata.category(character) == "Cc" for character in written)
