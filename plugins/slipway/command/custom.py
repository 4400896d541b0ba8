"""What `init --custom` writes beside the data: the example of a container, and the documents that fit it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway import names, paths
from slipway.command import documents
from slipway.command.documents import Plan
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.formats.image_uri import EcrImage, registry_domain

# The MLU lab's, for its random forest.
_HYPERPARAMETERS = {"max_depth": "11", "n_jobs": "5", "n_estimators": "120"}


def image(prefix: str, account: str, region: str) -> str:
    """Return the image that the zip names: the newest that was built, by the model file.

    :param prefix: the model's name
    """
    domain = registry_domain("aws-cn" if region.startswith("cn-") else "aws")
    return str(EcrImage(account, region, domain, names.image_repository(prefix), tag="latest"))


def check(plan: Plan) -> None:
    """Refuse what the example cannot learn, and a name that ECR does not take.

    :raises CommandError: for labels that are no classes, or a prefix with capitals
    """
    if plan.is_regression:
        raise CommandError(
            "The example of a container is a classifier",
            where="--custom",
            why=f"the labels are numbers, for {plan.objective}",
            fix="give --objective multi:softmax if they are classes; or leave --custom out, and see "
            "docs/how-to/custom-image.md for a container of your own",
            code=Exit.REFUSED,
        )
    if plan.prefix != plan.prefix.lower():
        raise CommandError(
            "A model with an image of its own needs a name without capitals",
            where="PREFIX",
            why=f"ECR's repositories have none, found {plan.prefix}",
            fix=f"choose another name, such as {plan.prefix.lower()}",
            code=Exit.USAGE,
        )


def container_files(folder: Path) -> dict[Path, str]:
    """Return the files of the example of a container.

    :param folder: where they go
    """
    source = paths.example_container()
    return {folder / path.name: path.read_text(encoding="utf-8") for path in sorted(source.iterdir()) if path.is_file()}


def training_job(plan: Plan) -> dict[str, Any]:
    """Return trainingjob.json with the example's hyperparameters."""
    return documents.training_job(plan) | {"HyperParameters": _HYPERPARAMETERS}


def model_file(plan: Plan) -> str:
    """Return the model file: as for AWS's XGBoost, with an image of the model's own and the metrics that it prints."""
    text = documents.model_file(plan)
    images, gate = documents.images_of(plan), documents.gate_of(plan)
    for part in (images, gate):
        if part not in text:
            raise AssertionError(part)
    own = """# The image that trains and serves, built from an upload to image_builds/; docs/how-to/custom-image.md.
image: {}

# What counts as a metric in the training job's log; `train` prints these lines.
metrics:
  train:accuracy: "train-accuracy=([0-9.]+)"
  validation:accuracy: "validation-accuracy=([0-9.]+)"

# What a zip"""
    minimum = f"  - metric: validation:accuracy\n    minimum: {documents.accuracy_of(plan):g}\n"
    return text.replace(images, "").replace(gate, minimum).replace("# What a zip", own, 1)
