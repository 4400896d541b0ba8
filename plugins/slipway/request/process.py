"""The body of the task ``process_request``: it makes the release's plan from an upload, or refuses the upload."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, Protocol

from slipway import names
from slipway.aws.ecr import EcrHook
from slipway.aws.identity import identity
from slipway.aws.placeholders import AwsIdentity
from slipway.aws.s3 import S3Hook, uri
from slipway.errors import ModelFileError, NameConflict, PermanentError
from slipway.formats.encoding import TAG_VALUE_MAX_CHARS, fits
from slipway.model.config import ModelConfig
from slipway.plan import PinnedImage, ReleasePlan, Revision
from slipway.request.archive import MAX_BYTES, refuse
from slipway.request.contents import contents_of_request
from slipway.request.fence import FencedRequest, RequestReader, check_digest, fence, parse_zip
from slipway.request.measurable import check_measurable
from slipway.request.newest_image import newest_image
from slipway.request.pinned_image import Images, own_registry, pin_image
from slipway.request.uploader import read_image, read_revision, revision_document
from slipway.request.xgboost import check_hyperparameters
from slipway.states import Environment
from slipway.validation import shown_name

log = logging.getLogger(__name__)

# None for an image that is used by the name it has.
Pinned = PinnedImage | None


class RequestStore(RequestReader, Protocol):
    """The part of S3 that the task needs."""

    def exists(self, bucket: str, key: str) -> bool:
        """Tell whether an object exists."""

    def uploader(self, bucket: str, key: str, version_id: str) -> str | None:
        """Return who uploaded a version, or None if the version does not exist."""

    def put_if_absent(self, bucket: str, key: str, data: bytes, *, content_type: str) -> bool:
        """Write an object; return False if it already exists."""


def process_request(
    model: ModelConfig,
    revision: Revision,
    *,
    s3: RequestStore | None = None,
    aws: AwsIdentity | None = None,
    ecr: Images | None = None,
    tell: Callable[[dict[str, Any]], None] | None = None,
) -> ReleasePlan:
    """Read the pinned zip, check it against the model's policy, keep a copy and name everything of the release.

    It calls S3 and STS, ECR for an image of the account, not SageMaker or CloudFormation. A second run makes the same
    plan and the same copy.

    :param model: the model file
    :param revision: what ``source`` pinned
    :param s3: S3; through the model's connection if None
    :param aws: account and region; looked up if None
    :param ecr: the registry of the account; through the model's connection if None
    :param tell: gets what is in the zip, as the XCom for the board
    :raises RequestRefused: when the zip is invalid, the policy does not allow it, or the model could not be measured
    :raises ModelFileError: when a metric of the model file has a name that the Model Registry cannot keep
    :raises NameConflict: when the run's prefix already has another zip
    :raises slipway.errors.ImageMissing: when the image is not in its repository
    """
    if revision.size_bytes > MAX_BYTES:
        why = f"expected at most {MAX_BYTES} bytes, found {revision.size_bytes}"
        refuse("trainingjob.zip", why, "upload a smaller zip")
    s3 = s3 or S3Hook(aws_conn_id=model.aws_conn_id)
    aws = aws or identity(model.aws_conn_id)
    run_id = revision.revision_id
    bucket = aws.resolve(model.source.bucket)
    key = names.request_key(model.prefix, run_id)
    data = _read(s3, revision, bucket, key)
    fenced = checked(data, model, aws)
    _check_version_id(revision)
    if fenced.request.training_job.algorithm_specification.metric_definitions:
        log.info("MetricDefinitions of trainingjob.json are ignored: the model file defines the metrics")
    image = _image(fenced, aws, ecr, s3, bucket)
    if not s3.put_if_absent(bucket, key, data, content_type="application/zip"):
        kept = s3.read_version(bucket, key, max_bytes=MAX_BYTES)
        check_digest(kept, fenced.request.digest, f"s3://{bucket}/{key}")
    # A roll-back makes the plan again from these two, after this run and its XComs were deleted.
    document = json.dumps(revision_document(revision, fenced.request.digest, s3, image)).encode()
    place = names.revision_key(model.prefix, run_id)
    if not s3.put_if_absent(bucket, place, document, content_type="application/json"):
        # An earlier attempt has begun with this image, whatever the tag means now.
        image = read_image(s3.read_version(bucket, place, max_bytes=MAX_BYTES), uri(bucket, place))
    return _told(fenced, revision, run_id, uri(bucket, key), image, tell)


def plan_again(
    model: ModelConfig,
    revision_id: str,
    digest: str,
    *,
    s3: RequestReader | None = None,
    aws: AwsIdentity | None = None,
    tell: Callable[[dict[str, Any]], None] | None = None,
) -> ReleasePlan:
    """Make the plan of an earlier release from the documents below its prefix and the present model file.

    It reads neither the upload nor the release's run: both may be deleted.

    :param model: the model file
    :param revision_id: the release's revision
    :param digest: SHA-256 that its copy of the zip must have, hexadecimal
    :param s3: S3; through the model's connection if None
    :param aws: account and region; looked up if None
    :param tell: gets what is in the zip, as the XCom for the board
    :raises PermanentError: when the release's documents are missing or were changed
    :raises PolicyViolation: when the policy no longer allows it
    """
    s3 = s3 or S3Hook(aws_conn_id=model.aws_conn_id)
    aws = aws or identity(model.aws_conn_id)
    bucket, key = aws.resolve(model.source.bucket), names.request_key(model.prefix, revision_id)
    document = s3.read_version(bucket, names.revision_key(model.prefix, revision_id), max_bytes=MAX_BYTES)
    revision = read_revision(document, uri(bucket, names.revision_key(model.prefix, revision_id)))
    data = s3.read_version(bucket, key, max_bytes=MAX_BYTES)
    check_digest(data, digest, uri(bucket, key))
    if revision.revision_id != revision_id:
        raise NameConflict(
            "The revision's document describes another revision",
            resource=uri(bucket, names.revision_key(model.prefix, revision_id)),
            why=f"it describes {revision.revision_id}",
            fix="find out who wrote it, and roll back to another release",
        )
    image = read_image(document, uri(bucket, names.revision_key(model.prefix, revision_id)))
    fenced = fence(parse_zip(data), model, aws, image)
    return _told(fenced, revision, revision_id, uri(bucket, key), image, tell)


def checked(data: bytes, model: ModelConfig, aws: AwsIdentity) -> FencedRequest:
    """Make every check of a zip that needs the model file only.

    :param data: the zip
    :param model: the model file
    :param aws: account and region, for its placeholders
    :raises RequestRefused: when the zip is invalid, the policy does not allow it, or the model could not be measured
    :raises ModelFileError: when a metric of the model file has a name that the Model Registry cannot keep
    """
    fenced = fence(parse_zip(data), model, aws)
    check_hyperparameters(fenced)
    check_measurable(fenced)
    # A later API cannot keep them: refused before anything costs money.
    if lost := [name for name in model.metrics if not names.keeps_metric(name)]:
        raise ModelFileError(
            "The Model Registry cannot keep the names of these metrics",
            resource=f"metrics of {model.prefix}",
            why="; ".join(map(shown_name, lost)),
            fix="give them shorter names in the model file: up to 121 of the characters A-Z, a-z, 0-9, _.:/+-@ and "
            "space; any other character counts as three for each of its bytes in UTF-8",
        )
    return fenced


def _check_version_id(revision: Revision) -> None:
    if not fits(revision.version_id, TAG_VALUE_MAX_CHARS):
        raise PermanentError(
            "A tag cannot keep this VersionId",
            resource=uri(revision.bucket, revision.key),
            why=f"it has {len(revision.version_id)} characters",
            fix="upload the zip to a bucket of Amazon S3",
        )


def _read(s3: RequestStore, revision: Revision, bucket: str, key: str) -> bytes:
    """Read the pinned version, or this run's copy if the version was deleted after an earlier attempt."""
    try:
        return s3.read_version(revision.bucket, revision.key, revision.version_id, max_bytes=MAX_BYTES)
    except PermanentError:
        if not s3.exists(bucket, key):
            raise
        return s3.read_version(bucket, key, max_bytes=MAX_BYTES)


def _image(fenced: FencedRequest, aws: AwsIdentity, ecr: Images | None, s3: RequestStore, bucket: str) -> Pinned:
    """Pin the image of a request; what is used by its name costs no call."""
    if own_registry(fenced.image, aws) is None:
        return None
    model = fenced.model
    return pin_image(
        fenced.image,
        model,
        aws,
        ecr or EcrHook(aws_conn_id=model.aws_conn_id),
        lambda: newest_image(model.prefix, bucket, s3),
    )


def _told(
    fenced: FencedRequest,
    revision: Revision,
    run_id: str,
    request_uri: str,
    image: Pinned,
    tell: Callable[[dict[str, Any]], None] | None,
) -> ReleasePlan:
    if tell:
        tell(contents_of_request(fenced.request).with_image(image.uri if image else None).to_xcom())
    return _plan(fenced, revision, run_id, request_uri, image)


def _plan(fenced: FencedRequest, revision: Revision, run_id: str, request_uri: str, image: Pinned) -> ReleasePlan:
    prefix = fenced.model.prefix
    endpoint_prefix = fenced.request.deployment.endpoint_prefix
    production = fenced.endpoint(Environment.PRODUCTION)
    return ReleasePlan(
        prefix=prefix,
        revision=revision,
        revision_id=run_id,
        digest=fenced.request.digest,
        sequence=revision.sequence or revision.last_modified,
        training_job_name=names.training_job_name(prefix, revision.written_at, run_id),
        request_uri=request_uri,
        model_package_group=names.model_package_group(prefix),
        endpoint_prefix=endpoint_prefix,
        stacks={environment.short: names.stack_name(prefix, environment) for environment in Environment},
        endpoints={environment.short: names.endpoint_name(endpoint_prefix, environment) for environment in Environment},
        trial_share=production.initial_variant_weight if production.ab_tests else None,
        image=image,
    )
