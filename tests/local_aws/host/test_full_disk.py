"""A full disk: calls that change something are refused in their protocol, reading goes on, and nothing is lost."""

import contextlib
import json
import os
import shutil
import subprocess
import threading
import time

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from local_aws.framework.disk import Disk, DiskFull
from local_aws.framework.store import Scope, Store
from tests.local_aws.server import LocalAws
from tools import ledger

pytestmark = pytest.mark.local_aws

# The reserve takes 16 MB of it.
DISK_BYTES = 64 * 1024 * 1024
REGION = {"CreateBucketConfiguration": {"LocationConstraint": "us-west-2"}}
_TRUSTED = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [_TRUSTED]})


def mounted(folder):
    """Mount a small file system; return the command that did it before its arguments."""
    options = f"size={DISK_BYTES},mode=700,uid={os.geteuid()}"
    why = "no mount command"
    for prefix in ([], ["sudo", "-n"]):
        if shutil.which((prefix or ["mount"])[0]):
            done = subprocess.run([*prefix, "mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True)
            if done.returncode == 0:
                return prefix
            why = done.stderr.decode().strip()
    pytest.skip(f"No small file system can be mounted here, which takes root or sudo: {why}")


class SmallDisk:
    """A small file system, and a file of somebody else's that fills it."""

    def __init__(self, folder):
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self):
        """Take all that is free."""
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while file.write(bytes(64 * 1024)):
                    pass
            except OSError:
                return

    def free(self):
        self._ballast.unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    prefix = mounted(folder)
    yield SmallDisk(folder)
    subprocess.run([*prefix, "umount", "--lazy", folder], check=True)


@pytest.fixture
def aws(disk, tmp_path):
    """A local AWS whose state is on the small disk, and whose log is not."""
    running = LocalAws(disk.folder / "state")
    running.__class__ = type("OnSmallDisk", (LocalAws,), {"log_path": tmp_path / "aws.log"})
    running.start()
    yield running
    if running.process.poll() is None:
        running.stop()


def refused(call, **parameters):
    """Make a call that must be refused for want of space; return its error."""
    with pytest.raises(ClientError) as raised:
        call(**parameters)
    answer = raised.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("ServiceUnavailable", 503)
    assert "No space is left" in answer["Error"]["Message"]
    return answer


def changes(aws, name):
    """Calls of each protocol that change something."""
    return [
        (aws.client("s3").put_object, {"Bucket": "kept", "Key": name, "Body": b"1"}),
        (aws.client("s3").create_multipart_upload, {"Bucket": "kept", "Key": name}),
        (aws.client("sagemaker").create_model_package_group, {"ModelPackageGroupName": name}),
        (aws.client("sns").create_topic, {"Name": name}),
        (aws.client("sqs").create_queue, {"QueueName": name}),
        (aws.client("iam").create_role, {"RoleName": name, "AssumeRolePolicyDocument": TRUST}),
        (aws.client("logs").create_log_group, {"logGroupName": name}),
        (
            aws.client("cloudformation").create_stack,
            {"StackName": name, "TemplateBody": json.dumps({"Resources": {"T": {"Type": "AWS::SNS::Topic"}}})},
        ),
        (
            aws.client("cloudwatch").put_metric_data,
            {"Namespace": name, "MetricData": [{"MetricName": "m", "Value": 1}]},
        ),
    ]


def test_changes_are_refused_and_reading_goes_on_until_there_is_space(aws, disk):
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="kept", **REGION)
    s3.put_object(Bucket="kept", Key="before", Body=b"before")
    disk.fill()
    for call, parameters in changes(aws, "full"):
        refused(call, **parameters)
    for _ in range(20):
        assert s3.get_object(Bucket="kept", Key="before")["Body"].read() == b"before"
    assert [one["Key"] for one in s3.list_objects_v2(Bucket="kept")["Contents"]] == ["before"]
    assert aws.client("sagemaker").list_model_package_groups()["ModelPackageGroupSummaryList"] == []
    assert aws.client("sns").list_topics()["Topics"] == []
    assert aws.client("cloudformation").describe_stacks()["Stacks"] == []
    # Removing an object gives space back.
    s3.delete_object(Bucket="kept", Key="before")
    disk.free()
    for call, parameters in changes(aws, "freed"):
        call(**parameters)
    assert aws.stack("freed")["StackStatus"] == "CREATE_COMPLETE"
    calls = [(call["operation"], call["outcome"]) for call in aws.ledger(service="sns")]
    assert calls[0] == ("CreateTopic", "ServiceUnavailable")
    assert calls[1] == ("ListTopics", "ok")


def test_it_starts_on_a_full_disk_for_reading(aws, disk, eventually):
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="kept", **REGION)
    s3.put_object(Bucket="kept", Key="before", Body=b"before")
    aws.client("sagemaker").create_model_package_group(ModelPackageGroupName="before")
    # Nothing is left, not even what was reserved.
    disk.fill()
    aws.kill()
    (aws.state_dir / "reserve").unlink()
    disk.fill()
    aws.start()
    assert s3.get_object(Bucket="kept", Key="before")["Body"].read() == b"before"
    groups = aws.client("sagemaker").list_model_package_groups()["ModelPackageGroupSummaryList"]
    assert [group["ModelPackageGroupName"] for group in groups] == ["before"]
    for call, parameters in changes(aws, "full"):
        refused(call, **parameters)
    assert "for reading only" in aws.log_path.read_text()
    disk.free()
    eventually(lambda: "There is space again" in aws.log_path.read_text() and aws.healthy(), bool)
    eventually(lambda: "Ready at" in aws.log_path.read_text().rpartition("space again")[2], bool)
    for call, parameters in changes(aws, "freed"):
        call(**parameters)
    assert aws.stack("freed")["StackStatus"] == "CREATE_COMPLETE"


def test_without_a_state_it_says_that_it_needs_space(disk, tmp_path):
    disk.fill()
    running = LocalAws(disk.folder / "state")
    running.__class__ = type("OnSmallDisk", (LocalAws,), {"log_path": tmp_path / "aws.log"})
    with pytest.raises(AssertionError, match="No space is left for"):
        running.start()
    assert "Traceback" not in running.log_path.read_text()


def test_an_object_that_does_not_fit_leaves_the_former_one(aws, disk):
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="plain", **REGION)
    s3.create_bucket(Bucket="versioned", **REGION)
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    # There is space for the new content, and none for the former version beside it.
    content = os.urandom(11 * 1024 * 1024)
    for bucket in ("plain", "versioned"):
        s3.put_object(Bucket=bucket, Key="k", Body=content, Metadata={"n": "1"})
    with (disk.folder / "ballast").open("wb") as file:
        file.write(bytes(12 * 1024 * 1024 - 512 * 1024))
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        s3.put_object(Bucket="versioned", Key="k", Body=content[::-1], Metadata={"n": "2"})
    for _ in range(2):
        for bucket in ("plain", "versioned"):
            answer = s3.get_object(Bucket=bucket, Key="k")
            assert (answer["Body"].read(), answer["Metadata"]) == (content, {"n": "1"})
        assert len(s3.list_object_versions(Bucket="versioned")["Versions"]) == 1
        assert not list(aws.state_dir.rglob("*.tmp"))
        aws.kill()
        aws.start()


def test_who_writes_gets_the_reserve_then_an_error_and_a_thread_waits(disk, eventually):
    space = Disk(disk.folder)
    store = Store(disk.folder / "store", space)
    documents, scope = store.collection("kind"), Scope("123456789012", "us-west-2")
    documents.put(scope, "before", {})
    disk.fill()
    assert not space.has_room()
    large = {"text": "x" * 1024 * 1024}
    # What has begun is written with the reserve's space, and so is what the store needs beside it.
    documents.put(scope, "reserve", large)
    assert not (disk.folder / "reserve").exists()
    disk.fill()
    with pytest.raises(DiskFull):
        documents.put(scope, "refused", large)
    assert documents.get(scope, "refused") is None
    assert documents.create(scope, "before", {}) is False
    thread = threading.Thread(target=documents.put, args=(scope, "waited", large), daemon=True)
    thread.start()
    thread.join(1)
    assert thread.is_alive()
    # Reading does not wait for it.
    assert [document.keys() for document in documents.list(scope)] == [{}.keys(), large.keys()]
    disk.free()
    thread.join(120)
    assert not thread.is_alive()
    assert space.has_room()
    store.close()
    again = Store(disk.folder / "store", space).collection("kind")
    assert [name for _, name, _ in again.everywhere()] == ["before", "reserve", "waited"]


def test_a_stack_that_is_being_made_ends_on_a_full_disk(aws, disk):
    topics = {f"T{n}": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": f"t-{n}"}} for n in range(5)}
    group = {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"ModelPackageGroupName": "of-a-stack"}}
    body = json.dumps({"Resources": {**topics, "G": group}})
    aws.client("cloudformation").create_stack(StackName="under-way", TemplateBody=body)
    disk.fill()
    assert aws.stack("under-way")["StackStatus"] == "CREATE_COMPLETE"
    aws.kill()
    aws.start()
    assert aws.stack("under-way")["StackStatus"] == "CREATE_COMPLETE"
    assert len(aws.client("sns").list_topics()["Topics"]) == 5


class Writer(threading.Thread):
    """Makes changes until told to stop, and notes what was answered."""

    def __init__(self, aws, name, write):
        super().__init__(name=name, daemon=True)
        self.aws = aws
        self.write = write
        self.answered = []
        self.ended = threading.Event()

    def run(self):
        number = 0
        while not self.ended.is_set():
            number += 1
            name = f"{self.name}-{number}"
            try:
                self.write(self.aws, name)
            except (ClientError, BotoCoreError):
                time.sleep(0.02)
            else:
                self.answered.append(name)


def put(bucket):
    def write(aws, name):
        content = {"Bucket": bucket, "Body": name.encode() * 2000, "Metadata": {"name": name}}
        # One key again and again in between, so that former content is replaced.
        with contextlib.suppress(ClientError):
            aws.client("s3").put_object(Key="same", **content)
        aws.client("s3").put_object(Key=name, **content)

    return write


def check(aws, writers):
    """Look for all that was answered."""
    s3 = aws.client("s3")
    for writer in writers[:2]:
        for name in writer.answered:
            answer = s3.get_object(Bucket=writer.name.partition("-")[0], Key=name)
            assert answer["Body"].read() == name.encode() * 2000
        for bucket in ("plain", "versioned"):
            answer = s3.get_object(Bucket=bucket, Key="same")
            assert answer["Body"].read() == answer["Metadata"]["name"].encode() * 2000
    groups = {
        group["ModelPackageGroupName"]
        for page in aws.client("sagemaker").get_paginator("list_model_package_groups").paginate()
        for group in page["ModelPackageGroupSummaryList"]
    }
    assert set(writers[2].answered) <= groups
    topics = {
        topic["TopicArn"].rpartition(":")[2]
        for page in aws.client("sns").get_paginator("list_topics").paginate()
        for topic in page["Topics"]
    }
    assert set(writers[3].answered) <= topics
    # The ledger has a line for each of them, and no other.
    lines = ledger.read(aws.state_dir / "ledger.jsonl")
    ok = [(line["operation"], line["resource"].rpartition("/")[2]) for line in lines if line["outcome"] == "ok"]
    for writer, operation in zip(writers, OPERATIONS, strict=True):
        written = {name for made, name in ok if made == operation and name.startswith(f"{writer.name}-")}
        assert set(writer.answered) <= written
        # The last one may have been performed and not answered.
        assert len(written - set(writer.answered)) <= 1


OPERATIONS = ("PutObject", "PutObject", "CreateModelPackageGroup", "CreateTopic")


@pytest.mark.rare
def test_what_was_answered_is_there_after_ten_kills_on_a_full_disk(aws, disk, eventually):
    s3 = aws.client("s3")
    for bucket in ("plain", "versioned"):
        s3.create_bucket(Bucket=bucket, **REGION)
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="plain", Key="same", Body=b"0" * 2000, Metadata={"name": "0"})
    s3.put_object(Bucket="versioned", Key="same", Body=b"0" * 2000, Metadata={"name": "0"})
    for kill in range(10):
        writers = [
            Writer(aws, f"plain-{kill}", put("plain")),
            Writer(aws, f"versioned-{kill}", put("versioned")),
            Writer(
                aws,
                f"group-{kill}",
                lambda aws, name: aws.client("sagemaker").create_model_package_group(ModelPackageGroupName=name),
            ),
            Writer(aws, f"topic-{kill}", lambda aws, name: aws.client("sns").create_topic(Name=name)),
        ]
        for writer in writers:
            writer.start()
        # Some changes of each kind, however slow the machine is.
        eventually(lambda writers=writers: [len(writer.answered) for writer in writers], lambda found: min(found) >= 3)
        disk.fill()
        time.sleep(0.1 * kill)
        if kill % 2:
            disk.free()
            time.sleep(0.05 * kill)
        aws.kill()
        for writer in writers:
            writer.ended.set()
            writer.join(120)
            assert not writer.is_alive()
        if not kill % 2:
            # It starts while the disk is full.
            disk.fill()
        aws.start()
        check(aws, writers)
        disk.free()


def test_uploads_in_parts_outlive_the_process(new_local_aws):
    aws = new_local_aws().start()
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="kept", **REGION)
    upload = s3.create_multipart_upload(Bucket="kept", Key="k", Metadata={"a": "b"}, ContentType="text/csv")["UploadId"]
    aborted = s3.create_multipart_upload(Bucket="kept", Key="gone")["UploadId"]
    bodies = [os.urandom(5 * 1024 * 1024), b"the end"]
    where = {"Bucket": "kept", "Key": "k", "UploadId": upload}
    s3.upload_part(**where, PartNumber=1, Body=b"replaced")
    parts = []
    for number, body in enumerate(bodies, start=1):
        parts.append({"ETag": s3.upload_part(**where, PartNumber=number, Body=body)["ETag"], "PartNumber": number})
        aws.kill()
        aws.start()
    s3.abort_multipart_upload(Bucket="kept", Key="gone", UploadId=aborted)
    aws.restart()
    assert [one["UploadId"] for one in s3.list_multipart_uploads(Bucket="kept")["Uploads"]] == [upload]
    assert [one["Size"] for one in s3.list_parts(**where)["Parts"]] == [len(body) for body in bodies]
    first = s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    aws.kill()
    aws.start()
    # "The request is idempotent": one that was answered while the answer was lost.
    again = s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    assert again["ETag"] == first["ETag"]
    answer = s3.get_object(Bucket="kept", Key="k")
    assert (answer["Body"].read(), answer["Metadata"], answer["ContentType"]) == (
        b"".join(bodies),
        {"a": "b"},
        "text/csv",
    )
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="kept")
