"""The models that are released: files of their own in the instance's copy of include/, and zips for them."""

from __future__ import annotations

from dataclasses import dataclass

from demo import training_job, upload
from tests.instance import Instance

FIRST = "iris-model"


@dataclass(frozen=True)
class Model:
    """One model and how it is released.

    :param mode: the model file's execution_mode
    :param bursts: whether several uploads come at once
    :param trial: whether production keeps the former model beside the new one
    """

    prefix: str
    mode: str = "SUPERSEDED"
    bursts: bool = False
    trial: bool = False


MODELS = (
    Model(FIRST, trial=True),
    Model("burst-model", bursts=True),
    Model("queue-model", mode="QUEUED"),
)


def add(instance: Instance) -> None:
    """Write the model files and upload the data; before Airflow starts there is no bucket yet for the latter."""
    folder = instance.include / "models"
    template = (folder / f"{FIRST}.yaml").read_text()
    for model in MODELS:
        text = template.replace("iris-model", model.prefix)
        text = text.replace("description:", f"execution_mode: {model.mode}\ndescription:", 1)
        (folder / f"{model.prefix}.yaml").write_text(text)


def upload_data(instance: Instance) -> None:
    """Put each model's data where its zip looks for them."""
    for model in MODELS:
        upload.upload_data(instance.settings, model.prefix, "iris")


def build_zip(model: Model, bucket: str, number: int) -> bytes:
    """:returns: a zip that no other number has: the same bytes would be the same model"""
    rounds = {"num_round": str(20 + number % 20), "seed": str(number)}
    job = training_job.training_job(model.prefix, bucket, training_job.HYPERPARAMETERS | rounds)
    endpoints = training_job.deployment(model.prefix, bucket)
    if not model.trial:
        endpoints["ProductionEndpoint"] |= {"ABTests": False}
        del endpoints["ProductionEndpoint"]["InitialVariantWeight"]
    return training_job.pack(job, endpoints)
