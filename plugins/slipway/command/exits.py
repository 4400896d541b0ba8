"""The exit codes of `slipway`, which are the same for all commands."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    WAITS = 3
    REFUSED = 4
    REJECTED = 5
    SUPERSEDED = 6
    UNREACHABLE = 7
    NO_ACCESS = 8
    NOT_FOUND = 9
    INTERRUPTED = 130


MEANINGS = {
    Exit.DONE: "done; of `submit`: the release is in production",
    Exit.FAILED: "it failed: a release, a load that broke its limits, or a check of the account",
    Exit.USAGE: "the command line is wrong",
    Exit.WAITS: "the release waits for a person's answer",
    Exit.REFUSED: "refused: the zip, the load, or something that you may not do",
    Exit.REJECTED: "a person rejected the release, or nobody answered in time",
    Exit.SUPERSEDED: "a newer release took this one's place",
    Exit.UNREACHABLE: "Airflow or AWS does not answer, or answers with an error of its own",
    Exit.NO_ACCESS: "not logged in to Airflow, or no valid AWS credentials",
    Exit.NOT_FOUND: "there is no such model, release, endpoint or file",
    Exit.INTERRUPTED: "Ctrl-C; what Airflow has begun goes on",
}
