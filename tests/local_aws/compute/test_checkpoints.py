"""Checkpoints of training jobs: what an earlier job has left is there, and what this one writes goes to S3."""

from pathlib import Path

import pytest

from local_aws import trees
from local_aws.compute.base import ContainerFailed
from local_aws.compute.checkpoints import Checkpoints, folder_of
from tests.local_aws.compute.support import BUCKET
from tests.local_aws.sagemaker_cases import training_request, unique, upload, wait
from tests.local_aws.test_refusals import outcome

pytestmark = pytest.mark.local_aws


def kept(s3, prefix):
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/").get("Contents", [])
    return {
        one["Key"].removeprefix(f"{prefix}/"): s3.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()
        for one in found
    }


def test_a_job_goes_on_from_what_an_earlier_one_has_left(bucket, tmp_path):
    prefix = unique("checkpoints")
    first = Checkpoints(bucket, f"s3://{BUCKET}/{prefix}", tmp_path / "first", tmp_path)
    first.begin()
    (tmp_path / "first/epochs").mkdir()
    (tmp_path / "first/epochs/1.pt").write_bytes(b"one")
    (tmp_path / "first/elsewhere").symlink_to("/etc/hostname")
    first.end()
    assert kept(bucket, prefix) == {"epochs/1.pt": b"one"}

    second = Checkpoints(bucket, f"s3://{BUCKET}/{prefix}/", tmp_path / "second", tmp_path)
    second.begin()
    assert (tmp_path / "second/epochs/1.pt").read_bytes() == b"one"
    (tmp_path / "second/epochs/2.pt").write_bytes(b"two")
    second.end()
    assert kept(bucket, prefix) == {"epochs/1.pt": b"one", "epochs/2.pt": b"two"}
    versions = bucket.head_object(Bucket=BUCKET, Key=f"{prefix}/epochs/1.pt")
    assert versions["ContentLength"] == 3


@pytest.mark.parametrize("place", ["checkpoints", "kept/here"])
def test_a_link_in_place_of_the_directory_gives_nothing_of_the_machine(bucket, tmp_path, place):
    """A container may replace every directory below /opt/ml, the one of its checkpoints too."""
    prefix, machine, opt_ml = unique("checkpoints"), tmp_path / "machine", tmp_path / "ml"
    (machine / "here").mkdir(parents=True)
    for secret in (machine / "secret", machine / "here/secret"):
        secret.write_text("of the machine")
    saved = Checkpoints(bucket, f"s3://{BUCKET}/{prefix}", opt_ml / place, opt_ml)
    saved.begin()
    first = opt_ml / Path(place).parts[0]
    trees.remove(first)
    first.symlink_to(machine)
    with pytest.raises(ContainerFailed, match="is not a directory any more"):
        saved.end()
    assert kept(bucket, prefix) == {}


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("/opt/ml/checkpoints/", "checkpoints"),
        ("/opt/ml/kept/here", "kept/here"),
        ("/opt/ml", None),
        ("/opt/ml/../../etc", None),
        ("/tmp/checkpoints", None),
    ],
)
def test_a_container_sees_what_is_below_its_opt_ml(path, folder):
    assert folder_of(path, Path("/root")) == (folder and Path("/root") / folder)


def test_a_job_with_checkpoints_is_accepted_and_another_path_is_not(local_aws):
    prefix, name = unique("checkpoints"), unique("checkpointed")
    upload(local_aws, prefix)
    sagemaker = local_aws.client("sagemaker")
    where = {"S3Uri": f"s3://{BUCKET}/{prefix}/saved/"}
    elsewhere = training_request(name, prefix, CheckpointConfig={**where, "LocalPath": "/data"})
    assert "LocalPath /data" in outcome(lambda: sagemaker.create_training_job(**elsewhere))
    sagemaker.create_training_job(**training_request(name, prefix, CheckpointConfig=where))
    state = wait(
        lambda: sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"], "InProgress", "Stopping"
    )
    assert state == "Completed"
    assert sagemaker.describe_training_job(TrainingJobName=name)["CheckpointConfig"] == where
