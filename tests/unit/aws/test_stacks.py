"""What a change set's states mean."""

import pytest

from slipway.aws.stacks import ChangeSet

NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."


@pytest.mark.parametrize(
    ("status", "execution", "reason", "true"),
    [
        ("CREATE_PENDING", "UNAVAILABLE", "", {"being_made"}),
        ("CREATE_IN_PROGRESS", "UNAVAILABLE", "", {"being_made"}),
        ("CREATE_COMPLETE", "AVAILABLE", "", {"executable"}),
        ("CREATE_COMPLETE", "EXECUTE_IN_PROGRESS", "", {"executing"}),
        ("CREATE_COMPLETE", "EXECUTE_COMPLETE", "", {"executed"}),
        ("CREATE_COMPLETE", "EXECUTE_FAILED", "", {"executed"}),
        ("CREATE_COMPLETE", "OBSOLETE", "", set()),
        ("FAILED", "UNAVAILABLE", NO_CHANGES, {"empty"}),
        ("FAILED", "UNAVAILABLE", "No updates are to be performed.", {"empty"}),
        ("FAILED", "UNAVAILABLE", "Transform failed", set()),
    ],
)
def test_meaning(status, execution, reason, true):
    found = ChangeSet("c", "id", status, execution, reason)
    assert {
        name for name in ("being_made", "executable", "executing", "executed", "empty") if getattr(found, name)
    } == true
