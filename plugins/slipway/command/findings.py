"""What `doctor` finds: good, wrong with a fix, or not to be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from slipway.command.errors import CommandError


class State(StrEnum):
    """How something is."""

    OK = "ok"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    :param about: what was looked at
    :param found: what was found, in words
    :param fix: what to do about it
    """

    about: str
    state: State
    found: str = ""
    fix: str = ""

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def ok(about: str, found: str = "") -> Finding:
    """Say that something is as it should be."""
    return Finding(about, State.OK, found)


def problem(about: str, found: str, fix: str) -> Finding:
    """Say what is wrong and what to do."""
    return Finding(about, State.PROBLEM, found, fix)


def unknown(about: str, why: str, fix: str = "") -> Finding:
    """Say why something cannot be told."""
    return Finding(about, State.UNKNOWN, why, fix)


def not_checked(about: str, because_of: str) -> Finding:
    """Say that something was not looked at because of another finding."""
    return Finding(about, State.UNKNOWN, f"not checked, because of: {because_of}")


@contextmanager
def looking(
    about: str, into: list[Finding], *, otherwise: State = State.PROBLEM, then: Iterable[str] = ()
) -> Iterator[None]:
    """Make a finding of an error in the block.

    :param about: what the block looks at
    :param into: gets the finding
    :param otherwise: what an error means
    :param then: what cannot be looked at after an error
    """
    try:
        yield
    except CommandError as error:
        why = ": ".join(part for part in (error.what, error.why) if part)
        into.append(Finding(about, otherwise, why, error.fix or ""))
        into += [not_checked(one, about) for one in then]
