"""Every name that Slipway gives: a function of model and revision, so that each attempt of a task finds its work."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

from slipway.formats.encoding import METADATA_KEY_MAX_CHARS, decoded, encoded, fits
from slipway.states import Environment

# Training jobs, models, endpoint configs and endpoints share this limit.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
SAGEMAKER_NAME_MAX_CHARS = 63
# SageMaker's pattern, and CloudFormation's for stacks that begin with a letter, as all of Slipway's do.
NAME_PATTERN = r"[a-zA-Z0-9](-?[a-zA-Z0-9])*"

# The variant whose model is live, and the one on trial beside it. The names never change:
# https://docs.aws.amazon.com/sagemaker/latest/dg/model-ab-testing.html
LIVE_VARIANT = "model-a"
TRIAL_VARIANT = "model-b"

# What the board takes for a model package: its version or its ARN.
PACKAGE_PATTERN = r"^([0-9]{1,20}|arn:[!-~]+)$"
PACKAGE_MAX_CHARS = 400

# The bucket that command/cfn/bootstrap.yaml makes; the placeholders are a model file's.
ACCOUNT_BUCKET = "mlops-{region}-{account}"
# The tag of every DAG of Slipway; the guard knows them by it.
DAG_TAG = "slipway"
# Besides it the DAGs of models have this one.
RELEASE_TAG = "release"
# And those that build images, this one.
IMAGE_TAG = "image"
# The DAGs beside the models' own. Several buckets or connections each have an intake, a reaper, a drift
# watcher or a survey of their own, with a suffix.
DRIFT_DAG_ID = "drift"
INTAKE_DAG_ID = "intake"
LIVE_DAG_ID = "live"
REAPER_DAG_ID = "reaper"
# Before a model's prefix, which has no underscore.
NEW_DATA_DAG_PREFIX = "new_data-"
STRESS_TEST_DAG_ID = "stress_test"
TEARDOWN_DAG_ID = "teardown"
DAG_IDS = frozenset({DRIFT_DAG_ID, INTAKE_DAG_ID, LIVE_DAG_ID, REAPER_DAG_ID, STRESS_TEST_DAG_ID, TEARDOWN_DAG_ID})

# How to release a version again. The first is a button of the run's page (ui/src/NewAttempt.tsx), the second one of the
# model's page (ui/src/ReleaseVersion.tsx).
RELEASE_AGAIN = 'press "Release this version again" on this run\'s page of the board'
RELEASE_A_VERSION = (
    'press "Release a version" on the model\'s page of the board, or trigger it with version_id and new_attempt'
)

# The beginning of every training job's name.
TRAINING_JOB_PREFIX = "mlops-"

_TIMESTAMP = "%Y-%m-%d-%H-%M-%S"
_TIMESTAMP_CHARS = len("2024-01-31-23-59-59")
_REVISION_CHARS = 8
_ATTEMPT_CHARS = len("-9")

# What the longest name leaves of the 63 characters.
PREFIX_MAX_CHARS = (
    SAGEMAKER_NAME_MAX_CHARS
    - len(f"{TRAINING_JOB_PREFIX}-")
    - _TIMESTAMP_CHARS
    - len("-")
    - _REVISION_CHARS
    - _ATTEMPT_CHARS
)
ENDPOINT_PREFIX_MAX_CHARS = SAGEMAKER_NAME_MAX_CHARS - len("-") - max(len(environment) for environment in Environment)


def revision_id(bucket: str, key: str, version_id: str, attempt: int = 1) -> str:
    """Identify one release of one object version.

    :param bucket: the source bucket
    :param key: the object's key
    :param version_id: S3's VersionId
    :param attempt: 2 and above for a further release of a version that has been released
    :returns: 32 hexadecimal digits
    """
    parts = (bucket, key, version_id, *([str(attempt)] if attempt > 1 else []))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


# The beginning of the run ids of uploads.
AUTO_RUN_PREFIX = "s3__"


# The beginning of the run ids of new training data.
DATA_RUN_PREFIX = "data__"


# How much of a revision's id is in run ids, and in the names of releases.
_RUN_ID_CHARS, _SHORT_ID_CHARS = 16, 4


def auto_run_id(bucket: str, key: str, version_id: str, uploaded_at: str) -> str:
    """Name the DAG run that an upload starts. Airflow keeps run ids unique, so a version starts at most one run.

    :param bucket: the source bucket
    :param key: the object's key
    :param version_id: S3's VersionId
    :param uploaded_at: its LastModified, ISO 8601; S3 never changes that of a version
    :returns: such as ``s3__2026-11-28T14-03-05Z_3f2ab1c09d4e5a6b``
    """
    moment = datetime.fromisoformat(uploaded_at).astimezone(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    return f"{AUTO_RUN_PREFIX}{moment}_{revision_id(bucket, key, version_id)[:_RUN_ID_CHARS]}"


def data_run_id(bucket: str, key: str, version_id: str, attempt: int, data: str) -> str:
    """Name the DAG run that new training data starts: one for a zip, the number of its release, and the data.

    :param bucket: the source bucket
    :param key: the object's key
    :param version_id: S3's VersionId
    :param attempt: which release of the version it is to be
    :param data: the data's fingerprint
    """
    return f"{DATA_RUN_PREFIX}{revision_id(bucket, key, version_id, attempt)[:_RUN_ID_CHARS]}_{data[:_RUN_ID_CHARS]}"


def release_name(revision: str | None, uploaded_at: str | None, version: str | None = None) -> str:
    """Name a release for people: ``v14 · 3f2a · 2026-11-28 14:03``, in UTC, as far as it is known.

    :param revision: the revision's id
    :param uploaded_at: when its zip was uploaded, ISO 8601
    :param version: the number of its model package
    """
    moment = datetime.fromisoformat(uploaded_at).astimezone(UTC).strftime("%Y-%m-%d %H:%M") if uploaded_at else None
    parts = (f"v{version}" if version else None, revision[:_SHORT_ID_CHARS] if revision else None, moment)
    return " · ".join(part for part in parts if part)


def training_job_name(prefix: str, last_modified: datetime, revision: str, attempt: int = 1) -> str:
    """Name the training job of a revision.

    :param prefix: the model's prefix
    :param last_modified: when the object version was written; aware
    :param revision: the revision's id
    :param attempt: 2 to 9 for a further job after a failure of SageMaker's own
    :returns: at most 63 characters
    :raises ValueError: when the time is naive or the attempt out of range
    """
    if last_modified.tzinfo is None:
        raise ValueError("last_modified needs a time zone")
    if not 1 <= attempt <= 9:
        raise ValueError(f"attempt must be 1 to 9, not {attempt}")
    moment = last_modified.astimezone(UTC).strftime(_TIMESTAMP)
    name = f"{TRAINING_JOB_PREFIX}{prefix}-{moment}-{revision[:_REVISION_CHARS]}"
    return name if attempt == 1 else f"{name}-{attempt}"


def stack_name(prefix: str, environment: Environment) -> str:
    """Name the CloudFormation stack of an environment."""
    return f"mlops-deploy-{prefix}-{environment.short}"


def endpoint_name(endpoint_prefix: str, environment: Environment) -> str:
    """Name the endpoint of an environment."""
    return f"{endpoint_prefix}-{environment.value}"


def environment_of(endpoint: str) -> Environment | None:
    """Return the environment of an endpoint by its name; None if ``endpoint_name`` did not make it."""
    return next((one for one in Environment if endpoint.endswith(f"-{one.value}")), None)


def dashboard_name(endpoint: str, region: str) -> str:
    """Name the dashboard of an endpoint, as endpoint.yaml does; all regions share an account's dashboards."""
    return f"slipway-{endpoint}-{region}"


def model_package_group(prefix: str) -> str:
    """Name the model's group in the Model Registry."""
    return f"mlops-{prefix}"


def newest_image_key(prefix: str) -> str:
    """Return the key of the record of the newest image that Slipway has built for a model."""
    return f"{release_prefix(f'{prefix}/images', 'newest')}image.json"


def image_repository(prefix: str) -> str:
    """Name the ECR repository of a model's own images; ECR takes no capital letters."""
    return f"mlops-{prefix.lower()}"


def package_version(arn: str) -> str:
    """Return a model package's number in its group, by its ARN."""
    return arn.rpartition("/")[2]


# The beginning of the keys of a model package's metadata that hold the training job's metrics.
_METRIC_PREFIX = "metric/"


def keeps_metric(name: str) -> bool:
    """Tell whether a model package can keep a metric of this name, so that it reads back."""
    return fits(name, METADATA_KEY_MAX_CHARS - len(_METRIC_PREFIX))


def metric_key(name: str) -> str:
    """Return the metadata key of a metric that ``keeps_metric`` accepts."""
    return f"{_METRIC_PREFIX}{encoded(name)}"


def metric_of_key(key: str) -> str | None:
    """Return the name of the metric that a metadata key holds; None for the key of something else."""
    return decoded(key.removeprefix(_METRIC_PREFIX)) if key.startswith(_METRIC_PREFIX) else None


def approver_role(prefix: str) -> str:
    """Name the role as which people approve a model, as command/cfn/model.yaml makes it."""
    return f"slipway-approver-{prefix}"


def training_role(prefix: str) -> str:
    """Name the role that SageMaker trains a model as; command/cfn/model.yaml makes it."""
    return f"slipway-training-{prefix}"


def endpoint_role(prefix: str) -> str:
    """Name the role that SageMaker hosts a model as; command/cfn/model.yaml makes it."""
    return f"slipway-endpoint-{prefix}"


def source_key(prefix: str) -> str:
    """Return the key of a model's zip, unless its model file says otherwise."""
    return f"training_jobs/{prefix}/trainingjob.zip"


def release_prefix(prefix: str, revision: str) -> str:
    """Return the key prefix, in the source bucket, of everything that a release keeps."""
    return f"releases/{prefix}/{revision}/"


def revision_key(prefix: str, revision: str) -> str:
    """Return the key of the document that says which object version a release was made from."""
    return f"{release_prefix(prefix, revision)}revision.json"


def request_key(prefix: str, revision: str) -> str:
    """Return the key of a release's own copy of the zip."""
    return f"{release_prefix(prefix, revision)}trainingjob.zip"


def artefact_key(prefix: str, revision: str) -> str:
    """Return the key of a release's own copy of its model, which training roles cannot write."""
    return f"{release_prefix(prefix, revision)}model.tar.gz"


def request_beside(artefact: str) -> str:
    """Return the key of the zip of the release that an artefact belongs to.

    :param artefact: what artefact_key returned
    """
    return f"{artefact.rpartition('/')[0]}/trainingjob.zip"


def claim_key(prefix: str, revision: str) -> str:
    """Return the key of the document that says which run a revision belongs to."""
    return f"{release_prefix(prefix, revision)}claim.json"


def endpoints_key(account: str, region: str) -> str:
    """Return the key of the document that says what endpoints use; models of several accounts may share a bucket."""
    return f"releases/endpoints-{account}-{region}.json"


def kept_key(prefix: str) -> str:
    """Return the key of the document that says which releases have more than a claim."""
    return f"releases/{prefix}/kept.json"


def board_key(prefix: str) -> str:
    """Return the key of the document that says which release is at which stage."""
    return f"releases/{prefix}/stages.json"


def template_key(name: str, digest: str) -> str:
    """Return the key of a version of a template that an administrator has uploaded for Airflow to deploy.

    :param name: the file's name without its ending
    :param digest: SHA-256 of the file, hexadecimal
    """
    return f"templates/{name}-{digest[:16]}.yaml"


# The run ids that Airflow makes, such as manual__2026-05-01T12:00:00.123456+00:00_AbCdEfGh.
_OF_A_TIME = re.compile(r"\w+__[\d-]+T[\d:.]+\+00:00\w*", re.ASCII)
# Their folders. A person may give a run such an id.
_FOLDER_OF_A_TIME = re.compile(r"\w+__[\d-]+T[\d.-]+-00-00\w*", re.ASCII)


def stress_key(prefix: str, run_id: str, file: str) -> str:
    """Return the key, in the source bucket, of a file of a stress test's report.

    :param prefix: the model's prefix
    :param run_id: Airflow's id of the run; characters that URLs would escape become hyphens, and a hash is added unless
        Airflow made the id from a time, so that no two runs share a folder
    :param file: the file's name
    """
    # S3 and URLs read . and .. as folders. https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
    folder = "-" if run_id in (".", "..") else re.sub(r"[^A-Za-z0-9_.-]", "-", run_id)
    if not _OF_A_TIME.fullmatch(run_id) and (folder != run_id or _FOLDER_OF_A_TIME.fullmatch(run_id)):
        folder = f"{folder}-{hashlib.sha256(run_id.encode()).hexdigest()[:16]}"
    return f"stress/{prefix}/{folder}/{file}"
