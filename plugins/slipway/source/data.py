"""Training data as a part of a release: its fingerprint, and the DAG that releases the newest zip when it has changed.

An ETL's DAG updates an asset that the model file names, or a build that of the model's images, whose record counts as
data. The fingerprint of the data is in the claim of each release, which one conditional write makes. So a release of
the same zip with the same data is found, whoever starts it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Asset, task

from slipway import names
from slipway.aws.documents import S3Documents
from slipway.aws.identity import resolve
from slipway.aws.s3 import uri
from slipway.host import runs
from slipway.host.task_errors import with_error_block
from slipway.source.claims import Claims
from slipway.source.versions import S3Versions
from slipway.waiting.watcher_dag import watcher_dag

if TYPE_CHECKING:
    from slipway.model.config import ModelConfig

log = logging.getLogger(__name__)

# Starts a run from DAG id, run id, conf and note.
Starter = Callable[[str, str, Mapping[str, Any], str], bool]


def fingerprint(places: Sequence[str], versions: S3Versions) -> str:
    """Return what tells the data from other data: a hash of the keys and ETags of all objects.

    An ETag changes with the content, and with each upload of the same bytes where KMS encrypts them.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html

    :param places: S3 URIs of prefixes, without placeholders
    :param versions: lists them, a call for each thousand objects
    """
    found: dict[str, str] = {}
    for place in sorted(set(places)):
        bucket, _, prefix = place.removeprefix("s3://").partition("/")
        found |= {uri(bucket, key): one.etag for key, one in versions.current_objects(bucket, prefix).items()}
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:32]


def build_new_data_dags(models: Iterable[ModelConfig]) -> list[DAG]:
    """Build a DAG for each model whose file names assets: their updates start it.

    :param models: the models
    """
    return [_build(model) for model in models if model.inlets]


def _build(model: ModelConfig) -> DAG:
    # A reference: the ETL's DAG defines the asset, and may give it both a name and a URI.
    assets = [Asset.ref(uri=one.asset) if "://" in one.asset else Asset.ref(name=one.asset) for one in model.inlets]
    with watcher_dag(f"{names.NEW_DATA_DAG_PREFIX}{model.prefix}", reduce(or_, assets), __doc__) as dag:

        @task(task_id="release_newest")
        @with_error_block
        def release() -> str | None:
            versions = S3Versions(aws_conn_id=model.aws_conn_id)
            bucket = resolve(model.source.bucket, model.aws_conn_id)
            claims = Claims(S3Documents(versions.s3), bucket, model.prefix, runs.exists)
            places = [resolve(one.data, model.aws_conn_id) for one in model.inlets]
            return release_newest(model.prefix, bucket, model.source.key, places, versions, claims, runs.start)

        release()
    return dag


def release_newest(
    prefix: str, bucket: str, key: str, places: Sequence[str], versions: S3Versions, claims: Claims, start: Starter
) -> str | None:
    """Start a release of the newest zip, unless its last release began with the same data.

    The run's id follows from the zip, from how often it was released, and from the data: however often this is
    repeated, there is one run.

    :param prefix: the model's prefix
    :param bucket: the bucket of the zip
    :param key: the key of the zip
    :param places: where the data is
    :param versions: lists the data and finds the zip
    :param claims: the claims of the model's versions
    :param start: starts a run
    :returns: the run's id; None where there is nothing to release
    """
    newest = versions.head_version(bucket, key)
    if newest is None:
        log.info("There is no zip yet: its upload will release it with this data")
        return None
    last = claims.last(newest)
    if last is None:
        log.info("The newest zip has not been released yet: its own release takes this data")
        return None
    attempt, claim = last
    data = fingerprint(places, versions)
    if claim.data == data:
        log.info("The data has not changed since the run %s: nothing to release", claim.run_id)
        return None
    run_id = names.data_run_id(bucket, key, newest.version_id, attempt + 1, data)
    conf = {"bucket": bucket, "key": key, "version_id": newest.version_id, "new_attempt": True}
    name = names.release_name(names.revision_id(bucket, key, newest.version_id, attempt + 1), None)
    start(prefix, run_id, conf, f"{name} · new data")
    return run_id
