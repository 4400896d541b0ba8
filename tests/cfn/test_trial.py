"""A trial in production against a SageMaker that serves: promoted, kept, retired, sent back, overtaken, killed."""

from collections import Counter

import pytest

from slipway.errors import Superseded, TrialFailed
from slipway.host import runs
from slipway.trial.wait import BakeTrigger
from tests.cfn.trials import TrialModel
from tests.local_aws.sagemaker_cases import ROWS, predict, wait_for_endpoint
from tests.unit.task_runs import first_event

pytestmark = pytest.mark.local_aws

REQUESTS = 300
LIVE_AND_TRIAL = {"model-a": 0.9, "model-b": 0.1}


@pytest.fixture(autouse=True)
def no_airflow(monkeypatch):
    """Without an Airflow to ask, a run that holds production has always ended."""
    monkeypatch.setattr(runs, "goes_on", lambda dag_id, run_id: False)


@pytest.fixture
def good(aws):
    """A trial that the rule promotes, unless it is watched otherwise."""
    return TrialModel(aws).on_trial()


def check_shares(run) -> None:
    """What clients get is within the interval that holds 99.9 % of the time for the endpoint's weights."""
    share = run.weights()["model-b"]
    answers = Counter(predict(run.aws, run.endpoint_name)[1] for _ in range(REQUESTS))
    # Imported here: each process of the tests collects this file.
    from scipy.stats import binom

    low, high = binom.interval(0.999, REQUESTS, share)
    assert low <= answers["model-b"] <= high, answers


def test_a_promotion_goes_step_by_step_and_ends_with_the_stack(aws, good):
    check_shares(good)
    watched = good.watch()
    # Together with the figures above, if their minute is over.
    assert watched["live"]["invocations"] >= 100 and watched["trial"]["invocations"] >= 40
    assert watched["live"]["errors"] == 1
    assert good.run("decide_trial")["verdict"] == "promote"
    assert good.scaled() == {"model-a", "model-b"}

    baked = []

    def wait(trigger):
        if isinstance(trigger, BakeTrigger):
            baked.append(good.share())
            check_shares(good)
        return first_event(trigger)

    result = good.run("settle_trial", wait)
    assert (result["verdict"], result["outcome"]) == ("promote", "promoted")
    assert (baked, good.moves()) == ([0.5, 1.0], 2)
    assert good.weights() == {"model-a": 1.0}
    assert good.served("model-a") == good.release.model_data_url
    assert predict(aws, good.endpoint_name, ROWS[0]) == (1, "model-a")
    assert good.scaled() == {"model-a"}
    assert good.outputs()["TrialOutcome"] == "promoted"
    record = good.record()
    assert (record["slipway-trial-verdict"], record["slipway-trial-outcome"]) == ("promote", "promoted")
    assert record["slipway-trial-model-b"].startswith(f"{watched['trial']['invocations']} invocations")

    # Cleared tasks find it done.
    assert good.run("settle_trial")["change"] == "unchanged"
    assert good.deploy()["change"] == "unchanged"
    assert good.weights() == {"model-a": 1.0}


def test_a_promoted_model_keeps_the_instances_that_its_requests_need(aws, good):
    good.aws.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=good.endpoint_name,
        DesiredWeightsAndCapacities=[{"VariantName": "model-a", "DesiredInstanceCount": 2}],
    )
    wait_for_endpoint(aws, good.endpoint_name)
    good.watch()
    good.run("decide_trial")
    instances = []

    def wait(trigger):
        variants = good.endpoint()["ProductionVariants"]
        instances.append({one["VariantName"]: one["CurrentInstanceCount"] for one in variants})
        return first_event(trigger)

    good.run("settle_trial", wait)
    assert {"model-a": 2, "model-b": 2} in instances
    assert good.endpoint()["ProductionVariants"][0]["CurrentInstanceCount"] == 2


def test_a_trial_that_cannot_be_told_is_kept_and_the_stack_says_so(aws):
    run = TrialModel(aws).on_trial(AutoScaling=None)
    run.run("watch_trial")
    assert run.run("decide_trial")["verdict"] == "keep"
    assert run.run("settle_trial")["outcome"] == "kept"
    assert run.weights() == LIVE_AND_TRIAL
    assert run.outputs()["TrialOutcome"] == "kept"
    assert run.moves() == 0

    # The next release takes the place of the model that was never promoted; the live one stays.
    third = run.release.model.on_trial(1, AutoScaling=None)
    assert third.served("model-a") == third.release.model.made[0].model_data_url
    assert "TrialOutcome" not in third.outputs()


def test_a_bad_model_is_retired_and_not_deployed_again(aws):
    run = TrialModel(aws).on_trial()
    run.watch(trial=(40, 20))
    assert run.run("decide_trial")["verdict"] == "retire"
    assert run.run("settle_trial")["outcome"] == "retired"
    assert run.moves() == 1
    assert run.weights() == {"model-a": 1.0}
    assert run.served("model-a") == run.release.model.made[0].model_data_url
    assert run.scaled() == {"model-a"}
    # The next release is compared with the live model again.
    assert run.outputs()["ModelPackageArn"] != run.release.package_arn
    with pytest.raises(TrialFailed, match=r"its model was retired.*new_attempt"):
        run.deploy()
    assert run.run("settle_trial")["change"] == "unchanged"
    assert run.weights() == {"model-a": 1.0}


def test_errors_in_a_bake_put_the_weights_back_and_the_release_is_red(aws, good):
    good.watch()
    good.run("decide_trial")

    def wait(trigger):
        if isinstance(trigger, BakeTrigger):
            good.measured(trigger, "model-b", 50, errors=30)
        return first_event(trigger)

    with pytest.raises(TrialFailed, match=r"failed while it was promoted.*30 errors.*clear decide_trial"):
        good.run("settle_trial", wait)
    assert good.weights() == LIVE_AND_TRIAL
    assert good.record()["slipway-trial-outcome"].startswith("sent back: ")
    with pytest.raises(TrialFailed, match="failed while it was promoted"):
        good.run("settle_trial")
    assert good.moves() == 2

    # Watch and decide again, with the new figures.
    good.watch(trial=(40, 20))
    assert good.run("decide_trial")["verdict"] == "retire"
    assert good.run("settle_trial")["outcome"] == "retired"
    assert good.weights() == {"model-a": 1.0}


def test_a_newer_release_in_production_ends_the_trial(aws, good):
    good.watch()
    good.run("decide_trial")
    newer = good.release.model.on_trial(1)
    for task_id in ("watch_trial", "settle_trial"):
        with pytest.raises(Superseded, match="A newer release"):
            good.run(task_id)
    assert newer.weights() == LIVE_AND_TRIAL
    assert newer.served("model-a") == newer.release.model.made[0].model_data_url
    assert good.moves() == 0


def test_weights_that_a_dead_promotion_left_are_restated_by_the_next_deploy(aws, good):
    good.aws.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=good.endpoint_name,
        DesiredWeightsAndCapacities=[
            {"VariantName": "model-a", "DesiredWeight": 0.5},
            {"VariantName": "model-b", "DesiredWeight": 0.5},
        ],
    )
    wait_for_endpoint(aws, good.endpoint_name)
    assert good.deploy()["change"] == "unchanged"
    assert good.weights() == LIVE_AND_TRIAL


def test_without_a_verdict_nothing_moves(aws, good):
    with pytest.raises(TrialFailed, match=r"no verdict.*clear decide_trial"):
        good.run("settle_trial")
    assert good.moves() == 0
    assert good.weights() == LIVE_AND_TRIAL
