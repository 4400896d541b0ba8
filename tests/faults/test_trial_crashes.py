"""The tasks of a trial killed at each of their calls to AWS: whatever is left is a state of the trial's own."""

import pytest

from slipway.errors import TrialFailed
from slipway.trial.wait import BakeTrigger, TrialTrigger
from tests.cfn.trials import SECOND, TrialModel
from tests.faults.crashes import Crashes, KilledError, Waits, attempt, kill_everywhere

pytestmark = [pytest.mark.local_aws, pytest.mark.rare]

# The trial's weights, the steps of a promotion, none for a model that is retired; None: it is not there.
SHARES = {
    "promote": (0.1, 0.5, 1.0, None),
    "retire": (0.1, 0.0, None),
    "sent back": (0.1, 0.5),
}


@pytest.fixture(scope="module")
def crashes(aws, every_kill):
    """What kills."""
    with pytest.MonkeyPatch.context() as patch:
        yield Crashes.install(patch, every=every_kill)


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


def on_trial(aws, **trial):
    return TrialModel(aws, bake_minutes=SECOND / 2, **trial).on_trial()


def test_a_promotion_ends_as_one_that_was_never_killed(aws, crashes, record_property):
    # It lasts until there are requests enough, however long the kills take.
    run, waits, before = on_trial(aws, minutes=60, invocations=10), Waits(crashes), crashes.kills

    def watching(trigger):
        if isinstance(trigger, TrialTrigger):
            run.measured(trigger, "model-a", 100)
            run.measured(trigger, "model-b", 40)
        return waits(trigger)

    killed(crashes, run, "watch_trial", (0.1,), watching)
    assert killed(crashes, run, "decide_trial", (0.1,))[0]["verdict"] == "promote"
    result, once = killed(crashes, run, "settle_trial", SHARES["promote"])
    record_property("kills of a promotion", crashes.kills - before)
    assert (result["outcome"], run.outputs()["TrialOutcome"]) == ("promoted", "promoted")
    assert (run.weights(), run.served("model-a")) == ({"model-a": 1.0}, run.release.model_data_url)
    assert run.scaled() == {"model-a"}
    # Each step was asked for once, whatever was killed.
    assert run.moves() == 2
    assert once()["change"] == "unchanged"


def test_a_retirement_ends_as_one_that_was_never_killed(aws, crashes, record_property):
    run, before = on_trial(aws), crashes.kills
    run.watch(trial=(40, 30))
    run.run("decide_trial")
    result, _ = killed(crashes, run, "settle_trial", SHARES["retire"])
    record_property("kills of a retirement", crashes.kills - before)
    assert (result["outcome"], run.weights(), run.scaled()) == ("retired", {"model-a": 1.0}, {"model-a"})
    assert run.served("model-a") != run.release.model_data_url
    assert run.moves() == 1


def test_weights_that_are_sent_back_arrive(aws, crashes, record_property):
    run, before = on_trial(aws), crashes.kills
    run.watch()
    run.run("decide_trial")
    waits = Waits(crashes)

    def answer(trigger):
        if isinstance(trigger, BakeTrigger):
            run.measured(trigger, "model-b", 50, errors=30)
        return waits(trigger)

    with pytest.raises(TrialFailed, match="failed while it was promoted"):
        killed(crashes, run, "settle_trial", SHARES["sent back"], answer)
    record_property("kills of a promotion that is sent back", crashes.kills - before)
    assert run.weights() == {"model-a": 0.9, "model-b": 0.1}
    assert run.moves() == 2
    assert run.record()["slipway-trial-outcome"].startswith("sent back: ")
