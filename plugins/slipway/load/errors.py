"""Errors before any load is sent; errors of requests are counted, not raised."""

from __future__ import annotations


class LoadError(Exception):
    """The load cannot be run; the message says why and what to do.

    :param problem: what is wrong, without a full stop
    :param fix: what the reader can do about it
    """

    def __init__(self, problem: str, *, fix: str | None = None) -> None:
        self.problem = problem
        self.fix = fix
        super().__init__(f"{problem}. Fix: {fix}" if fix else problem)


class LoadRefused(LoadError):
    """The plan is above its caps, or cannot be sent."""


class UnreadableRows(LoadError):
    """A file or an object does not hold rows; reading it again does not help.

    :param where: its path or URI
    :param why: what is wrong with it
    """

    def __init__(self, where: str, why: str) -> None:
        self.where = where
        self.why = why
        super().__init__(f"Cannot read the rows of {where}: {why}")
