"""Show a release while it runs, and wait for a person where the release does."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from tools.airflow_api import AirflowApi

# The tasks of a release, and those of the build of an image.
STAGES = {
    "source": "pin the uploaded version",
    "process_request": "check the zip against the model's policy",
    "train": "SageMaker training job",
    "evaluate": "metrics against the gates",
    "register": "SageMaker Model Registry",
    "deploy_dev": "CloudFormation, development endpoint",
    "test_dev": "test development with the held-out rows",
    "stress_dev": "stress test of development, if the model file asks for it",
    "approve": "a person decides",
    "deploy_prd": "CloudFormation, production endpoint",
    "test_prd": "test production with the held-out rows",
    "watch_trial": "both models of an A/B trial, if the model file has one",
    "decide_trial": "a person or the rule decides the trial",
    "settle_trial": "promote, keep or retire the new model",
    "collect_garbage": "remove what superseded releases left behind",
}
IMAGE_STAGES = {
    "source": "pin the uploaded version",
    "check_source": "check the source against the model file",
    "build": "CodeBuild: build the image and push it to ECR",
    "scan": "ECR's scan against the model file",
    "record": "the newest image of the model",
}
APPROVAL = "approve"
STYLES = {
    "success": ("✓", "green"),
    "failed": ("✗", "red"),
    "upstream_failed": ("·", "red"),
    "skipped": ("·", "yellow"),
    "up_for_retry": ("↻", "yellow"),
}
WAITING = {"deferred", "awaiting_input"}
POLL_SECONDS = 1.0


class Release:
    """One run, read from the public API by poll().

    :param stages: its tasks in their order, each with its purpose
    """

    def __init__(self, api: AirflowApi, dag_id: str, run_id: str, stages: dict[str, str] = STAGES) -> None:
        self.stages = stages
        self.api = api
        self.dag_id = dag_id
        self.run_id = run_id
        self.state = "queued"
        self.tasks: dict[str, dict[str, Any]] = {}
        self.notes: dict[str, str] = {}
        self.waits_for_person = False

    @property
    def finished(self) -> bool:
        return self.state in ("success", "failed")

    @property
    def url(self) -> str:
        return self.api.run_url(self.dag_id, self.run_id)

    @property
    def approval_url(self) -> str:
        return f"{self.url}/tasks/{APPROVAL}/required_actions"

    def poll(self) -> None:
        """Read the states of the run and its tasks, and the results of tasks that have succeeded."""
        state = self.api.run(self.dag_id, self.run_id)["state"]
        self.tasks = self.api.tasks(self.dag_id, self.run_id)
        for task_id, task in self.tasks.items():
            if task["state"] == "success" and task_id not in self.notes:
                self.notes[task_id] = note(task_id, self.api.xcom(self.dag_id, self.run_id, task_id))
        # A retry may wait before it has asked again.
        waits = self.tasks.get(APPROVAL, {}).get("state") in WAITING
        self.waits_for_person = waits and self.api.approval(self.dag_id, self.run_id, APPROVAL) is not None
        self.state = state

    def failures(self) -> list[str]:
        """Return the tasks that failed themselves, in the order of the release."""
        return [name for name in self.stages if self.tasks.get(name, {}).get("state") == "failed"]

    def error_of(self, task_id: str) -> list[str]:
        """Return the lines of a failed task's log that say why."""
        lines = self.api.log_lines(self.dag_id, self.run_id, task_id, self.tasks[task_id]["try_number"])
        telling = [line for line in lines if "\n" in line or "error" in line.lower() or "fail" in line.lower()]
        return (telling or lines)[-3:]


def note(task_id: str, value: Any) -> str:
    """Return a task's result in a few words."""
    if not isinstance(value, dict):
        return ""
    if task_id == "source":
        return f"version {value.get('version_id', '')}"
    if task_id == "process_request":
        return str(value.get("training_job_name", ""))
    if task_id == "build":
        return f"{value.get('tag', '')} {value.get('digest', '')[:19]}"
    if task_id == "scan":
        found = [f"{count} {severity.lower()}" for severity, count in value.get("findings", {}).items()]
        return f"found {', '.join(found) or 'nothing'}"
    if task_id in ("train", "evaluate"):
        return "  ".join(f"{name} {number:.4g}" for name, number in sorted(value.get("metrics", {}).items()))
    if task_id == "register":
        return f"model package version {value.get('version', '')}"
    if task_id.startswith("deploy"):
        return f"{value.get('stack_name', '')} {value.get('change', '')}"
    if task_id.startswith("test"):
        latency = value.get("latency_ms", {})
        share = f"accuracy {value.get('accuracy', 0):.3f} of {value.get('rows', 0)} rows"
        return f"{share}, p50 {latency.get('p50', 0):.1f} ms, p99 {latency.get('p99', 0):.1f} ms"
    if task_id == APPROVAL:
        return f"{value.get('decision', '')} by {value.get('decided_by', '')}"
    if task_id == "watch_trial":
        return str(value.get("no_trial", ""))
    if task_id == "decide_trial":
        return f"{value.get('verdict', '')} by {value.get('decided_by', '')}"
    if task_id == "settle_trial":
        return str(value.get("outcome", ""))
    if task_id == "collect_garbage":
        return f"{len(value.get('revisions', ()))} releases, {value.get('bytes', 0)} bytes removed"
    return ""


class Display:
    """Show a live table in a terminal; elsewhere, print a line when a task changes its state."""

    def __init__(self, console: Console, release: Release) -> None:
        self._console = console
        self._release = release
        self._shown: dict[str, str] = {}
        self._spinner = Spinner("dots")
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=8)

    def follow(self, until: Callable[[Release], bool]) -> None:
        """Show the release until the condition is true."""
        if self._console.is_terminal:
            with self._live:
                self._poll(until)
            self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=8)
        else:
            self._poll(until)

    def _poll(self, until: Callable[[Release], bool]) -> None:
        while True:
            self._release.poll()
            if not self._console.is_terminal:
                self._print_changes()
            if until(self._release):
                return
            time.sleep(POLL_SECONDS)

    def _print_changes(self) -> None:
        for name in self._release.stages:
            task = self._release.tasks.get(name, {})
            state = task.get("state") or "waiting"
            if state not in ("waiting", "scheduled", "queued") and self._shown.get(name) != state:
                self._shown[name] = state
                text = self._release.notes.get(name, "") if state == "success" else ""
                self._console.print(f"{name:16} {state:12} {_elapsed(task):>6}  {text}".rstrip())

    def _render(self) -> RenderableType:
        table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
        for name, purpose in self._release.stages.items():
            if self._release.tasks and name not in self._release.tasks:
                continue
            task = self._release.tasks.get(name, {})
            state = task.get("state") or "waiting"
            mark: RenderableType
            if state in STYLES:
                symbol, style = STYLES[state]
                mark = Text(symbol, style=style)
            elif state == "waiting":
                mark, style = Text("·", style="dim"), "dim"
            else:
                mark, style = self._spinner, "cyan"
            table.add_row(
                mark,
                Text(name, style=style),
                Text(state, style=style),
                Text(_elapsed(task), style="dim"),
                Text(self._release.notes.get(name) or purpose, style="" if state == "success" else "dim"),
            )
        return Group(table)


def _elapsed(task: dict[str, Any]) -> str:
    if not task.get("start_date"):
        return ""
    begun = datetime.fromisoformat(task["start_date"])
    ended = datetime.fromisoformat(task["end_date"]) if task.get("end_date") else datetime.now(UTC)
    return f"{max((ended - begun).total_seconds(), 0):.0f} s"


def ask_person(console: Console, release: Release, user: str, password: str) -> None:
    """Print where to decide, as which user, and what to press."""
    text = (
        f"1. Open   [link={release.approval_url}]{release.approval_url}[/link]\n"
        f"2. Log in as [bold]{user}[/bold] with [bold]{password}[/bold]\n"
        "3. Read the facts, then press [bold green]Approve[/bold green] or [bold red]Reject[/bold red]\n\n"
        "This demo goes on after your answer. Ctrl-C ends the demo; the release waits for you in Airflow."
    )
    # Without a box around it: a box cuts the address off in a narrow terminal.
    console.print("[bold yellow]Shall this model be put into production?[/bold yellow]")
    console.print(text, soft_wrap=True)
