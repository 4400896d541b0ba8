"""The models that the demo can release: the lab's two, each with its model file in include/models/."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from demo import training_job
from tools.settings import ACCOUNT, REGION, ROOT


@dataclass(frozen=True)
class Example:
    """One model of the demo.

    :param prefix: the model's
    :param dataset: what it learns, see datasets.NAMES
    :param image: the URI that its zip names
    :param container: the folder of its own image's source; None where AWS has the image
    """

    prefix: str
    dataset: str
    image: str
    hyperparameters: dict[str, str]
    container: Path | None = None

    def zip(self, bucket: str) -> bytes:
        """Return its trainingjob.zip.

        :param bucket: the bucket of the data and of the trained model
        """
        return training_job.build(self.prefix, bucket, self.hyperparameters, image=self.image)


XGBOOST = Example("iris-model", "iris", training_job.XGBOOST_IMAGE, training_job.HYPERPARAMETERS)
FOREST = Example(
    "iris-forest",
    "iris",
    # `latest` leaves the choice to the model file, which takes the newest image that was built.
    f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/mlops-iris-forest:latest",
    {"max_depth": "11", "n_jobs": "5", "n_estimators": "120"},
    ROOT / "include" / "containers" / "iris-random-forest",
)
EXAMPLES = {one.prefix: one for one in (XGBOOST, FOREST)}
