"""A step of a stack's operation saves the service that it changed, and no other one."""

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

# Runs where ministack is installed: takes steps of one operation, and prints by step which state was copied, which was
# written, and which of all states the step had changed.
_STEPS = """
import asyncio, json, sys
from pathlib import Path
from local_aws.framework.disk import Disk
from local_aws.framework.store import Scope, Store
from local_aws.host import gateway
from local_aws.host.stack_operations import Journal
from local_aws.settings import Settings

folder = Path(sys.argv[1])
disk = Disk(folder)
journal = Journal(Store(folder / "store", disk))
built = gateway.Gateway(Settings(port=1, bind="127.0.0.1", state_dir=folder), journal, disk)
from ministack import app
from ministack.core import persistence, responses
from ministack.services import cloudwatch, iam, kms, s3, sns, sqs
from ministack.services.cloudformation import stacks

responses.set_request_account_id("123456789012")
responses.set_request_region("us-west-2")
stack = {"StackId": "one", "StackName": "one"}
journal.begin(Scope("123456789012", "us-west-2"), stack, 0, {}, "arn:aws:iam::123456789012:root").enter()
states, copied, written = app._build_persistence_save_dict, [], []

def counted():
    def counting(key, get_state):
        return lambda: copied.append(key) or get_state()
    return {key: counting(key, get_state) for key, get_state in states().items()}

def look():
    return {key: json.dumps(get_state(), default=persistence._json_default) for key, get_state in states().items()}

app._build_persistence_save_dict = counted
write = built.persistence._write
built.persistence._write = lambda key, number, state: written.append(key) or write(key, number, state)
told = {}
for type_name, properties in json.loads(sys.argv[2]).items():
    before = look()
    copied.clear(), written.clear()
    stacks._provision_resource(type_name, "Made", properties, "one")
    after = look()
    changed = sorted(key for key in after if after[key] != before.get(key))
    told[type_name] = {"copied": copied[:], "written": written[:], "changed": changed}
before = look()
built.persistence.save_now(None)
state = Path(persistence.STATE_DIR)
told["saved"] = {
    "as before": look() == before,
    "on disk": {path.stem: json.loads(path.read_text())["payload"] for path in state.glob("*.json")}
    == {key: json.loads(text) for key, text in before.items() if text != "null"},
    "files": {path.name: path.stat().st_ino for path in state.glob("*.json")},
}
copies = {key: get_state() for key, get_state in states().items()}
sns._topics["added"] = {}
told["saved"]["copies stay"] = "added" not in copies["sns"]["topics"]
built.persistence.save_now(None)
now = {path.name: path.stat().st_ino for path in state.glob("*.json")}
told["saved"]["written again"] = [name for name, inode in told["saved"].pop("files").items() if now[name] != inode]
print(json.dumps(told))
"""
_POLICY = {"Version": "2012-10-17", "Statement": []}
_TRUSTED = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
_RESOURCES = {
    "AWS::IAM::Role": ("iam", {"AssumeRolePolicyDocument": {**_POLICY, "Statement": [_TRUSTED]}}),
    "AWS::IAM::ManagedPolicy": ("iam", {"PolicyDocument": _POLICY}),
    "AWS::KMS::Key": ("kms", {"KeyPolicy": _POLICY}),
    "AWS::S3::Bucket": ("s3", {"BucketName": "one"}),
    "AWS::S3::BucketPolicy": ("s3", {"Bucket": "one", "PolicyDocument": _POLICY}),
    "AWS::SNS::Topic": ("sns", {"TopicName": "one"}),
    "AWS::SNS::TopicPolicy": (
        "sns",
        {"Topics": ["arn:aws:sns:us-west-2:123456789012:one"], "PolicyDocument": {**_POLICY, "Id": "one"}},
    ),
    "AWS::SQS::Queue": ("sqs", {"QueueName": "one"}),
    "AWS::SQS::QueuePolicy": (
        "sqs",
        {"Queues": ["http://localhost:1/123456789012/one"], "PolicyDocument": {**_POLICY, "Id": "one"}},
    ),
    "AWS::CloudWatch::Alarm": (
        "cloudwatch",
        {
            "AlarmName": "one",
            "ComparisonOperator": "GreaterThanThreshold",
            "EvaluationPeriods": 1,
            "MetricName": "Errors",
            "Namespace": "one",
            "Period": 60,
            "Statistic": "Sum",
            "Threshold": 1,
        },
    ),
    "AWS::CloudWatch::Dashboard": ("cloudwatch", {"DashboardName": "one", "DashboardBody": '{"widgets": []}'}),
    # One of a namespace without a service of its own: any state may have changed.
    "AWS::CloudFormation::WaitConditionHandle": (None, {}),
}


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """What each step copied, wrote and changed."""
    wanted = {type_name: properties for type_name, (_, properties) in _RESOURCES.items()}
    answer = subprocess.run(
        [ROOT / ".venv-aws/bin/python", "-c", _STEPS, tmp_path_factory.mktemp("steps"), json.dumps(wanted)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout.splitlines()[-1])


@pytest.mark.parametrize("type_name", [name for name, (service, _) in _RESOURCES.items() if service])
def test_a_step_saves_what_it_changed_and_copies_nothing_else(steps, type_name):
    service, _ = _RESOURCES[type_name]
    assert steps[type_name] == {"copied": [service], "written": [service], "changed": [service]}


def test_a_step_that_may_change_any_service_saves_all(steps):
    told = steps["AWS::CloudFormation::WaitConditionHandle"]
    assert {"cloudformation", "iam", "s3", "sns", "sqs"} <= set(told["written"])


def test_what_is_saved_is_what_is_stored_and_only_what_changed_is_written(steps):
    assert steps["saved"] == {
        "as before": True,
        "on disk": True,
        "copies stay": True,
        "written again": ["sns.json"],
    }


def test_each_type_that_the_templates_use_is_tried():
    used = {
        line.split("Type:")[1].strip()
        for path in (ROOT / "plugins/slipway").glob("*/**/*.yaml")
        for line in path.read_text().splitlines()
        if line.strip().startswith("Type: AWS::")
    }
    # The local AWS's own services write their changes themselves.
    own = ("AWS::ApplicationAutoScaling::", "AWS::SageMaker::")
    assert {name for name in used if not name.startswith(own)} <= set(_RESOURCES)
