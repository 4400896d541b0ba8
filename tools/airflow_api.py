"""A small client of Airflow's public API for one user.

https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html
"""

from __future__ import annotations

import contextlib
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any


class ApiError(Exception):
    """The API answered with an error."""

    def __init__(self, method: str, path: str, status: int, detail: str) -> None:
        super().__init__(f"{method} {path} → {status}: {detail}")
        self.status = status
        self.detail = detail


class AirflowApi:
    """The public API with one user's token; logs in again when the token has expired.

    :param timeout_seconds: for one request
    :param patience_seconds: how long reads are retried while Airflow restarts or is overloaded
    """

    def __init__(
        self, url: str, user: str, password: str, timeout_seconds: float = 30.0, patience_seconds: float = 120.0
    ) -> None:
        self.url = url.rstrip("/")
        self.user = user
        self._password = password
        self._timeout_seconds = timeout_seconds
        self._patience_seconds = patience_seconds
        self._token: str | None = None
        # Airflow is on this machine: the environment's proxy must not be used.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Call a path below /api/v2 and return the decoded answer.

        :raises ApiError: on an HTTP error.
        :raises OSError: when Airflow cannot be reached.
        """
        if query:
            path = f"{path}?{urllib.parse.urlencode(query, doseq=True)}"
        deadline = time.monotonic() + (self._patience_seconds if method == "GET" else 0.0)
        while True:
            try:
                return self.send(method, f"/api/v2{path}", body)
            except (OSError, ApiError) as error:
                if (isinstance(error, ApiError) and error.status < 500) or time.monotonic() >= deadline:
                    raise
            time.sleep(1)

    def send(self, method: str, path: str, body: Any) -> Any:
        """Call any path once and return the decoded answer.

        :raises ApiError: on an HTTP error.
        :raises OSError: when Airflow cannot be reached.
        """
        if self._token is None:
            self._login()
        try:
            return self._send(method, path, body)
        except ApiError as error:
            if error.status != 401:
                raise
        self._login()
        return self._send(method, path, body)

    def health(self) -> dict[str, Any]:
        """Return the health of Airflow's components; needs no login."""
        answer: dict[str, Any] = self._send("GET", "/api/v2/monitor/health", None)
        return answer

    def guard(self) -> str:
        """Return "active" if Slipway guards approvals there, else "inactive" and why; needs no login."""
        try:
            answer = self._send("GET", "/slipway/guard/health", None)
        except ApiError as error:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                return f"inactive: {json.loads(error.detail)['why']}"
            return f"inactive: HTTP {error.status}"
        except OSError as error:
            return f"inactive: no answer ({type(error).__name__})"
        except ValueError:
            # Airflow answers every unknown path with its own page.
            return "inactive: Slipway's plugin is not loaded"
        return "active" if answer == {"guard": "active"} else f"inactive: {answer}"

    def dag_ids(self) -> set[str]:
        return {dag["dag_id"] for dag in self.call("GET", "/dags", limit=100)["dags"]}

    def import_errors(self) -> list[dict[str, Any]]:
        """Return the import errors, each with filename and stack_trace."""
        errors: list[dict[str, Any]] = self.call("GET", "/importErrors")["import_errors"]
        return errors

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the DAG's runs, the newest first."""
        answer = self.call("GET", f"/dags/{_quoted(dag_id)}/dagRuns", order_by="-run_after", limit=50)
        runs: list[dict[str, Any]] = answer["dag_runs"]
        return runs

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        run: dict[str, Any] = self.call("GET", _run_path(dag_id, run_id))
        return run

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Start a run as the UI's trigger form does, and return its run id."""
        body = {"logical_date": None, "conf": conf}
        run_id: str = self.call("POST", f"/dags/{_quoted(dag_id)}/dagRuns", body)["dag_run_id"]
        return run_id

    def tasks(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """Return the run's task instances by task id."""
        answer = self.call("GET", f"{_run_path(dag_id, run_id)}/taskInstances", limit=100)
        return {task["task_id"]: task for task in answer["task_instances"]}

    def task(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """Return one task instance, for much less of the server's time than all."""
        task: dict[str, Any] = self.call("GET", f"{_run_path(dag_id, run_id)}/taskInstances/{_quoted(task_id)}")
        return task

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """Return a task's XCom, or None."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{_quoted(task_id)}/xcomEntries/{_quoted(key)}"
        try:
            value = self.call("GET", path, stringify="false")["value"]
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return value

    def log_lines(self, dag_id: str, run_id: str, task_id: str, try_number: int) -> list[str]:
        """Return the task's log as plain lines, errors with their details."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{_quoted(task_id)}/logs/{try_number}"
        content = self.call("GET", path, full_content="true")["content"]
        return [_line(entry) for entry in content]

    def approval(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any] | None:
        """Return a task's question to a person (subject, body, options, answer), or None while there is none."""
        try:
            detail: dict[str, Any] = self.call("GET", _approval_path(dag_id, run_id, task_id))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return detail

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str, **params: Any) -> dict[str, Any]:
        """Answer a task's question as this user, with the other inputs of the form in params."""
        body = {"chosen_options": [option], "params_input": params}
        answer: dict[str, Any] = self.call("PATCH", _approval_path(dag_id, run_id, task_id), body)
        return answer

    def run_url(self, dag_id: str, run_id: str) -> str:
        """Return the URL of the run's page in the UI."""
        return f"{self.url}/dags/{_quoted(dag_id)}/runs/{_quoted(run_id)}"

    def _login(self) -> None:
        self._token = None
        body = {"username": self.user, "password": self._password}
        self._token = self._send("POST", "/auth/token", body)["access_token"]

    def _send(self, method: str, path: str, body: Any) -> Any:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310 (http, loopback)
        try:
            with self._opener.open(request, timeout=self._timeout_seconds) as response:
                text = response.read().decode()
        except urllib.error.HTTPError as error:
            raise ApiError(method, path, error.code, error.read().decode(errors="replace")) from None
        return json.loads(text) if text else None


def _quoted(identifier: str) -> str:
    return urllib.parse.quote(identifier, safe="")


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{_quoted(dag_id)}/dagRuns/{_quoted(run_id)}"


def _approval_path(dag_id: str, run_id: str, task_id: str) -> str:
    return f"{_run_path(dag_id, run_id)}/taskInstances/{_quoted(task_id)}/-1/hitlDetails"


def _line(entry: Any) -> str:
    """Return a structured log record as a line of text."""
    if not isinstance(entry, dict):
        return str(entry)
    text = str(entry.get("event", ""))
    for detail in entry.get("error_detail") or []:
        text += f"\n{detail.get('exc_type', '')}: {detail.get('exc_value', '')}"
    return text
