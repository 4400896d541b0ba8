"""States are known or raise."""

import pytest

from slipway import states


@pytest.mark.parametrize(
    "kind", [states.TrainingJobStatus, states.EndpointStatus, states.ModelApprovalStatus, states.StackStatus]
)
def test_an_unknown_state_raises_and_names_the_known(kind):
    for known in kind:
        assert kind(str(known)) is known
    with pytest.raises(ValueError, match=f"unknown {kind.__name__} 'Sleeping'; known are: {next(iter(kind))}"):
        kind("Sleeping")


def test_environments_have_a_short_form_for_names():
    assert [environment.short for environment in states.Environment] == ["dev", "prd"]


def test_a_stack_under_review_is_not_at_work():
    assert states.StackStatus.UPDATE_COMPLETE_CLEANUP_IN_PROGRESS.in_progress
    assert not states.StackStatus.REVIEW_IN_PROGRESS.in_progress
    assert not states.StackStatus.UPDATE_COMPLETE.in_progress
