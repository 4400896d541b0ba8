"""Names are functions of model and revision, and always fit."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from slipway import names
from slipway.states import Environment
from tests.conftest import ROOT

MOMENT = datetime(2024, 1, 31, 23, 59, 59, tzinfo=UTC)
REVISION = names.revision_id("bucket", "key", "version")


def test_a_revision_is_known_by_bucket_key_and_version_alone():
    assert re.fullmatch("[0-9a-f]{32}", REVISION)
    assert names.revision_id("bucket", "key", "version") == REVISION
    others = {
        names.revision_id("bucket2", "key", "version"),
        names.revision_id("bucket", "key", "version2"),
        names.revision_id("bucketkey", "", "version"),
        names.revision_id("bucket", "keyversion", ""),
    }
    assert len(others | {REVISION}) == 5


def test_an_uploads_run_id_says_when_and_follows_from_the_version_alone():
    run_id = names.auto_run_id("bucket", "key", "version", "2026-11-28T14:03:05+00:00")
    assert run_id == f"s3__2026-11-28T14-03-05Z_{REVISION[:16]}"
    assert names.auto_run_id("bucket", "key", "version", "2026-11-28T15:03:05.000000+01:00") == run_id
    assert names.auto_run_id("bucket", "key", "version2", "2026-11-28T14:03:05+00:00") != run_id
    # Airflow's default of [core] allowed_run_id_pattern.
    assert re.fullmatch(r"[A-Za-z0-9_.~:+-]+", run_id)


def test_a_release_has_a_name_for_people():
    assert names.release_name("3f2ab1c0", "2026-11-28T15:03:59+01:00", "14") == "v14 · 3f2a · 2026-11-28 14:03"
    assert names.release_name("3f2ab1c0", "2026-11-28T14:03:00+00:00") == "3f2a · 2026-11-28 14:03"
    assert names.release_name(None, None, "14") == "v14"
    assert names.release_name(None, None) == ""


def test_training_jobs_are_named_as_in_the_lab_with_the_revision_added():
    assert names.training_job_name("iris-model", MOMENT, REVISION) == (
        f"mlops-iris-model-2024-01-31-23-59-59-{REVISION[:8]}"
    )
    assert names.training_job_name("iris-model", MOMENT, REVISION, 2).endswith(f"{REVISION[:8]}-2")
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=9)))
    assert names.training_job_name("a", elsewhere, REVISION) == names.training_job_name("a", MOMENT, REVISION)


@pytest.mark.parametrize(("moment", "attempt"), [(MOMENT.replace(tzinfo=None), 1), (MOMENT, 0), (MOMENT, 10)])
def test_what_would_give_two_names_to_one_job_is_refused(moment, attempt):
    with pytest.raises(ValueError, match=r"time zone|attempt"):
        names.training_job_name("a", moment, REVISION, attempt)


def test_the_longest_prefixes_fill_the_limit_exactly():
    longest = names.training_job_name("x" * names.PREFIX_MAX_CHARS, MOMENT, REVISION, 9)
    assert len(longest) == names.SAGEMAKER_NAME_MAX_CHARS
    endpoints = [names.endpoint_name("x" * names.ENDPOINT_PREFIX_MAX_CHARS, item) for item in Environment]
    assert max(map(len, endpoints)) == names.SAGEMAKER_NAME_MAX_CHARS


def test_the_other_names_are_the_labs():
    assert names.stack_name("iris-model", Environment.DEVELOPMENT) == "mlops-deploy-iris-model-dev"
    assert names.stack_name("iris-model", Environment.PRODUCTION) == "mlops-deploy-iris-model-prd"
    assert names.endpoint_name("iris-model", Environment.DEVELOPMENT) == "iris-model-development"
    assert names.endpoint_name("iris-model", Environment.PRODUCTION) == "iris-model-production"
    assert names.model_package_group("iris-model") == "mlops-iris-model"
    assert names.source_key("iris-model") == "training_jobs/iris-model/trainingjob.zip"
    report = names.stress_key("iris-model", "manual__2026-05-01T12:00:00+00:00", "report.html")
    assert report == "stress/iris-model/manual__2026-05-01T12-00-00-00-00/report.html"
    assert names.release_prefix("iris-model", REVISION) == f"releases/iris-model/{REVISION}/"


def test_no_two_runs_share_the_folder_of_a_stress_test():
    of_airflow = "manual__2026-05-01T12:00:00+00:00"
    ids = [of_airflow, of_airflow.replace(":", "-").replace("+", "-"), ".", "..", "-", "a/b", "a-b", "a%2Fb", "a+b"]
    keys = [names.stress_key("m", run_id, "report.html") for run_id in ids]
    assert len(set(keys)) == len(ids)
    assert not [key for key in keys if {".", ".."} & set(key.split("/"))]


@pytest.mark.parametrize(
    ("page", "text"), [("NewAttempt", names.RELEASE_AGAIN), ("ReleaseVersion", names.RELEASE_A_VERSION)]
)
def test_the_button_that_a_text_names_is_on_the_page(page, text):
    _, button, _ = text.split('"')
    assert button in (ROOT / "ui/src" / f"{page}.tsx").read_text()
