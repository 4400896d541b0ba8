"""How a wait ends, and the error of one that AWS refused."""

from slipway.waiting.results import REFUSED_FIX, WaitOutcome, WaitResult


def test_a_refused_wait_has_the_reason_and_the_fix_of_the_trigger():
    sent = WaitResult(WaitOutcome.REFUSED, reason="DescribeStacks answered AccessDenied: no", fix="allow it")
    error = WaitResult.from_event(sent.to_event().payload).refused("Cannot watch the stack", "mlops-x")
    assert (error.what, error.resource, error.why, error.fix) == (
        "Cannot watch the stack",
        "mlops-x",
        "DescribeStacks answered AccessDenied: no",
        "allow it",
    )


def test_an_event_of_an_earlier_version_has_no_fix():
    event = {"outcome": "refused", "status": "", "reason": "no"}
    assert WaitResult.from_event(event).refused("Cannot watch", "x").fix == REFUSED_FIX
