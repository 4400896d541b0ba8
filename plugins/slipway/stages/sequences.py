"""Sequences: the moments that order the releases of a model. A valid one is not in the future."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from slipway.errors import PermanentError

# How much two clocks may differ: AWS refuses requests from a clock that is off by more.
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html (RequestTimeTooSkewed)
CLOCK_SKEW = timedelta(minutes=15)


def fault(sequence: object) -> str | None:
    """Say why a sequence is invalid.

    A release of the future would be newer than every release until then.

    :param sequence: the value to check
    :returns: the reason as a clause; None when it is valid
    """
    try:
        moment = datetime.fromisoformat(str(sequence))
    except ValueError:
        return "is not an ISO 8601 time"
    if moment.tzinfo is None:
        return "has no time zone"
    return "is in the future" if moment > datetime.now(UTC) + CLOCK_SKEW else None


def is_older(sequence: str, deployed: str | None) -> bool:
    """Tell whether a release is older than what a stack serves, and can therefore never be deployed there again.

    :param sequence: the release's place, ISO 8601
    :param deployed: the sequence that the stack names, or None; an invalid one counts as None, since Slipway did not
        write it
    """
    if not deployed or fault(deployed):
        return False
    return datetime.fromisoformat(deployed) > datetime.fromisoformat(sequence)


def check(sequence: str, resource: str) -> str:
    """Refuse an invalid sequence.

    :param sequence: the release's place, ISO 8601
    :param resource: what has this sequence
    :returns: the same sequence
    :raises PermanentError: saying what is wrong with it
    """
    if why := fault(sequence):
        raise PermanentError(
            "The release has no place in the order of releases",
            resource=resource,
            why=f"its sequence {sequence[:40]!a} {why}",
            fix="check the clock of this machine, and who has written the release's claim.json below releases/ in the "
            "model's bucket; then upload the zip again",
        )
    return sequence
