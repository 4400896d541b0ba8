"""Follows a run to its end or to a question, and says how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from rich.console import Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from slipway.command.airflow import Airflow, quoted
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.output import STYLES, Output
from slipway.command.views import show_failure, show_figures
from slipway.waiting.pacing import pause_by_age

_Result = TypeVar("_Result")

POLL_SECONDS = 1.0
# Airflow may be restarted meanwhile.
PATIENCE_SECONDS = 120.0
_ENDED = ("success", "failed")
_KINDS = {
    "Rejected": Exit.REJECTED,
    "RequestRefused": Exit.REFUSED,
    "PolicyViolation": Exit.REFUSED,
    "ReleasedAlready": Exit.REFUSED,
    "RollBackRefused": Exit.REFUSED,
    "Superseded": Exit.SUPERSEDED,
    "ReleasedMeanwhile": Exit.SUPERSEDED,
}
_QUIET = (None, "", "none", "scheduled", "queued", "skipped")


def poll(look: Callable[[], _Result | None], seen: Callable[[], object]) -> _Result:
    """Look until there is a result, ever less often while nothing changes; Airflow may stay away for a while.

    :param look: asks Airflow once; None while it goes on
    :param seen: returns what the last look has shown, which is another value when something has changed
    :raises CommandError: when Airflow refuses, or stays away
    """
    gone_since: float | None = None
    before, changed_at = seen(), time.monotonic()
    while True:
        pause_seconds = POLL_SECONDS
        try:
            if (found := look()) is not None:
                return found
            gone_since = None
            if (now := seen()) != before:
                before, changed_at = now, time.monotonic()
            # A question may wait for days.
            pause_seconds = pause_by_age(time.monotonic() - changed_at, POLL_SECONDS)
        except CommandError as error:
            gone_since = gone_since or time.monotonic()
            if error.code is not Exit.UNREACHABLE or time.monotonic() - gone_since > PATIENCE_SECONDS:
                raise
        time.sleep(pause_seconds)


def result_of(release: Mapping[str, Any]) -> Exit | None:
    """Say how a release stands: an exit code, or None while it goes on by itself.

    :param release: the board's document
    """
    if release["state"] not in _ENDED:
        return Exit.WAITS if release["decisions"] else None
    kinds = [_KINDS[one["kind"]] for one in release["failures"] if one["kind"] in _KINDS]
    if release["state"] == "success":
        return next((kind for kind in kinds if kind is Exit.SUPERSEDED), Exit.DONE)
    return next((kind for kind in kinds if kind is not Exit.SUPERSEDED), Exit.FAILED)


class Follower:
    """Shows a run while it goes on: a live table at a terminal, elsewhere a line for each change."""

    def __init__(self, airflow: Airflow, model: str, run_id: str, output: Output) -> None:
        self._airflow = airflow
        self._model = model
        self._run_id = run_id
        self._output = output
        self._release: dict[str, Any] = {}
        self._shown: dict[str, str] = {}
        self._spinner = Spinner("dots")

    def follow(self, *, past_questions: bool) -> tuple[dict[str, Any], Exit]:
        """Follow the run.

        :param past_questions: whether to wait for people's answers too
        :returns: the board's document of the release, and how it stands
        :raises CommandError: when Airflow stays away, or the person has had enough
        """
        try:
            if self._output.interactive:
                with Live(get_renderable=self._render, console=self._output.err, refresh_per_second=8):
                    return poll(lambda: self._look(past_questions), self._seen)
            return poll(lambda: self._look(past_questions), self._seen)
        except KeyboardInterrupt as error:
            raise CommandError(
                "You no longer follow this release",
                where=self._airflow.run_url(self._model, self._run_id),
                why="you pressed Ctrl-C; the release goes on in Airflow",
                fix=f"to follow it again: slipway status {self._model} '{self._run_id}' --follow",
                code=Exit.INTERRUPTED,
            ) from error

    def _look(self, past_questions: bool) -> tuple[dict[str, Any], Exit] | None:
        self._release = self._airflow.board(f"releases/{quoted(self._model)}/{quoted(self._run_id)}")
        if not self._output.interactive:
            self._print_changes()
        result = result_of(self._release)
        if result is None or (result is Exit.WAITS and past_questions):
            return None
        return self._release, result

    def _seen(self) -> object:
        # A task may have run and wait again between two looks, for another question.
        questions = [(one["subject"], one["waits_for"]) for one in self._release.get("decisions", ())]
        return questions, [(task["task_id"], task["state"]) for task in self._release.get("tasks", ())]

    def _print_changes(self) -> None:
        for task in self._release["tasks"]:
            state = task["state"]
            if state not in _QUIET and self._shown.get(task["task_id"]) != state:
                self._shown[task["task_id"]] = state
                self._output.note(f"{task['task_id']:16} {state:12} {_elapsed(task):>7}".rstrip())
        for decision in self._release["decisions"]:
            text = f"{decision['subject']} {decision['waits_for']}"
            if self._shown.get("question") != text:
                self._shown["question"] = text
                self._output.note(text)

    def _render(self) -> RenderableType:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for task in self._release.get("tasks", ()):
            state = task["state"] or ""
            going = state in ("running", "deferred", "restarting", "awaiting_input")
            mark: RenderableType = self._spinner if going else {"success": "✓", "failed": "✗"}.get(state, "·")
            style = STYLES.get(state, "dim" if state in _QUIET else "")
            table.add_row(mark, task["task_id"], Text(state, style=style), _elapsed(task))
        title = self._release.get("name") or self._run_id
        questions = [
            Text(f"{one['subject']} {one['waits_for']}", style="bold yellow")
            for one in self._release.get("decisions", ())
        ]
        return Group(Text(f"{self._model} {title}", style="bold"), table, *questions)


def _elapsed(task: Mapping[str, Any]) -> str:
    if not task["started"]:
        return ""
    end = datetime.fromisoformat(task["ended"]) if task["ended"] else datetime.now(UTC)
    seconds = max(0, int((end - datetime.fromisoformat(task["started"])).total_seconds()))
    return f"{seconds // 60}:{seconds % 60:02}"


def conclude(release: Mapping[str, Any], result: Exit, airflow: Airflow, output: Output) -> Exit:
    """Print how a release ended, for people, or the board's document with the exit code.

    :returns: the exit code
    """
    output.json({**release, "exit_code": int(result)})
    model, run_id = release["model"], release["run_id"]
    name = f"{model} {release['name'] or run_id}"
    for failure in release["failures"]:
        show_failure(failure, output)
    if result is Exit.DONE:
        show_figures(release["figures"], output)
        verb = "is done" if not release["is_live"] else "is in production"
        output.text(f"{name} {verb}.", style="green")
    elif result is Exit.WAITS:
        show_figures(release["figures"], output)
        for one in release["decisions"]:
            command = "trial" if one["task_id"] == "decide_trial" else "approve"
            output.text(f"{name} waits for an answer: {one['waits_for']}", style="bold yellow")
            output.text(
                f"Answer it: slipway {command} {model}. Then follow it: slipway status {model} '{run_id}' --follow"
            )
    else:
        text = {
            Exit.REJECTED: "was rejected",
            Exit.REFUSED: "was refused",
            Exit.SUPERSEDED: "gave way to another release",
        }.get(result, "failed")
        output.text(f"{name} {text}.", style="bold red")
    output.text(airflow.run_url(model, run_id))
    return result
