"""Three models whose releases are in every state, made by real work of a running instance."""

from __future__ import annotations

from dataclasses import dataclass

from demo import training_job, upload
from tests.instance import Instance

IRIS, CHURN, WINE = "iris-model", "churn-model", "wine-model"
DATA = {IRIS: "iris", CHURN: "iris", WINE: "wine"}
# The trial asks as soon as it has begun.
TRIAL = "\ntrial: {minutes: 0.05, bake_minutes: 0.05}\n"
# Its second release is beside the first one; other models' second releases take the place of the first.
BESIDE = WINE


@dataclass(frozen=True)
class SixReleases:
    """The ids of the runs, by the state that the release is in."""

    live: str
    superseded: str
    waiting: str
    rolled_back: str
    rejected: str
    failed: str
    refused: str
    on_trial: str


def make(slipway: Instance) -> SixReleases:
    """Release three models several times, and leave each release in a state of its own."""
    _models(slipway)
    firsts = {model: _release(slipway, model) for model in DATA}
    for model, run_id in firsts.items():
        _answer(slipway, model, run_id, "Approve", "The first one.")
    for model, run_id in firsts.items():
        assert slipway.wait_end(model, run_id) == "success", slipway.story(model, run_id)

    superseded = _release(slipway, IRIS, max_depth="6", eta="0.3")
    on_trial = _release(slipway, WINE, max_depth="6")
    second = _release(slipway, CHURN, max_depth="6")
    _answer(slipway, WINE, on_trial, "Approve", "Let us see how it does beside the old one.")
    _answer(slipway, CHURN, second, "Approve", "Better on every class.")
    slipway.wait_approval(IRIS, superseded)
    waiting = _release(slipway, IRIS, max_depth="7", eta="0.25")
    assert slipway.wait_end(CHURN, second) == "success", slipway.story(CHURN, second)

    rolled_back = slipway.api("alice").trigger(CHURN, {"roll_back_to": "previous"})
    assert slipway.wait_end(CHURN, rolled_back) == "success", slipway.story(CHURN, rolled_back)
    rejected = _release(slipway, CHURN, max_depth="2", eta="0.9")
    _answer(slipway, CHURN, rejected, "Reject", "Two levels are not enough for the rare class.")
    slipway.wait_end(CHURN, rejected)
    refused = slipway.api("bob").trigger(CHURN, {})
    slipway.wait_end(CHURN, refused)
    failed = slipway.release(CHURN, _zip(slipway, CHURN, {}, instance="ml.p4d.24xlarge"))
    slipway.wait_end(CHURN, failed)

    slipway.wait_end(IRIS, superseded)
    slipway.wait_approval(IRIS, waiting)
    slipway.wait_task(WINE, on_trial, "decide_trial", "deferred", "awaiting_input")
    return SixReleases(firsts[IRIS], superseded, waiting, rolled_back, rejected, failed, refused, on_trial)


def _models(slipway: Instance) -> None:
    """Add the two models beside the demo's, and upload everybody's rows."""
    models = slipway.include / "models"
    iris = (models / f"{IRIS}.yaml").read_text()
    (models / f"{CHURN}.yaml").write_text(iris.replace("iris", "churn"))
    (models / f"{WINE}.yaml").write_text(iris.replace("iris", "wine") + TRIAL)
    for model, dataset in DATA.items():
        upload.upload_data(slipway.settings, model, dataset)
    slipway.wait_dag(WINE)
    slipway.wait("the models' DAGs", lambda: set(DATA) <= slipway.api().dag_ids())


def _release(slipway: Instance, model: str, **hyperparameters: str) -> str:
    """Upload a zip of its own. Returns the id of the run that it starts."""
    return slipway.release(model, _zip(slipway, model, hyperparameters))


def _zip(slipway: Instance, model: str, hyperparameters: dict[str, str], instance: str | None = None) -> bytes:
    bucket = slipway.settings.bucket
    job = training_job.training_job(model, bucket, training_job.HYPERPARAMETERS | hyperparameters)
    if instance:
        job["ResourceConfig"] |= {"InstanceType": instance}
    endpoints = training_job.deployment(model, bucket)
    for environment in ("DevelopmentEndpoint", "ProductionEndpoint"):
        # Its price is known, so the pages have sums.
        endpoints[environment] |= {"InstanceType": "ml.c5.large"}
    if model != BESIDE:
        endpoints["ProductionEndpoint"] |= {"ABTests": False}
        del endpoints["ProductionEndpoint"]["InitialVariantWeight"]
    return training_job.pack(job, endpoints)


def _answer(slipway: Instance, model: str, run_id: str, option: str, comment: str) -> None:
    slipway.wait_approval(model, run_id)
    slipway.api("alice").answer(model, run_id, "approve", option, comment=comment)
