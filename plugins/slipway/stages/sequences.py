"""The places of releases in their order, which are moments: none that matters lies in the future."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from slipway.errors import PermanentError

# By so much may two clocks differ: AWS answers nobody whose clock differs by more.
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html (RequestTimeTooSkewed)
CLOCK_SKEW = timedelta(minutes=15)


def fault(sequence: object) -> str | None:
    """Say why a sequence is none.

    One of the future would stand before every release that comes, for as long as it lies ahead.

    :param sequence: what is given as one
    :returns: the reason as a clause; None when it is a moment up to now
    """
    try:
        moment = datetime.fromisoformat(str(sequence))
    except ValueError:
        return "is no moment in ISO 8601"
    if moment.tzinfo is None:
        return "has no time zone"
    return "lies in the future" if moment > datetime.now(UTC) + CLOCK_SKEW else None


def check(sequence: str, resource: str) -> str:
    """Refuse to make a release of the future.

    :param sequence: the release's place, ISO 8601
    :param resource: what has it
    :returns: the same
    :raises PermanentError: saying what is wrong with it
    """
    if why := fault(sequence):
        raise PermanentError(
            "The release has no place in the order of releases",
            resource=resource,
            why=f"its sequence {sequence[:40]!a} {why}",
            fix="look at the clock of this machine and at who has written the claim.json of the release below "
            "releases/ in the model's bucket; then upload the zip again",
        )
    return sequence
