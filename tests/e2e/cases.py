"""Small model files, zips and rows that once ended in the wrong way, released all at once through a real Airflow.

Takes some minutes, so its name keeps it from being collected: `make cases` asks for it. Each case is a folder of
tests/cases: the model file, the zip's two documents, and the objects below `<prefix>/input/`.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from slipway.names import LIVE_VARIANT
from slipway.registry.metadata import metrics_of
from tools.settings import AIRFLOW_ROLE

pytestmark = pytest.mark.e2e

FOLDER = Path(__file__).parents[1] / "cases"
OTHER_BUCKET = "zips-of-another-team"
UPLOADER = "Zoë Łukasz"
# RFC 2047, as S3 returns a metadata value that is not ASCII.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
UPLOADER_IN_S3 = "=?UTF-8?B?Wm/DqyDFgXVrYXN6?="
# The task that each refused case fails in; all others ask the approvers.
REFUSED = {"nan-gate": "evaluate", "no-class": "process_request", "no-rows": "test_dev"}
TRAINED = {case.name for case in FOLDER.iterdir()} - {"no-class"}
# What the approvers see of each case, and what a failed task's log says.
SEEN = {
    "nan-metric": ["validation:auc", "not a number"],
    "metric-name": ["error (%)"],
    "raw-score": ["20 of 20"],
    "one-object": ["9 of 9"],
    "hidden-files": ["9 of 9"],
    "byte-order-mark": ["9 of 9"],
    "spaces": ["9 of 9"],
    "mac-zip": [UPLOADER],
}
SAID = {
    "nan-gate": ["validation:auc", "not a number"],
    "no-class": ["reg:squarederror", "test.accuracy_minimum", "HyperParameters.objective"],
    "no-rows": ["no-rows/input/nothing/"],
}
PRODUCTION = "deregistered-production"


@dataclass(frozen=True)
class Release:
    """One run of a case's model."""

    slipway: Any
    case: str
    run_id: str

    def asked(self) -> dict[str, Any]:
        """:returns: the approvers' screen"""
        return self.slipway.wait_approval(self.case, self.run_id)

    def answer(self, option: str) -> str:
        """Answer as alice. :returns: the state that the run ends in"""
        self.asked()
        self.slipway.api("alice").answer(self.case, self.run_id, "approve", option)
        return self.slipway.wait_end(self.case, self.run_id)

    def log(self, task_id: str) -> str:
        return self.slipway.log(self.case, self.run_id, task_id)

    def xcom(self, task_id: str) -> Any:
        return self.slipway.api().xcom(self.case, self.run_id, task_id)

    def attempts(self) -> dict[str, int]:
        """:returns: how often each task that began was tried"""
        tasks = self.slipway.api().tasks(self.case, self.run_id)
        return {name: task["try_number"] for name, task in tasks.items() if task["try_number"]}


def zipped(case: str) -> bytes:
    """:returns: the case's zip; that of `mac-zip` as macOS's Finder makes it"""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("trainingjob.json", "deployment.json"):
            archive.write(FOLDER / case / name, name)
            if case == "mac-zip":
                archive.writestr(f"__MACOSX/._{name}", b"\0\5\26\7\0\2\0\0Mac OS X")
        if case == "mac-zip":
            archive.writestr(".DS_Store", b"\0\0\0\1Bud1")
    return stream.getvalue()


def upload_rows(slipway, case: str) -> None:
    for path in (FOLDER / case).glob("input/**/*"):
        if path.is_file():
            key = f"{case}/{path.relative_to(FOLDER / case)}"
            slipway.client("s3").put_object(Bucket=slipway.settings.bucket, Key=key, Body=path.read_bytes())


def upload_zip(slipway, case: str, bucket: str) -> str:
    """:returns: the version's id"""
    key, uploader = f"training_jobs/{case}/trainingjob.zip", UPLOADER_IN_S3 if case == "mac-zip" else "demo"
    answer = slipway.client("s3").put_object(
        Bucket=bucket, Key=key, Body=zipped(case), Metadata={"uploaded-by": uploader}
    )
    return answer["VersionId"]


def release(slipway, case: str) -> Release:
    """Upload the case's zip."""
    return Release(slipway, case, slipway.run_of(case, upload_zip(slipway, case, slipway.settings.bucket)))


def release_by_form(slipway, case: str) -> Release:
    """Upload the case's zip to another bucket than the model's, and name it in the form."""
    region = slipway.client("s3").meta.region_name
    slipway.client("s3").create_bucket(Bucket=OTHER_BUCKET, CreateBucketConfiguration={"LocationConstraint": region})
    slipway.client("s3").put_bucket_versioning(Bucket=OTHER_BUCKET, VersioningConfiguration={"Status": "Enabled"})
    # Its owner lets Airflow's role read it: https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html
    allowed = {
        f"arn:aws:s3:::{OTHER_BUCKET}": ["s3:ListBucket", "s3:ListBucketVersions"],
        f"arn:aws:s3:::{OTHER_BUCKET}/*": ["s3:GetObject", "s3:GetObjectVersion"],
    }
    statements = [
        {"Effect": "Allow", "Principal": {"AWS": AIRFLOW_ROLE}, "Action": actions, "Resource": resource}
        for resource, actions in allowed.items()
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    slipway.client("s3").put_bucket_policy(Bucket=OTHER_BUCKET, Policy=policy)
    version = upload_zip(slipway, case, OTHER_BUCKET)
    return Release(slipway, case, slipway.api("alice").trigger(case, {"bucket": OTHER_BUCKET, "version_id": version}))


@pytest.fixture(scope="module")
def releases(slipway) -> dict[str, Release]:
    """A release of each case, all under way at once, and each at its approval or its end."""
    cases = sorted(case.name for case in FOLDER.iterdir())
    for case in cases:
        upload_rows(slipway, case)
        (slipway.include / "models" / f"{case}.yaml").write_text((FOLDER / case / "model.yaml").read_text())
    slipway.wait_dag(cases[0])
    slipway.wait("the models' DAGs", lambda: set(cases) <= slipway.api().dag_ids())
    # By the form first, while Airflow's API has nothing else to do.
    found = {"other-bucket": release_by_form(slipway, "other-bucket")}
    versions = {case: upload_zip(slipway, case, slipway.settings.bucket) for case in cases if case not in found}
    found |= {case: Release(slipway, case, slipway.run_of(case, version)) for case, version in versions.items()}
    for case, one in found.items():
        if case in REFUSED:
            slipway.wait_end(case, one.run_id)
        else:
            one.asked()
    return found


def jobs(slipway, case: str) -> list[str]:
    created = slipway.ledger(operation="CreateTrainingJob")
    return [call["resource"] for call in created if case in call["resource"]]


def block(log: str) -> dict[str, str]:
    """:returns: the lines of a failed task's ERROR block, by their label"""
    found: dict[str, str] = {}
    for label, text in re.findall(r"^(What|Where|Why|Fix): +(.*)$", log, re.MULTILINE):
        found[label] = " ".join(filter(None, (found.get(label), text)))
    return found


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_it_is_refused_once_and_the_log_says_why_and_what_to_do(slipway, releases, case):
    one, task = releases[case], REFUSED[case]
    assert slipway.wait_end(case, one.run_id) == "failed"
    assert slipway.failed_tasks(case, one.run_id) == [task], slipway.story(case, one.run_id)
    log = one.log(task)
    print(f"\n--- {case}\n" + "\n".join(f"{label}: {text}" for label, text in block(log).items()))  # noqa: T201
    assert set(block(log)) == {"What", "Where", "Why", "Fix"}
    assert [text for text in SAID[case] if text not in " ".join(block(log).values())] == []
    assert set(one.attempts().values()) == {1}
    assert len(jobs(slipway, case)) == (case in TRAINED)


@pytest.mark.parametrize("case", sorted(TRAINED - set(REFUSED) - {"deregistered"}))
def test_it_is_released_up_to_its_approval(slipway, releases, case):
    one = releases[case]
    body = one.asked()["body"]
    print(f"\n--- {case}\n{body}")  # noqa: T201
    assert [text for text in SEEN.get(case, []) if text not in body] == []
    assert one.answer("Reject") == "failed"
    assert slipway.failed_tasks(case, one.run_id) == ["approve"], slipway.story(case, one.run_id)
    assert set(one.attempts().values()) == {1}
    assert len(jobs(slipway, case)) == 1


def test_a_metric_of_any_name_is_on_the_model_package(slipway, releases):
    arn = releases["metric-name"].xcom("register")["model_package_arn"]
    package = slipway.client("sagemaker").describe_model_package(ModelPackageName=arn)
    assert "error (%)" in metrics_of(package)


def test_what_a_finder_adds_is_passed_over_with_a_line_in_the_log(releases):
    assert "__MACOSX/._trainingjob.json" in releases["mac-zip"].log("process_request")


def test_a_release_writes_to_its_models_bucket_only(slipway, releases):
    found = slipway.client("s3").list_objects_v2(Bucket=OTHER_BUCKET)
    assert [one["Key"] for one in found["Contents"]] == ["training_jobs/other-bucket/trainingjob.zip"]


def test_a_deregistered_target_is_registered_again(slipway, releases):
    scaling = slipway.client("application-autoscaling")
    target = {"ResourceId": f"endpoint/{PRODUCTION}/variant/{LIVE_VARIANT}", "ServiceNamespace": "sagemaker"}

    def targets() -> list[dict[str, Any]]:
        answer = scaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[target["ResourceId"]])
        return answer["ScalableTargets"]

    first = releases["deregistered"]
    assert first.answer("Approve") == "success", slipway.story(first.case, first.run_id)
    assert len(targets()) == 1
    scaling.deregister_scalable_target(**target, ScalableDimension="sagemaker:variant:DesiredInstanceCount")
    again = release(slipway, "deregistered")
    assert again.answer("Approve") == "success", slipway.story(again.case, again.run_id)
    assert [one["MaxCapacity"] for one in targets()] == [2]
    policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker", ResourceId=target["ResourceId"])
    assert len(policies["ScalingPolicies"]) == 1
