"""The tasks of a trial killed at each of their calls to AWS: whatever is left is a state of the trial's own."""

import pytest

from slipway.errors import TrialFailed
from slipway.triggers.trial import BakeTrigger
from tests.cfn.trials import SECOND, TrialModel
from tests.faults.crashes import Crashes, KilledError, Waits, attempt, kill_everywhere

pytestmark = pytest.mark.local_aws

# The trial's weights, the steps of a promotion, none for a model that is retired; None: it is not there.
SHARES = {
    "promote": (0.1, 0.5, 1.0, None),
    "retire": (0.1, 0.0, None),
    "sent back": (0.1, 0.5),
}


@pytest.fixture(scope="module")
def crashes(aws):
    """What kills."""
    with pytest.MonkeyPatch.context() as patch:
        yield Crashes.install(patch)


def killed(crashes, run, task_id, defined, answer=None):
    """Run a task to its end, killed everywhere; between two attempts the endpoint has one of the defined shares."""
    waits = answer or Waits(crashes)

    def once():
        try:
            return attempt(crashes, lambda: run.make(task_id), run.context(task_id), waits)
        except KilledError:
            with crashes.disarmed():
                assert run.share() in defined
            raise

    run.xcoms[task_id] = result = kill_everywhere(crashes, once, in_a_row=1)
    return result, once


def on_trial(aws, errors=0):
    run = TrialModel(aws, bake_minutes=SECOND / 2).on_trial()
    run.measured("model-a", 100)
    run.measured("model-b", 40, errors=errors)
    return run


def test_a_promotion_ends_as_one_that_was_never_killed(aws, crashes, record_property):
    run, before = on_trial(aws), crashes.kills
    for task_id in ("watch_trial", "decide_trial"):
        killed(crashes, run, task_id, (0.1,))
    result, once = killed(crashes, run, "settle_trial", SHARES["promote"])
    record_property("kills of a promotion", crashes.kills - before)
    assert (result["outcome"], run.outputs()["TrialOutcome"]) == ("promoted", "promoted")
    assert (run.weights(), run.served("model-a")) == ({"model-a": 1.0}, run.release.model_data_url)
    assert run.scaled() == {"model-a"}
    # Each step was asked for once, whatever was killed.
    assert run.moves() == 2
    assert once()["change"] == "unchanged"


def test_a_retirement_ends_as_one_that_was_never_killed(aws, crashes, record_property):
    run, before = on_trial(aws, errors=30), crashes.kills
    for task_id in ("watch_trial", "decide_trial"):
        run.run(task_id)
    result, _ = killed(crashes, run, "settle_trial", SHARES["retire"])
    record_property("kills of a retirement", crashes.kills - before)
    assert (result["outcome"], run.weights(), run.scaled()) == ("retired", {"model-a": 1.0}, {"model-a"})
    assert run.served("model-a") != run.release.model_data_url
    assert run.moves() == 1


def test_weights_that_are_sent_back_arrive(aws, crashes, record_property):
    run, before = on_trial(aws), crashes.kills
    for task_id in ("watch_trial", "decide_trial"):
        run.run(task_id)
    waits = Waits(crashes)

    def answer(trigger):
        if isinstance(trigger, BakeTrigger):
            return {"outcome": "failed", "status": "", "reason": "50 invocations, 30 errors (60.00%)"}
        return waits(trigger)

    with pytest.raises(TrialFailed, match="failed while it was promoted"):
        killed(crashes, run, "settle_trial", SHARES["sent back"], answer)
    record_property("kills of a promotion that is sent back", crashes.kills - before)
    assert run.weights() == {"model-a": 0.9, "model-b": 0.1}
    assert run.moves() == 2
    assert run.record()["slipway-trial-outcome"].startswith("sent back: 50 invocations")
