"""The DAG that builds a model's own image: an upload of its source, the checks, the build, the scan, the record."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, Param, chain, get_current_context, task
from airflow.sdk.definitions.param import ParamsDict

from slipway import image_names
from slipway.host import log_fields
from slipway.host.task_errors import with_error_block
from slipway.images.build import BuildImageOperator
from slipway.images.checked import CHECK_SOURCE, pull_source
from slipway.images.news import RECORD, on_failure, on_success
from slipway.images.scan import BUILD, SCAN, ScanImageOperator
from slipway.images.source import ImageSourceSensor
from slipway.model.config import ModelConfig
from slipway.model.image import OwnImage
from slipway.model.pipelines import STALE_TAG, Pipeline, Stale
from slipway.names import DAG_TAG, IMAGE_TAG
from slipway.plan import result_needed
from slipway.source import form

# For failures that the hooks do not wait out. Errors that a retry cannot fix fail a task at once.
_RETRIES = {"retries": 3, "retry_delay": timedelta(seconds=10), "retry_exponential_backoff": True}
_SOURCE_TIMEOUT_SECONDS = timedelta(days=1).total_seconds()


def build_image_dags(pipelines: Iterable[Pipeline], wanted: str | None = None) -> list[DAG]:
    """Build the DAG of each model that has an image of its own.

    :param pipelines: the models
    :param wanted: the id of the only DAG that is needed, as in a task's process; None for all
    """
    return [
        _build(each.model, each.model.image, each.stale)
        for each in pipelines
        if each.model.image is not None and wanted in (None, image_names.build_dag_id(each.model.prefix))
    ]


def _build(model: ModelConfig, image: OwnImage, stale: Stale | None) -> DAG:
    key, asset = image_names.source_key(model.prefix), Asset(name=image_names.asset(model.prefix))
    with DAG(
        dag_id=image_names.build_dag_id(model.prefix),
        description=f"Builds the container image of {model.prefix} from s3://{model.source.bucket}/{key}",
        schedule=None,
        catchup=False,
        is_paused_upon_creation=False,
        default_args=_RETRIES,
        tags=[DAG_TAG, IMAGE_TAG, *([STALE_TAG] if stale else [])],
        on_failure_callback=on_failure(model),
        on_success_callback=on_success(model),
        doc_md=_documentation(model, key),
    ) as dag:

        @task(task_id=CHECK_SOURCE, multiple_outputs=False)
        @with_error_block
        def check() -> dict[str, Any]:
            from slipway.images.check import check_source
            from slipway.plan import pull_revision

            log_fields.bind({"model": model.prefix})
            return check_source(model, image.build, pull_revision(get_current_context())).to_xcom()

        @task(task_id=RECORD, multiple_outputs=False, outlets=[asset])
        @with_error_block
        def record() -> dict[str, Any]:
            from slipway.aws.documents import S3Documents
            from slipway.host.links import run_url
            from slipway.images.record import record_image

            context: Any = get_current_context()
            run = {"dag_id": context["dag_run"].dag_id, "run_id": context["dag_run"].run_id}
            run["url"] = run_url(run["dag_id"], run["run_id"])
            built, scanned = result_needed(context, BUILD), result_needed(context, SCAN)
            documents = S3Documents(aws_conn_id=model.aws_conn_id)
            found = record_image(pull_source(context), built, scanned["findings"], run, documents)
            context["outlet_events"][asset].extra = {"model": model.prefix, **found}
            return found

        chain(
            ImageSourceSensor(
                task_id="source",
                model_prefix=model.prefix,
                bucket_name=model.source.bucket,
                bucket_key=key,
                aws_conn_id=model.aws_conn_id,
                poke_interval=model.timeouts.poll_seconds,
                timeout=_SOURCE_TIMEOUT_SECONDS,
                held=str(stale) if stale else None,
            ),
            check(),
            BuildImageOperator(task_id=BUILD, model=model, repository=image.repository, bounds=image.build),
            ScanImageOperator(task_id=SCAN, model=model, bounds=image.build),
            record(),
        )
    dag.params = ParamsDict(_form())
    return dag


def _form() -> dict[str, Param]:
    """Build the form of "Trigger" in the UI; for an upload, the intake fills it in."""
    return {
        form.VERSION_ID: Param(
            None,
            type=["null", "string"],
            maxLength=1024,
            pattern=form.PATTERNS[form.VERSION_ID],
            title="Version id",
            description="The version of the source to build, as S3 names it. Empty: the newest.",
        ),
        form.NEW_ATTEMPT: Param(
            False,
            type="boolean",
            title="New attempt",
            description="Build a version again whose build has failed. An image that a source has given stays as it "
            "is: it is the result.",
        ),
    }


def _documentation(model: ModelConfig, key: str) -> str:
    return f"""\
# {image_names.build_dag_id(model.prefix)}

An upload to `s3://{model.source.bucket}/{key}` builds the container image of `{model.prefix}`, once for each version.
To build a version by hand, press Trigger and give its version id; leave it empty for the newest.

| task | what it does |
|---|---|
| source | waits for the source, pins one version and claims it |
| check_source | checks the zip and its Dockerfile by the model file, and keeps the copy that is built |
| build | has CodeBuild build and push the image, unless there is one of these bytes |
| scan | compares what ECR's scan has found with the model file |
| record | records the image and updates the asset `{image_names.asset(model.prefix)}` |
"""
