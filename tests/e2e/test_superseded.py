"""Several releases of one model at once: the newest comes through, the others say why not. A version: once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from demo import upload
from slipway.names import revision_id
from tests.e2e.conftest import FirstRelease

pytestmark = pytest.mark.e2e

IRIS = "iris-model"
STACK = "mlops-deploy-iris-model-prd"


@dataclass(frozen=True)
class Burst:
    """Three uploads and a new attempt at the version that was released first; the attempt is the newest."""

    overtaken: list[str]
    newest: str
    revisions: list[str]


@pytest.fixture(scope="module")
def burst(slipway, first_release: FirstRelease) -> Burst:
    """All of them ended; the newest was approved."""
    uploads = [upload.upload_zip(slipway.settings, IRIS) for _ in range(3)]
    newest = slipway.api("alice").trigger(IRIS, {"version_id": first_release.version_id, "new_attempt": True})
    overtaken = [slipway.run_of(IRIS, one.version_id) for one in uploads]
    slipway.wait_approval(IRIS, newest)
    slipway.api("carol").answer(IRIS, newest, "approve", "Approve")
    for run_id in (newest, *overtaken):
        assert slipway.wait_end(IRIS, run_id) == "success", slipway.story(IRIS, run_id)
    first = revision_id(uploads[0].bucket, uploads[0].key, first_release.version_id, attempt=2)
    revisions = [*(revision_id(one.bucket, one.key, one.version_id) for one in uploads), first]
    return Burst(overtaken, newest, revisions)


def states(slipway, run_id: str) -> dict[str, str]:
    return {name: task["state"] for name, task in slipway.api().tasks(IRIS, run_id).items()}


def links(slipway, run_id: str, task_id: str) -> dict[str, Any]:
    path = f"/dags/{IRIS}/dagRuns/{run_id}/taskInstances/{task_id}/links"
    return slipway.api().call("GET", path)["extra_links"]


class TestBurst:
    def test_production_holds_the_newest(self, slipway, burst):
        stack = slipway.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
        outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
        assert outputs["Revision"] == burst.revisions[-1]
        ended = states(slipway, burst.newest)
        # There for roll-backs, and for trials that the model file asks for.
        assert {ended.pop(name) for name in ("roll_back", "decide_trial", "settle_trial")} == {"skipped"}
        assert set(ended.values()) == {"success"}

    def test_the_others_are_skipped_and_lead_to_a_newer_release(self, slipway, burst):
        for run_id in burst.overtaken:
            tasks = states(slipway, run_id)
            assert tasks["deploy_prd"] == tasks["test_prd"] == "skipped"
            where = next(
                name for name, state in tasks.items() if state == "skipped" and self.newer(slipway, run_id, name)
            )
            newer = self.newer(slipway, run_id, where)
            assert newer["run_id"] in [burst.newest, *burst.overtaken]
            assert newer["run_id"] != run_id
            assert links(slipway, run_id, where)["Newer release"].endswith(
                f"/dags/{IRIS}/runs/{quoted(newer['run_id'])}"
            )
            assert "Fix: to serve this version nevertheless" in slipway.log(IRIS, run_id, where)

    def newer(self, slipway, run_id: str, task_id: str) -> Any:
        return slipway.api().xcom(IRIS, run_id, task_id, "newer_release")

    def test_what_was_overtaken_can_never_be_approved(self, slipway, burst):
        registered = [slipway.api().xcom(IRIS, run_id, "register") for run_id in burst.overtaken]
        for registration in filter(None, registered):
            arn = registration["model_package_arn"]
            package = slipway.client("sagemaker").describe_model_package(ModelPackageName=arn)
            assert package["ModelApprovalStatus"] == "Rejected"
            assert package["CustomerMetadataProperties"]["slipway-decided-by"] == "slipway"
            assert package["CustomerMetadataProperties"]["slipway-decided-how"] == "superseded"


class TestReleasedAlready:
    def test_asking_for_a_released_version_names_the_run_that_has_it(self, slipway, first_release):
        run_id = slipway.api("alice").trigger(IRIS, {"version_id": first_release.version_id})
        assert slipway.wait_end(IRIS, run_id) == "failed"
        assert slipway.failed_tasks(IRIS, run_id) == ["source"]
        assert f"The run {first_release.run_id} has this version" in slipway.log(IRIS, run_id, "source")
        assert first_release.run_id in links(slipway, run_id, "source")["Release of this version"]

    def test_a_new_attempt_trains_anew(self, slipway, first_release, burst):
        jobs = [
            slipway.api().xcom(IRIS, run_id, "process_request")["training_job_name"]
            for run_id in (first_release.run_id, burst.newest)
        ]
        created = [str(call["resource"]) for call in slipway.ledger(operation="CreateTrainingJob", outcome="ok")]
        assert [[job in one for one in created].count(True) for job in jobs] == [1, 1]
        assert jobs[0] != jobs[1]


def quoted(run_id: str) -> str:
    return run_id.replace(":", "%3A").replace("+", "%2B")
