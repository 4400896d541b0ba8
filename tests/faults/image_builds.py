"""The build of an image, task by task, as a run of Airflow holds it together."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from slipway.aws.documents import S3Documents
from slipway.command.aws import Aws
from slipway.command.stacks import IMAGES_STACK, Stacks
from slipway.images.build import BuildImageOperator
from slipway.images.check import check_source
from slipway.images.checked import pull_source
from slipway.images.record import record_image
from slipway.images.scan import ScanImageOperator
from slipway.images.source import ImageSourceSensor
from slipway.model.config import ModelConfig
from slipway.paths import set_up_template
from slipway.plan import pull_revision
from tests.local_aws.server import LocalAws
from tests.unit.image_samples import KEY, PREFIX
from tests.unit.request_samples import BUCKET

REPOSITORY = f"mlops-{PREFIX}"
TASKS = ("source", "check_source", "build", "scan", "record")


def make_builder(aws: LocalAws) -> None:
    """Deploy the stack of the model, as an administrator does: its repository, project, role and log."""
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": everything})
    aws.client("iam").create_policy(PolicyName="slipway-model-boundary", PolicyDocument=document)
    wanted = {"ModelPrefix": PREFIX, "BuildsImage": "true", "OtherImageRepositoryArns": None}
    stacks = Stacks(Aws(aws.client))
    stacks.deploy(IMAGES_STACK, set_up_template("images"), {})
    stacks.deploy(f"slipway-model-{PREFIX}", set_up_template("model"), wanted)


def upload(aws: LocalAws, data: bytes) -> str:
    """Upload a source. Returns its VersionId."""
    version_id: str = aws.client("s3").put_object(Bucket=BUCKET, Key=KEY, Body=data)["VersionId"]
    return version_id


def tasks(model: ModelConfig) -> dict[str, Callable[[], Any]]:
    """The tasks of a build in their order; each call gives an operator of its own.

    :param model: the model file
    """
    image = model.image
    assert image is not None

    def check(ctx: dict[str, Any]) -> dict[str, Any]:
        return check_source(model, image.build, pull_revision(ctx)).to_xcom()

    def record(ctx: dict[str, Any]) -> dict[str, Any]:
        built, scanned, run = ctx["ti"].xcoms["build"], ctx["ti"].xcoms["scan"], {"run_id": ctx["run_id"]}
        return record_image(pull_source(ctx), built, scanned["findings"], run, S3Documents())

    return {
        "source": lambda: ImageSourceSensor(
            task_id="source", model_prefix=PREFIX, bucket_name=BUCKET, bucket_key=KEY, timeout=60
        ),
        "check_source": lambda: SimpleNamespace(execute=check),
        "build": lambda: BuildImageOperator(
            task_id="build", model=model, repository=image.repository, bounds=image.build
        ),
        "scan": lambda: ScanImageOperator(task_id="scan", model=model, bounds=image.build),
        "record": lambda: SimpleNamespace(execute=record),
    }
