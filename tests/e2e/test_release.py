"""Whole releases through a real Airflow, its public API and the local AWS; the ledger says what really happened."""

from __future__ import annotations

import json
import random
import urllib.request
import zipfile
from io import BytesIO
from typing import Any, ClassVar
from urllib.parse import quote

import pytest
import yaml

from demo import datasets, training_job, upload
from slipway.names import stress_key
from tests.faults.injection import FaultInjection
from tools.settings import Settings

pytestmark = pytest.mark.e2e

IRIS = "iris-model"
STRESS = "stress_test"
DEVELOPMENT = "iris-model-development"
PRODUCTION = "iris-model-production"
AWS_WRITES = ("sagemaker", "cloudformation")


def job_name(slipway, run_id: str, dag_id: str = IRIS) -> str:
    return slipway.api().xcom(dag_id, run_id, "process_request")["training_job_name"]


def package(slipway, run_id: str) -> dict[str, Any]:
    arn = slipway.api().xcom(IRIS, run_id, "register")["model_package_arn"]
    return slipway.client("sagemaker").describe_model_package(ModelPackageName=arn)


def manual_upload(settings: Settings, slipway, body: bytes) -> upload.Upload:
    """A version under a key that no intake watches."""
    key = f"training_jobs/{IRIS}/by-hand.zip"
    answer = slipway.client("s3").put_object(Bucket=settings.bucket, Key=key, Body=body)
    return upload.Upload(settings.bucket, key, answer["VersionId"])


def rejected(slipway, run_id: str, user: str) -> None:
    slipway.wait_approval(IRIS, run_id)
    slipway.api(user).answer(IRIS, run_id, "approve", "Reject")


class TestUploadToProduction:
    def test_production_answers_as_well_as_asked_for(self, slipway, first_release):
        for endpoint in (DEVELOPMENT, PRODUCTION):
            answers = slipway.ask(endpoint)
            assert answers.accuracy >= 0.93
            assert answers.variants == {"model-a": answers.rows}

    def test_one_upload_is_one_run_and_one_training_job(self, slipway, first_release):
        assert slipway.runs_of(IRIS, first_release.version_id) == [first_release.run_id]
        created = slipway.ledger(operation="CreateTrainingJob", outcome="ok")
        name = job_name(slipway, first_release.run_id)
        assert [name in line["resource"] for line in created].count(True) == 1

    def test_the_approver_saw_the_facts(self, first_release):
        subject = first_release.screen["subject"]
        assert subject.startswith(f"{IRIS} v")
        assert subject.endswith(": Shall this model be put into production?")
        assert first_release.screen["body"].startswith("**Approve:** Version ")
        assert {"Approve", "Reject"} <= set(first_release.screen["options"])
        assert "validation:merror" in first_release.screen["body"]
        assert first_release.version_id in first_release.screen["body"]

    def test_the_registry_keeps_who_decided(self, slipway, first_release):
        record = package(slipway, first_release.run_id)
        assert record["ModelApprovalStatus"] == "Approved"
        assert record["CustomerMetadataProperties"]["slipway-decided-by"] == "alice"

    def test_bob_may_not_approve(self, first_release):
        assert first_release.bobs_status == 403


class TestStress:
    """Load for the development endpoint by the DAG that anybody may trigger."""

    FORM: ClassVar = {"model": IRIS, "environment": "dev", "watch_seconds": 0}

    @staticmethod
    def invocations(slipway) -> int:
        return len(slipway.ledger(operation="InvokeEndpoint", resource=DEVELOPMENT))

    @staticmethod
    def report(slipway, run_id: str) -> dict[str, Any] | None:
        try:
            key = stress_key(IRIS, run_id, "report.json")
            body = slipway.client("s3").get_object(Bucket=slipway.settings.bucket, Key=key)["Body"]
        except slipway.client("s3").exceptions.NoSuchKey:
            return None
        return json.loads(body.read())

    def test_a_load_passes_and_its_button_opens_the_report(self, slipway, first_release):
        before = self.invocations(slipway)
        run_id = slipway.api("bob").trigger(STRESS, self.FORM | {"stages": "4:200"})
        assert slipway.wait_end(STRESS, run_id) == "success", slipway.story(STRESS, run_id)
        summary = slipway.api().xcom(STRESS, run_id, "stress")
        assert (summary["sent"], summary["passed"], self.invocations(slipway) - before) == (200, True, 200)
        with urllib.request.urlopen(slipway.link(STRESS, run_id, "stress", "Stress report")) as page:  # noqa: S310
            assert DEVELOPMENT in page.read().decode()

    def test_a_broken_limit_fails_the_run_and_is_named(self, slipway, first_release):
        run_id = slipway.api("bob").trigger(STRESS, self.FORM | {"stages": "4:40", "p99_ms": 0.001})
        assert slipway.wait_end(STRESS, run_id) == "failed"
        log = slipway.log(STRESS, run_id, "stress")
        assert "p99_ms is 0.001, measured" in log
        assert f"s3://{slipway.settings.bucket}/stress/{IRIS}/" in log
        assert not self.report(slipway, run_id)["verdict"]["passed"]
        assert slipway.link(STRESS, run_id, "stress", "Stress report")

    def test_a_task_that_is_marked_failed_ends_its_load_and_leaves_its_report(self, slipway, first_release):
        before = self.invocations(slipway)
        form = self.FORM | {"rate_rps": 5, "duration_seconds": 600}
        run_id = slipway.api("alice").trigger(STRESS, form)
        slipway.wait("the load to begin", lambda: self.invocations(slipway) > before)
        slipway.api("alice").call(
            "PATCH", f"/dags/{STRESS}/dagRuns/{quote(run_id)}/taskInstances/stress", {"new_state": "failed"}
        )
        report = slipway.wait("the report", lambda: self.report(slipway, run_id))
        assert report["load"]["ended"] == "the task was ended"
        assert report["load"]["phases"][0]["sent"] == self.invocations(slipway) - before < 3000


class TestStressBeforeProduction:
    """A model whose file wants each release's development endpoint loaded before anybody is asked."""

    DAISY = "daisy-model"

    def write(self, slipway, p99_ms: float) -> None:
        models = slipway.include / "models"
        model = yaml.safe_load((models / "iris-model.yaml").read_text().replace("iris", "daisy"))
        stages = [{"concurrency": 4, "requests": 200}]
        model["stress"] |= {"before_production": True, "stages": stages, "slo": {"p99_ms": p99_ms}, "watch_seconds": 1}
        (models / f"{self.DAISY}.yaml").write_text(yaml.safe_dump(model))

    def test_a_broken_limit_ends_a_release_before_anybody_is_asked_and_a_kept_one_is_shown(self, slipway):
        self.write(slipway, 0.001)
        upload.upload_data(slipway.settings, self.DAISY, "iris")
        slipway.wait_dag(self.DAISY)
        run_id = slipway.release(self.DAISY)
        assert slipway.wait_end(self.DAISY, run_id) == "failed"
        assert slipway.failed_tasks(self.DAISY, run_id) == ["stress_dev"]
        assert slipway.api().tasks(self.DAISY, run_id)["approve"]["state"] == "upstream_failed"
        log = slipway.log(self.DAISY, run_id, "stress_dev")
        assert "p99_ms is 0.001, measured" in log
        report = f"s3://{slipway.settings.bucket}/stress/{self.DAISY}/"
        assert report in log
        assert slipway.link(self.DAISY, run_id, "stress_dev", "Stress report")

        # As whoever finds the limit wrong would go on: nothing is trained or deployed again.
        self.write(slipway, 60_000)
        again = {"dag_run_id": run_id, "task_ids": ["stress_dev"], "include_downstream": True, "dry_run": False}
        slipway.api("alice").call("POST", f"/dags/{self.DAISY}/clearTaskInstances", again)
        asked = slipway.wait_approval(self.DAISY, run_id)["body"]
        assert "200 of 200 requests answered" in asked
        assert report in asked
        slipway.api("alice").answer(self.DAISY, run_id, "approve", "Reject")
        assert slipway.wait_end(self.DAISY, run_id) in ("success", "failed")
        assert len(slipway.ledger(operation="InvokeEndpoint", resource=f"{self.DAISY}-development")) >= 400
        assert slipway.ledger(operation="InvokeEndpoint", resource=f"{self.DAISY}-production") == []
        created = [line["resource"] for line in slipway.ledger(operation="CreateTrainingJob", outcome="ok")]
        assert len([name for name in created if self.DAISY in name]) == 1


@pytest.fixture(scope="class")
def versions(slipway, first_release) -> list[upload.Upload]:
    """Two versions that no intake sees, the older first."""
    bodies = [training_job.build(IRIS, slipway.settings.bucket, {"max_depth": depth}) for depth in ("4", "5")]
    return [manual_upload(slipway.settings, slipway, body) for body in bodies]


class TestTriggerInTheUi:
    """Rejections too: both runs end without production."""

    def test_a_given_version_is_released_and_a_rejection_leaves_production_alone(self, slipway, versions):
        before = slipway.endpoint_config(PRODUCTION)
        older = versions[0]
        conf = {"bucket": older.bucket, "key": older.key, "version_id": older.version_id}
        run_id = slipway.api("alice").trigger(IRIS, conf)
        rejected(slipway, run_id, "carol")
        slipway.wait_end(IRIS, run_id)
        assert slipway.api().xcom(IRIS, run_id, "source")["version_id"] == older.version_id
        assert package(slipway, run_id)["ModelApprovalStatus"] == "Rejected"
        assert slipway.api().tasks(IRIS, run_id)["deploy_prd"]["state"] != "success"
        assert slipway.endpoint_config(PRODUCTION) == before
        assert slipway.ask(PRODUCTION).accuracy >= 0.93

    def test_an_empty_version_means_the_newest(self, slipway, versions):
        conf = {"bucket": versions[1].bucket, "key": versions[1].key, "version_id": ""}
        run_id = slipway.api("alice").trigger(IRIS, conf)
        slipway.wait_approval(IRIS, run_id)
        assert slipway.api().xcom(IRIS, run_id, "source")["version_id"] == versions[1].version_id
        rejected(slipway, run_id, "alice")
        slipway.wait_end(IRIS, run_id)


class TestFailures:
    """Each stops its release at one task, says why, and leaves both endpoints as they were."""

    @pytest.fixture(autouse=True)
    def endpoints_stay_as_they_are(self, slipway, first_release):
        before = {name: slipway.ask(name).accuracy for name in (DEVELOPMENT, PRODUCTION)}
        configs = {name: slipway.endpoint_config(name) for name in before}
        yield
        assert {name: slipway.ask(name).accuracy for name in before} == before
        assert {name: slipway.endpoint_config(name) for name in before} == configs

    def test_a_failing_gate_stops_at_evaluate(self, slipway):
        rows = datasets.load("iris").train
        labels = [row[0] for row in rows]
        random.Random(1).shuffle(labels)
        body = datasets.to_csv([[label, *row[1:]] for label, row in zip(labels, rows, strict=True)])
        key = f"{IRIS}/input/shuffled/iris.csv"
        slipway.client("s3").put_object(Bucket=slipway.settings.bucket, Key=key, Body=body)
        job = training_job.training_job(IRIS, slipway.settings.bucket, training_job.HYPERPARAMETERS)
        source = job["InputDataConfig"][0]["DataSource"]["S3DataSource"]
        source["S3Uri"] = f"s3://{slipway.settings.bucket}/{IRIS}/input/shuffled"
        zipped = training_job.pack(job, training_job.deployment(IRIS, slipway.settings.bucket))
        run_id = slipway.release(IRIS, zipped)
        assert slipway.wait_end(IRIS, run_id) == "failed"
        assert slipway.failed_tasks(IRIS, run_id) == ["evaluate"], slipway.story(IRIS, run_id)
        assert "validation:merror" in slipway.log(IRIS, run_id, "evaluate")

    def test_a_bad_hyperparameter_stops_at_train(self, slipway):
        run_id = slipway.release(IRIS, training_job.build(IRIS, slipway.settings.bucket, {"eta": "5"}))
        assert slipway.wait_end(IRIS, run_id) == "failed"
        assert slipway.failed_tasks(IRIS, run_id) == ["train"], slipway.story(IRIS, run_id)
        job = slipway.client("sagemaker").describe_training_job(TrainingJobName=job_name(slipway, run_id))
        assert job["TrainingJobStatus"] == "Failed"
        assert "eta" in job["FailureReason"]
        assert "eta" in slipway.log(IRIS, run_id, "train")

    def test_a_model_that_cannot_be_loaded_stops_at_deploy_dev(self, slipway):
        # register copies the artefact: its copy waits until the artefact is another.
        faults = FaultInjection(slipway.settings.aws_url)
        with faults.injected(service="s3", operation="CopyObject", resource="*/model.tar.gz", error="SlowDown"):
            run_id = slipway.release(IRIS)
            slipway.wait_task(IRIS, run_id, "train", "success")
            artefact = slipway.api().xcom(IRIS, run_id, "train")["model_data_url"]
            bucket, _, key = artefact.removeprefix("s3://").partition("/")
            slipway.client("s3").put_object(Bucket=bucket, Key=key, Body=b"not a model")
        assert slipway.wait_end(IRIS, run_id) == "failed"
        assert slipway.failed_tasks(IRIS, run_id) == ["deploy_dev"], slipway.story(IRIS, run_id)
        assert "Endpoint" in slipway.log(IRIS, run_id, "deploy_dev")

    def test_a_bad_zip_is_refused_before_anything_is_started(self, slipway):
        seen = len(slipway.ledger())
        stream = BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("trainingjob.json", json.dumps({"NoSuchField": 1}))
        run_id = slipway.release(IRIS, stream.getvalue())
        assert slipway.wait_end(IRIS, run_id) == "failed"
        assert slipway.failed_tasks(IRIS, run_id) == ["process_request"], slipway.story(IRIS, run_id)
        assert "deployment.json" in slipway.log(IRIS, run_id, "process_request")
        calls = slipway.ledger()[seen:]
        # The watchers of the reaper, of drift and of what is live look all the time.
        made = [call for call in calls if not call["operation"].startswith(("Describe", "Detect", "List"))]
        assert [call for call in made if call["service"] in AWS_WRITES] == []


class TestRestart:
    """Last of all: stops and starts the instance."""

    def test_endpoints_answer_again_and_nothing_is_released_twice(self, slipway, first_release):
        accuracy = slipway.ask(PRODUCTION).accuracy
        created = slipway.ledger(operation="CreateTrainingJob")
        slipway.services("down")
        slipway.services("up")
        assert slipway.ask(PRODUCTION).accuracy == accuracy
        seen = len(slipway.ledger(operation="ListObjectsV2"))
        slipway.wait("the intake to look again", lambda: len(slipway.ledger(operation="ListObjectsV2")) >= seen + 3)
        assert slipway.ledger(operation="CreateTrainingJob") == created
        assert slipway.runs_of(IRIS, first_release.version_id) == [first_release.run_id]
