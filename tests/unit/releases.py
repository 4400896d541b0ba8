"""One release of the shipped model, as its tasks hand it on."""

from slipway import names
from slipway.plan import ReleasePlan
from slipway.registry.artefact import Artefact
from slipway.states import Environment
from tests.unit.request_samples import BUCKET, iris_model, revision

DIGEST = "d" * 64
TRAINED = {
    "training_job_name": "mlops-iris-model-2024-01-31-23-59-59-x",
    "training_job_arn": "arn:aws:sagemaker:us-west-2:123456789012:training-job/mlops-iris-model",
    "model_data_url": f"s3://{BUCKET}/iris-model/job/output/model.tar.gz",
    "image": "123456789012.dkr.ecr.us-west-2.amazonaws.com/xgboost:1.7-1",
    "metrics": {"validation:merror": 0.04, "train:merror": 0.02},
    "seconds": 60,
}

ARTEFACT = Artefact(
    uri=f"s3://{BUCKET}/releases/iris-model/{'0' * 32}/model.tar.gz",
    size_bytes=1024,
    etag="e" * 32,
    version_id="v7",
    sha256="a" * 64,
)

REGISTERED = {
    "model_package_arn": "arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-iris-model/2",
    "version": 2,
}


def release_plan() -> ReleasePlan:
    """The plan that process_request would make."""
    model, pinned = iris_model(), revision(b"zip")
    revision_id = names.revision_id(pinned.bucket, pinned.key, pinned.version_id)
    return ReleasePlan(
        prefix=model.prefix,
        revision=pinned,
        revision_id=revision_id,
        digest=DIGEST,
        sequence=pinned.last_modified,
        training_job_name=names.training_job_name(model.prefix, pinned.written_at, revision_id),
        request_uri=f"s3://{BUCKET}/{names.release_prefix(model.prefix, revision_id)}trainingjob.zip",
        model_package_group=names.model_package_group(model.prefix),
        endpoint_prefix="iris-model",
        stacks={env.short: names.stack_name(model.prefix, env) for env in Environment},
        endpoints={env.short: names.endpoint_name("iris-model", env) for env in Environment},
    )


def xcoms(**more) -> dict:
    """What the tasks before have left."""
    made = {"process_request": release_plan().to_xcom(), "train": TRAINED, "register": REGISTERED}
    return {**made, **more}
