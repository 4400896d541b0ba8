"""A step of a stack's operation saves the service that it changed, and no other one."""

import json

import pytest

from tests.local_aws.gateway_script import run_with_gateway
from tests.local_aws.server import ROOT

# Runs where ministack is installed: takes steps of one operation in an account that is new, and in one with a history.
# Prints by step which members of which states had rows written, how many and how long, and what the step had changed.
_STEPS = """
from local_aws.host import used_entries
from ministack.services import cloudformation, cloudwatch, iam, kms, s3, sns, sqs, sts
from ministack.services.cloudformation import stacks

aged = int(sys.argv[3])
states = app._build_persistence_save_dict

def look():
    return {key: json.dumps(get_state(), default=persistence._json_default) for key, get_state in states().items()}

written = []
write = built.persistence._rows.write
def noted(rows, formats):
    rows = list(rows)
    written.extend(rows)
    write(rows, formats)
built.persistence._rows.write = noted

for number in range(aged):
    arn = f"arn:aws:sns:us-west-2:123456789012:old-{number}"
    sns._topics[arn] = {"arn": arn, "attributes": {}, "subscriptions": [], "tags": {}}
    iam._roles[f"old-{number}"] = {"RoleName": f"old-{number}", "Arn": "a" * 60, "AssumeRolePolicyDocument": "b" * 200}
    cloudwatch._alarms[f"old-{number}"] = {"AlarmName": f"old-{number}", "Description": "c" * 500}
    cloudformation._stacks[f"old-{number}"] = {"StackName": f"old-{number}", "StackId": str(number), "Body": "e" * 1000}
    cloudformation._change_sets[f"old-{number}"] = {"ChangeSetName": "old", "StackName": f"old-{number}"}
    cloudformation._stack_events[str(number)] = [{"EventId": str(number)}]
sts.register_session("ASIA", {"Expiration": 4e9})
built.persistence.save_service("sts")
built.persistence.save()

used_entries.begin_call()
stack = {"StackId": "one", "StackName": "one"}
journal.begin(Scope("123456789012", "us-west-2"), stack, 0, {}, "arn:aws:iam::123456789012:root").enter()
told = {}
for type_name, properties in json.loads(sys.argv[2]).items():
    before = look()
    written.clear()
    stacks._provision_resource(type_name, "Made", properties, "one")
    after = look()
    told[type_name] = {
        "changed": sorted(key for key in after if after[key] != before.get(key)),
        "written": sorted({name[0] for name, *_ in written}),
        "rows": len(written),
        "bytes": sum(len(text or "") for _, _, text in written),
    }
cloudformation._stacks["one"] = stack
stacks._add_event("one", "one", "one", "AWS::CloudFormation::Stack", "CREATE_COMPLETE", "", "one")
written.clear()
built.persistence.save_service("cloudformation")
told["the end"] = {"written": sorted((name[1], part) for name, part, _ in written)}
built.persistence.save()
expected = {key: json.loads(text) for key, text in look().items() if text != "null"}
loaded = {key: json.loads(json.dumps(built.persistence._load(key) or {}, default=persistence._json_default))
          for key in expected}
full = {key: {m: v for m, v in state.items() if not (isinstance(v, dict) and v.get("data") == {})}
        for key, state in expected.items()}
told["saved"] = {"differs": sorted(key for key in full if full[key] and loaded[key] != full[key])}
copies = {key: get_state() for key, get_state in states().items()}
sns._topics["added"] = {}
told["saved"]["copies stay"] = "added" not in copies["sns"]["topics"]
written.clear()
built.persistence.save()
told["saved"]["written again"] = [name[1] for name, *_ in written]
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
    "AWS::Logs::LogGroup": ("cloudwatch_logs", {"LogGroupName": "one"}),
    "AWS::CloudWatch::Dashboard": ("cloudwatch", {"DashboardName": "one", "DashboardBody": '{"widgets": []}'}),
    # One of a namespace without a service of its own: any state may have changed.
    "AWS::CloudFormation::WaitConditionHandle": (None, {}),
}


@pytest.fixture(scope="module")
def accounts(tmp_path_factory):
    """What each step wrote and changed, in a new account and in one with 2 000 of each thing."""
    wanted = {type_name: properties for type_name, (_, properties) in _RESOURCES.items()}

    def steps(count):
        folder = tmp_path_factory.mktemp("steps")
        return json.loads(run_with_gateway(_STEPS, folder, json.dumps(wanted), str(count)))

    return {"new": steps(0), "aged": steps(2000)}


@pytest.mark.parametrize("type_name", [name for name, (service, _) in _RESOURCES.items() if service])
def test_a_step_saves_what_it_changed_and_nothing_else(accounts, type_name):
    service, _ = _RESOURCES[type_name]
    new, aged = (steps[type_name] for steps in accounts.values())
    for told in (new, aged):
        assert (told["written"], told["changed"]) == ([service], [service])
    assert aged["rows"] == new["rows"] <= 4
    assert aged["bytes"] < new["bytes"] + 100


def test_the_end_of_an_operation_saves_its_stack_and_no_other(accounts):
    for steps in accounts.values():
        assert steps["the end"]["written"] == [["stack_events", "0"], ["stacks", ""]]


def test_what_is_loaded_is_what_is_stored_and_only_what_changed_is_written(accounts):
    for steps in accounts.values():
        assert steps["saved"] == {"differs": [], "copies stay": True, "written again": ["topics"]}


def test_each_type_that_the_templates_use_is_tried():
    used = {
        line.split("Type:")[1].strip()
        for path in (ROOT / "plugins/slipway").glob("*/**/*.yaml")
        for line in path.read_text().splitlines()
        if line.strip().startswith("Type: AWS::")
    }
    # The local AWS's own services write their changes themselves.
    own = ("AWS::ApplicationAutoScaling::", "AWS::CodeBuild::", "AWS::ECR::", "AWS::SageMaker::")
    assert {name for name in used if not name.startswith(own)} <= set(_RESOURCES)
