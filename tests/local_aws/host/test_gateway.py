"""The gateway: start and refusal to start, health, routing, S3's versions, CloudFormation's corner cases, IAM."""

import itertools
import json
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

pytestmark = pytest.mark.local_aws

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-aws/bin/python"


def command(*arguments):
    return subprocess.run(
        [PYTHON, "-m", "local_aws", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def group(**properties):
    return {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": properties}


def test_help_names_every_option():
    answer = command("--help")
    assert answer.returncode == 0
    for option in ("--port", "--bind", "--state-dir", "--pace", "--faults"):
        assert option in answer.stdout


@pytest.mark.parametrize("arguments", [("--port", "0"), ("--port", "many"), ("--pace", "-1")])
def test_bad_arguments_are_refused(arguments):
    answer = command(*arguments)
    assert answer.returncode == 2
    assert arguments[0] in answer.stderr


def test_taken_port_is_a_clear_error_before_anything_starts(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        answer = command("--port", str(port), "--state-dir", str(tmp_path / "state"))
    assert answer.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in answer.stderr
    assert "--port" in answer.stderr
    assert not (tmp_path / "state/ledger.jsonl").exists()


def test_state_folder_has_one_user(local_aws):
    answer = command("--port", "1", "--state-dir", str(local_aws.state_dir))
    assert answer.returncode == 1
    assert "--state-dir" in answer.stderr


def test_listens_on_loopback_only(local_aws):
    listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    ours = [line.split()[1] for line in listening.splitlines()[1:] if f":{local_aws.port:04X} " in line]
    assert [address for address in ours if address.split(":")[0] not in ("0100007F",)] == []
    assert ours


def test_admin_paths_of_the_host_are_closed(local_aws):
    for path in ("/_ministack/reset", "/_ministack/config"):
        connection = HTTPConnection("127.0.0.1", local_aws.port, timeout=30)
        connection.request("POST", path)
        assert connection.getresponse().status == 404


def test_operations_that_are_not_there_are_named(local_aws):
    with pytest.raises(ClientError) as refused:
        local_aws.client("sagemaker").list_hubs()
    assert refused.value.response["Error"]["Code"] == "UnknownOperationException"
    assert "ListHubs" in refused.value.response["Error"]["Message"]


def test_accounts_and_regions_are_apart(local_aws):
    here = local_aws.client("sagemaker")
    here.create_model_package_group(ModelPackageGroupName="apart")
    there = local_aws.client_of("210987654321", "sagemaker")
    assert there.list_model_package_groups(NameContains="apart")["ModelPackageGroupSummaryList"] == []
    elsewhere = local_aws.client("sagemaker", region_name="eu-west-1")
    elsewhere.create_model_package_group(ModelPackageGroupName="apart")
    assert local_aws.client("sts").get_caller_identity()["Account"] == "123456789012"


@pytest.fixture(scope="module")
def s3(local_aws):
    client = local_aws.client("s3")
    client.create_bucket(Bucket="versions", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    client.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    return client


class TestS3Versions:
    def put(self, s3, key, body):
        return s3.put_object(Bucket="versions", Key=key, Body=body)["VersionId"]

    def test_every_version_is_listed_newest_first_with_its_owner(self, s3):
        made = [self.put(s3, "jobs/a.zip", body) for body in (b"1", b"22", b"333")]
        listed = s3.list_object_versions(Bucket="versions", Prefix="jobs/a.zip")["Versions"]
        assert [version["VersionId"] for version in listed] == made[::-1]
        assert [version["IsLatest"] for version in listed] == [True, False, False]
        assert [version["Size"] for version in listed] == [3, 2, 1]
        assert all(version["Owner"]["ID"] for version in listed)

    def test_a_version_is_read_after_it_was_overwritten_and_deleted(self, s3):
        version = self.put(s3, "jobs/b.zip", b"pinned")
        self.put(s3, "jobs/b.zip", b"newer")
        s3.delete_object(Bucket="versions", Key="jobs/b.zip")
        assert s3.get_object(Bucket="versions", Key="jobs/b.zip", VersionId=version)["Body"].read() == b"pinned"
        with pytest.raises(s3.exceptions.NoSuchKey):
            s3.get_object(Bucket="versions", Key="jobs/b.zip")
        answer = s3.list_object_versions(Bucket="versions", Prefix="jobs/b.zip")
        assert [marker["IsLatest"] for marker in answer["DeleteMarkers"]] == [True]
        assert len(answer["Versions"]) == 2

    def test_unknown_version(self, s3):
        self.put(s3, "jobs/c.zip", b"1")
        with pytest.raises(ClientError) as missing:
            s3.get_object(Bucket="versions", Key="jobs/c.zip", VersionId="nothing")
        assert missing.value.response["Error"]["Code"] == "NoSuchVersion"

    def test_versions_are_paged(self, s3):
        made = [self.put(s3, f"paged/{number % 3}", b"x") for number in range(9)]
        pages = s3.get_paginator("list_object_versions").paginate(
            Bucket="versions", Prefix="paged/", PaginationConfig={"PageSize": 2}
        )
        seen = [version["VersionId"] for page in pages for version in page.get("Versions", [])]
        assert sorted(seen) == sorted(made)

    def test_a_bucket_is_emptied_page_by_page(self, s3):
        # The version that a page ends with is gone when the next one is asked for.
        for number in range(7):
            self.put(s3, "emptied/a", str(number).encode())
        pages = s3.get_paginator("list_object_versions").paginate(
            Bucket="versions", Prefix="emptied/", PaginationConfig={"PageSize": 2}
        )
        for page in pages:
            found = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in page["Versions"]]
            s3.delete_objects(Bucket="versions", Delete={"Objects": found})
        assert "Versions" not in s3.list_object_versions(Bucket="versions", Prefix="emptied/")

    def test_a_common_prefix_stands_for_any_key_below_it(self, s3):
        for key in ("grouped/a/\U0010ffffx", "grouped/a/b", "grouped/b"):
            self.put(s3, key, b"x")
        for operation, listed in (("list_objects_v2", "Contents"), ("list_object_versions", "Versions")):
            pages = s3.get_paginator(operation).paginate(
                Bucket="versions", Prefix="grouped/", Delimiter="/", PaginationConfig={"PageSize": 1}
            )
            found = list(itertools.islice(pages, 5))
            assert [[one["Prefix"] for one in page.get("CommonPrefixes", [])] for page in found] == [["grouped/a/"], []]
            assert [[one["Key"] for one in page.get(listed, [])] for page in found] == [[], ["grouped/b"]]

    def test_a_put_that_is_refused_changes_nothing(self, s3):
        self.put(s3, "refused", b"1")
        with pytest.raises(ClientError, match="Object tags cannot be greater than 10"):
            s3.put_object(Bucket="versions", Key="refused", Body=b"2", Tagging="&".join(f"k{n}=v" for n in range(11)))
        assert s3.get_object(Bucket="versions", Key="refused")["Body"].read() == b"1"

    def test_a_new_object_has_no_tags_of_the_one_before(self, s3):
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
        s3.create_bucket(Bucket="unversioned", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        for tags in ({"Tagging": "a=b"}, {}):
            s3.put_object(Bucket="unversioned", Key="k", Body=b"x", **tags)
        assert s3.get_object_tagging(Bucket="unversioned", Key="k")["TagSet"] == []

    def test_the_length_of_a_page_is_a_number(self, s3):
        with pytest.raises(ClientError, match="InvalidArgument"):
            s3.list_object_versions(Bucket="versions", MaxKeys=-1)


class TestCloudFormation:
    def test_change_set_without_changes(self, local_aws):
        cloudformation = local_aws.client("cloudformation")
        template = {"Resources": {"Group": group(ModelPackageGroupName="unchanged")}}
        local_aws.deploy("unchanged", template)
        cloudformation.create_change_set(
            StackName="unchanged", ChangeSetName="none", TemplateBody=json.dumps(template), ChangeSetType="UPDATE"
        )
        found = cloudformation.describe_change_set(StackName="unchanged", ChangeSetName="none")
        assert found["Status"] == "FAILED"
        assert "didn't contain changes" in found["StatusReason"] or "No updates" in found["StatusReason"]
        with pytest.raises(ClientError) as refused:
            cloudformation.update_stack(StackName="unchanged", TemplateBody=json.dumps(template))
        assert refused.value.response["Error"]["Message"] == "No updates are to be performed."

    def test_change_set_tells_replacement_from_update(self, local_aws):
        cloudformation = local_aws.client("cloudformation")
        local_aws.deploy("replacing", {"Resources": {"Group": group(ModelPackageGroupName="replacing-1")}})
        cloudformation.create_change_set(
            StackName="replacing",
            ChangeSetName="rename",
            TemplateBody=json.dumps({"Resources": {"Group": group(ModelPackageGroupName="replacing-2")}}),
        )
        found = cloudformation.describe_change_set(StackName="replacing", ChangeSetName="rename")
        change = found["Changes"][0]["ResourceChange"]
        assert (change["Action"], change["Replacement"]) == ("Modify", "True")
        cloudformation.execute_change_set(StackName="replacing", ChangeSetName="rename")
        assert local_aws.stack("replacing")["StackStatus"] == "UPDATE_COMPLETE"

    def test_change_set_sees_a_resource_come_and_go_with_its_condition(self, local_aws):
        cloudformation = local_aws.client("cloudformation")
        template = {
            "Parameters": {"Two": {"Type": "String"}},
            "Conditions": {"HasTwo": {"Fn::Equals": [{"Ref": "Two"}, "true"]}},
            "Resources": {
                "One": group(ModelPackageGroupName="conditional-1"),
                "Two": {**group(ModelPackageGroupName="conditional-2"), "Condition": "HasTwo"},
            },
        }
        two = lambda value: [{"ParameterKey": "Two", "ParameterValue": value}]  # noqa: E731
        local_aws.deploy("conditional", template, Parameters=two("false"))
        for value, action in (("true", "Add"), ("false", "Remove")):
            name = f"two-{value}"
            cloudformation.create_change_set(
                StackName="conditional", ChangeSetName=name, UsePreviousTemplate=True, Parameters=two(value)
            )
            found = cloudformation.describe_change_set(StackName="conditional", ChangeSetName=name)
            changes = [
                (c["ResourceChange"]["LogicalResourceId"], c["ResourceChange"]["Action"]) for c in found["Changes"]
            ]
            assert changes == [("Two", action)]
            cloudformation.execute_change_set(StackName="conditional", ChangeSetName=name)
            assert local_aws.stack("conditional")["StackStatus"] == "UPDATE_COMPLETE"
        groups = local_aws.client("sagemaker").list_model_package_groups(NameContains="conditional")
        assert [g["ModelPackageGroupName"] for g in groups["ModelPackageGroupSummaryList"]] == ["conditional-1"]

    def test_failed_update_restores_what_was(self, local_aws):
        local_aws.deploy("restored", {"Resources": {"One": group(ModelPackageGroupName="restored-1")}})
        local_aws.client("sagemaker").create_model_package_group(ModelPackageGroupName="restored-taken")
        failed = local_aws.deploy(
            "restored",
            {
                "Resources": {
                    "One": group(ModelPackageGroupName="restored-2"),
                    "Two": {**group(ModelPackageGroupName="restored-taken"), "DependsOn": "One"},
                }
            },
        )
        assert failed["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
        groups = local_aws.client("sagemaker").list_model_package_groups(NameContains="restored-")
        names = [one["ModelPackageGroupName"] for one in groups["ModelPackageGroupSummaryList"]]
        assert sorted(names) == ["restored-1", "restored-taken"]

    def test_unknown_property_fails_the_resource(self, local_aws):
        failed = local_aws.deploy("unknown", {"Resources": {"Group": group(Colour="red")}})
        assert failed["StackStatus"] == "ROLLBACK_COMPLETE"
        events = local_aws.client("cloudformation").describe_stack_events(StackName="unknown")["StackEvents"]
        assert any("Colour" in event.get("ResourceStatusReason", "") for event in events)

    def test_a_slow_stack_does_not_hold_up_other_calls(self, local_aws):
        names = [f"parallel-{number}" for number in range(4)]
        with ThreadPoolExecutor(4) as threads:
            done = threads.map(
                lambda name: local_aws.deploy(name, {"Resources": {"Group": group(ModelPackageGroupName=name)}}), names
            )
        assert {stack["StackStatus"] for stack in done} == {"CREATE_COMPLETE"}


class TestInvocations:
    def test_missing_endpoint_answers_as_aws_does(self, local_aws):
        runtime = local_aws.client("sagemaker-runtime")
        with pytest.raises(ClientError) as missing:
            runtime.invoke_endpoint(EndpointName="nothing", Body=b"1,2", ContentType="text/csv")
        assert missing.value.response["Error"]["Code"] == "ValidationError"
        assert "nothing" in missing.value.response["Error"]["Message"]
        calls = local_aws.ledger(operation="InvokeEndpoint", resource="nothing")
        assert [call["outcome"] for call in calls] == ["ValidationError"]

    def test_unsigned_invocation_reaches_nobody(self, local_aws):
        runtime = local_aws.client("sagemaker-runtime", config=Config(signature_version=UNSIGNED))
        with pytest.raises(ClientError) as missing:
            runtime.invoke_endpoint(EndpointName="unsigned", Body=b"1,2")
        assert missing.value.response["Error"]["Code"] == "MissingAuthenticationTokenException"
        assert local_aws.ledger(resource="unsigned") == []


def test_iam_is_enforced_for_added_services_and_invocations(new_local_aws):
    strict = new_local_aws(environment={"AUTH": "true"}).start()
    iam = strict.client("iam")
    iam.create_user(UserName="reader")
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    statements = [
        {"Effect": "Allow", "Action": "sagemaker:ListModelPackageGroups", "Resource": "*"},
        {"Effect": "Deny", "Action": "sagemaker:InvokeEndpoint", "Resource": "*"},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName="reader", PolicyName="p", PolicyDocument=document)
    who = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    reader = strict.client("sagemaker", **who)
    assert reader.list_model_package_groups()["ModelPackageGroupSummaryList"] == []

    def code_of(call, **parameters):
        with pytest.raises(ClientError) as refused:
            call(**parameters)
        return refused.value.response["Error"]["Code"]

    assert code_of(reader.create_model_package_group, ModelPackageGroupName="no") == "AccessDeniedException"
    runtime = strict.client("sagemaker-runtime", **who)
    assert code_of(runtime.invoke_endpoint, EndpointName="e", Body=b"1") == "AccessDeniedException"
    forger = strict.client("sagemaker-runtime", **{**who, "aws_secret_access_key": "wrong"})
    assert code_of(forger.invoke_endpoint, EndpointName="e", Body=b"1") in (
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
    )
    unsigned = strict.client("sagemaker-runtime", config=Config(signature_version=UNSIGNED))
    assert code_of(unsigned.invoke_endpoint, EndpointName="e", Body=b"1").startswith("MissingAuthenticationToken")
    assert strict.ledger(operation="CreateModelPackageGroup")[0]["outcome"] == "AccessDeniedException"
