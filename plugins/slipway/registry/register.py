"""The task ``register``: registers the trained model as a pending version in the Model Registry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf

from slipway import names
from slipway.aws.clients import client
from slipway.aws.identity import resolve
from slipway.aws.links import ModelPackageLink
from slipway.aws.s3 import S3Hook, uri
from slipway.formats.encoding import encoded
from slipway.formats.json_numbers import json_value, number_of
from slipway.host.task_errors import TaskErrors
from slipway.plan import TAG_MODEL_PREFIX, ReleasePlan, pull_plan, result_of
from slipway.registry.artefact import Artefact, artefact_of
from slipway.registry.artefact_store import S3Artefacts
from slipway.registry.hook import ModelRegistryHook
from slipway.registry.metadata import (
    DIGEST,
    FORMAT,
    FORMAT_CURRENT,
    REVISION,
    RUN,
    VERSION_ID,
    metadata_value,
)
from slipway.states import ModelApprovalStatus

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.config import ModelConfig

# A package has 50 entries. Others: the format (1), the revision (4), the artefact (4), the decision (4),
# its approvals (10) and an answer that came late (1), the test beside the live model (5), the trial (6), and what
# production did with it (3). All metrics are in the file beside the request.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
_MAX_METRICS = 12
_METRICS_FILE = "metrics.json"


class RegisterModelOperator(TaskErrors):
    """Creates the release's model package as PendingManualApproval, or adopts that of an earlier attempt.

    The package is of the release's own copy of the artefact and records its bytes. Training jobs cannot write there,
    so what is tested and approved is what is deployed.
    https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-version.html

    :param model: the model file's content
    """

    operator_extra_links = (ModelPackageLink(),)
    registry = client(ModelRegistryHook)
    s3 = client(S3Hook)

    def __init__(self, *, model: ModelConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.aws_conn_id = model.aws_conn_id
        self._made: tuple[str, str, Artefact | None] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Register the model.

        :param context: the task's Airflow context
        :returns: the model package's ARN and version
        :raises slipway.errors.PermanentError: when the job's artefact is gone
        :raises slipway.errors.AwsError: when a call fails
        """
        plan, trained = pull_plan(context), result_of(context, "train")
        self.registry.ensure_model_package_group(
            plan.model_package_group,
            description=f"Versions of {plan.prefix}, registered by Slipway",
            tags={TAG_MODEL_PREFIX: plan.prefix},
        )
        package, kept = self.registry.find_model_package(plan), None
        if package is None:
            metrics_uri = self._upload_metrics(plan, trained["metrics"])
            kept = self._keep_artefact(plan, trained["model_data_url"])
            dag_run = context["dag_run"]
            arn = self.registry.create_model_package(
                package_parameters(
                    plan,
                    trained,
                    kept,
                    metrics_uri,
                    gated={gate.metric for gate in self.model.gates},
                    dag_id=dag_run.dag_id,
                    run_id=dag_run.run_id,
                )
            )
            self.log.info("Registered %s", arn)
        else:
            arn = package["ModelPackageArn"]
            self.log.info("%s was registered before and is %s", arn, package["ModelApprovalStatus"])
        self._made = (trained["model_data_url"], arn, kept or artefact_of(package or {}))
        ModelPackageLink.keep_for(arn, self, self.aws_conn_id, model_package_arn=arn)
        return {"model_package_arn": arn, "version": int(names.package_version(arn))}

    def _keep_artefact(self, plan: ReleasePlan, trained_url: str) -> Artefact:
        kms_key = self.model.policy.kms_key
        kept = S3Artefacts(self.s3).keep(
            trained_url,
            plan.home_bucket,
            names.artefact_key(plan.prefix, plan.revision_id),
            kms_key=resolve(kms_key, self.model.aws_conn_id) if kms_key else None,
        )
        self.log.info("The artefact is %s: %s", kept.uri, kept)
        return kept

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Say what the package was made of: the job's artefact and the release's copy of it.

        :param task_instance: the task that has ended; what it made is here
        :returns: None before there is a package
        """
        from slipway.aws.lineage import lineage, of_object, of_resource

        if self._made is None:
            return None
        trained_url, arn, kept = self._made
        copies = [of_object(kept.uri, kept.version_id)] if kept else []
        return lineage([of_object(trained_url)], [*copies, of_resource(arn, names.package_version(arn))])

    def _upload_metrics(self, plan: ReleasePlan, metrics: Mapping[str, float]) -> str:
        # The form may release an upload from another bucket, where Slipway only reads.
        bucket, key = plan.home_bucket, names.release_prefix(plan.prefix, plan.revision_id) + _METRICS_FILE
        self.s3.put_if_absent(
            bucket,
            key,
            json.dumps(json_value(metrics), sort_keys=True, allow_nan=False).encode(),
            content_type="application/json",
        )
        return uri(bucket, key)


def package_parameters(
    plan: ReleasePlan,
    trained: Mapping[str, Any],
    artefact: Artefact,
    metrics_uri: str,
    *,
    gated: Collection[str] = (),
    dag_id: str,
    run_id: str,
) -> dict[str, Any]:
    """Build the CreateModelPackage request of a release.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html

    :param plan: the release's plan
    :param trained: the XCom of `train`
    :param artefact: the release's own copy of the model
    :param metrics_uri: the S3 URI of the metrics as JSON
    :param gated: metrics that have a gate: they come first where there is no place for all
    :param dag_id: the DAG of the run
    :param run_id: the run
    :returns: the operation's parameters
    """
    # A name that has no key is in the file only: the training job is paid for, so nothing fails for it here.
    keepable = [(name, value) for name, value in trained["metrics"].items() if names.keeps_metric(name)]
    metrics = sorted(keepable, key=lambda metric: metric[0] not in gated)[:_MAX_METRICS]
    properties = {
        FORMAT: FORMAT_CURRENT,
        DIGEST: plan.digest,
        REVISION: plan.revision_id,
        VERSION_ID: encoded(plan.revision.version_id),
        **artefact.properties(),
        RUN: f"{conf.get('api', 'base_url', fallback='').rstrip('/')}/dags/{dag_id}/runs/{encoded(run_id)}",
        **{names.metric_key(name): repr(number_of(value)) for name, value in metrics},
    }
    return {
        "ModelPackageGroupName": plan.model_package_group,
        "ModelPackageDescription": f"Trained by {trained['training_job_name']} from {plan.request_uri}",
        "ModelApprovalStatus": ModelApprovalStatus.PENDING.value,
        "InferenceSpecification": {
            "Containers": [
                {"Image": trained["image"], "ModelDataUrl": artefact.uri, "ModelDataETag": artefact.etag},
            ],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
        "ModelMetrics": {"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": metrics_uri}}},
        "CustomerMetadataProperties": {key: metadata_value(value) for key, value in properties.items()},
        # A repeated request of one run returns the package that the first one created.
        "ClientToken": hashlib.sha256(f"{plan.revision_id}\0{run_id}".encode()).hexdigest()[:36],
    }
