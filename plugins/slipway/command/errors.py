"""The error of every command: what failed, where, why, what to do, and the exit code; without Airflow's imports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typer import Abort

from slipway.command.exits import Exit


class CommandError(Exception):
    """A command cannot go on.

    :param what: what failed, as a clause without a full stop
    :param where: the file, field, address or resource
    :param why: the cause, in the words of whoever reported it
    :param fix: what the person can do
    :param code: the exit code
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        why: str | None = None,
        fix: str | None = None,
        code: Exit = Exit.FAILED,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix
        self.code = code

    def __str__(self) -> str:
        """Return all of it in a line."""
        parts = ": ".join(part for part in (self.what, self.where, self.why) if part)
        return f"{parts}. Fix: {self.fix}" if self.fix else parts

    def document(self) -> dict[str, Any]:
        """Return the error as JSON has it."""
        parts = {"what": self.what, "where": self.where, "why": self.why, "fix": self.fix}
        return {"error": parts, "exit_code": int(self.code)}


@contextmanager
def interrupted(where: object, done: str, fix: str | None = None) -> Iterator[None]:
    """Say what has happened and what has not when the person presses Ctrl-C in the block.

    :param where: what the command works on
    :param done: how far it is in the block
    :param fix: what to do then
    :raises CommandError: after Ctrl-C
    """
    # typer makes an Abort of a Ctrl-C at a question.
    try:
        yield
    except (KeyboardInterrupt, Abort) as error:
        raise CommandError("You pressed Ctrl-C", where=str(where), why=done, fix=fix, code=Exit.INTERRUPTED) from error


def of_release(error: Exception, code: Exit = Exit.REFUSED) -> CommandError:
    """Make an error of the command line of one of the release's own.

    :param error: a SlipwayError
    :param code: the exit code
    """
    parts = (getattr(error, name, None) for name in ("what", "resource", "why", "fix"))
    what, where, why, fix = parts
    return CommandError(what or str(error), where=where, why=why, fix=fix, code=code)
