"""CloudFormationDeployOperator against the local CloudFormation: each state that a stack can be in."""

import json
import urllib.request
from collections import Counter
from contextlib import suppress

import pytest
from botocore.exceptions import ClientError

from slipway.aws.cloudformation import CloudFormationHook
from slipway.deployment.deploy_stack import CloudFormationDeployOperator
from slipway.errors import NameConflict, StackFailed, Superseded
from tests.cfn.stacks import BUCKET, OWNER, Deployment, taken_bucket, template, unique
from tests.local_aws.server import eventually
from tests.unit.task_runs import context, first_event, run_task

pytestmark = pytest.mark.local_aws

REGION = {"LocationConstraint": "us-west-2"}


class Killed(BaseException):
    """Stands for the worker's end; nothing in the product may catch it."""


def change_sets(aws, stack):
    return aws.client("cloudformation").list_change_sets(StackName=stack)["Summaries"]


def executions(aws, stack):
    calls = aws.ledger(service="cloudformation", operation="ExecuteChangeSet", outcome="ok")
    return [call for call in calls if stack in str(call["resource"])]


def tag_values(aws, stack):
    return {tag["Key"]: tag["Value"] for tag in aws.stack(stack)["Tags"]}


def test_a_missing_stack_is_created_with_tags_and_outputs(aws, tmp_path):
    topic, deployment = unique("topic"), Deployment(tmp_path).write(template())
    result = deployment.run(topic)
    assert result["change"] == "created"
    assert result["outputs"] == {"TopicName": topic}
    assert result["stack_id"] == aws.stack(deployment.name)["StackId"]
    assert tag_values(aws, deployment.name) == {**OWNER, "slipway:revision": "r1"}


def test_a_stack_under_review_is_created(aws, tmp_path):
    deployment = Deployment(tmp_path).write(template())
    aws.client("cloudformation").create_change_set(
        StackName=deployment.name,
        ChangeSetName="somebody-elses",
        ChangeSetType="CREATE",
        TemplateBody=deployment.path.read_text(),
        Parameters=[{"ParameterKey": "Name", "ParameterValue": unique("topic")}],
    )
    assert deployment.run(unique("topic"))["change"] == "created"


def test_a_complete_stack_is_updated(aws, tmp_path):
    deployment, topic = Deployment(tmp_path).write(template()), unique("topic")
    deployment.run(unique("topic"))
    result = deployment.run(topic, tags={**OWNER, "slipway:revision": "r2"})
    assert result["change"] == "updated"
    assert result["outputs"] == {"TopicName": topic}
    assert tag_values(aws, deployment.name)["slipway:revision"] == "r2"


def test_nothing_to_change_is_a_success_and_leaves_no_change_set(aws, tmp_path):
    deployment, topic = Deployment(tmp_path).write(template()), unique("topic")
    deployment.run(topic)
    before = executions(aws, deployment.name)
    assert deployment.run(topic)["change"] == "unchanged"
    assert executions(aws, deployment.name) == before
    assert [item for item in change_sets(aws, deployment.name) if item["Status"] == "FAILED"] == []


def test_a_failure_names_the_resource_and_its_reason(aws, tmp_path):
    bucket = unique("taken")
    aws.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=REGION)
    deployment = Deployment(tmp_path).write(template())
    topic = unique("topic")
    deployment.run(topic)
    deployment.write(template(Mine=taken_bucket(bucket)))
    with pytest.raises(StackFailed, match=r"UPDATE_ROLLBACK_COMPLETE; Mine \(AWS::S3::Bucket\) \w+_FAILED: .*exist"):
        deployment.run(topic)
    assert aws.stack(deployment.name)["Outputs"][0]["OutputValue"] == topic


def test_after_a_failed_update_the_next_one_goes_through(aws, tmp_path):
    bucket = unique("taken")
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=REGION)
    deployment, topic = Deployment(tmp_path).write(template()), unique("topic")
    deployment.run(topic)
    deployment.write(template(Mine=taken_bucket(bucket)))
    with pytest.raises(StackFailed):
        deployment.run(topic)
    s3.delete_bucket(Bucket=bucket)
    assert deployment.run(topic)["change"] == "updated"


@pytest.fixture
def rolled_back(aws, tmp_path):
    """A stack in ROLLBACK_COMPLETE, and the topic's name of the next attempt, which has a good template."""
    bucket = unique("taken")
    aws.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=REGION)
    deployment = Deployment(tmp_path).write(template(Mine=taken_bucket(bucket)))
    with pytest.raises(StackFailed, match="Mine"):
        deployment.run(unique("topic"))
    assert aws.stack(deployment.name)["StackStatus"] == "ROLLBACK_COMPLETE"
    return deployment.write(template())


def test_a_rolled_back_creation_is_deleted_and_created_again(aws, rolled_back):
    old_id = aws.stack(rolled_back.name)["StackId"]
    result = rolled_back.run(unique("topic"), recreate_failed=True)
    assert result["change"] == "created"
    assert result["stack_id"] != old_id
    assert len(aws.ledger(service="cloudformation", operation="DeleteStack", outcome="ok", resource=old_id)) == 1


def test_a_person_is_asked_before_a_stack_is_deleted_where_so_wanted(aws, rolled_back):
    with pytest.raises(StackFailed, match=r"for a person to decide.*ROLLBACK_COMPLETE.*delete-stack"):
        rolled_back.run(unique("topic"), recreate_failed=False)
    assert aws.stack(rolled_back.name)["StackStatus"] == "ROLLBACK_COMPLETE"


def test_a_stack_of_somebody_else_is_left_alone(aws, tmp_path):
    deployment = Deployment(tmp_path).write(template())
    deployment.run(unique("topic"), tags={"team": "other"}, ownership_tags={})
    before = executions(aws, deployment.name)
    with pytest.raises(NameConflict, match="belongs to something else"):
        deployment.run(unique("topic"))
    assert executions(aws, deployment.name) == before


def test_a_template_that_cannot_be_worked_out_says_why(aws, tmp_path):
    deployment = Deployment(tmp_path).write(template())
    with pytest.raises(Exception, match=r"CreateChangeSet answered ValidationError.*Name"):
        deployment.run("ab")


def test_a_template_above_the_limit_of_requests_is_no_matter(aws, tmp_path):
    body = template()
    body["Metadata"] = {"Padding": "x" * 60_000}
    assert Deployment(tmp_path).write(body).run(unique("topic"))["change"] == "created"


def test_a_template_that_nobody_has_uploaded_is_not_deployed(aws, tmp_path):
    deployment = Deployment(tmp_path).write(template())
    deployment.path.write_text("# of my own\n" + deployment.path.read_text())
    with pytest.raises(StackFailed, match=rf"s3://{BUCKET}/templates/.*administrator run `slipway bootstrap`"):
        deployment.run(unique("topic"))
    assert executions(aws, deployment.name) == []
    # The operator has not uploaded the template.
    written = aws.ledger(service="s3", operation="PutObject")
    assert sum(deployment.name in str(call["resource"]) for call in written) == 1


# They are called until a state has come.
POLLED = ("DescribeStacks", "DescribeChangeSet")


def test_a_deployment_asks_as_much_of_a_stack_that_was_changed_often(aws, tmp_path):
    """One that goes through, one that changes nothing, one that fails and reads why, and attempts at it."""
    deployment, bucket, changes, spent = Deployment(tmp_path).write(template()), unique("taken"), 0, {}
    aws.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=REGION)
    deployment.run(unique("topic"))

    def calls(topic: str) -> Counter:
        since = len(aws.asked())
        with suppress(StackFailed):
            deployment.run(topic)
        return Counter(call["operation"] for call in aws.asked()[since:])

    for age in (2, 30):
        while changes < age:
            tags = [{"Key": key, "Value": value} for key, value in OWNER.items()]
            aws.deploy(
                deployment.name,
                template(),
                Parameters=[{"ParameterKey": "Name", "ParameterValue": unique("topic")}],
                Tags=tags,
            )
            changes += 1
        topic = unique("topic")
        made = [calls(topic), calls(topic)]
        deployment.write(template(Mine=taken_bucket(bucket)))
        made += [calls(topic) for _ in range(4)]
        deployment.write(template())
        # The names of change sets of one content are numbered, and the execution of one deletes the others.
        assert all(one["DescribeChangeSet"] <= 5 for one in made)
        spent[age] = [{name: count for name, count in one.items() if name not in POLLED} for one in made]
    assert spent[2] == spent[30]
    changed, unchanged, failed, *again = spent[30]
    assert changed == {"CreateChangeSet": 1, "ExecuteChangeSet": 1}
    assert unchanged == {"CreateChangeSet": 1, "DeleteChangeSet": 1}
    # What CloudFormation finds wrong before it changes a resource is in no event of the stack.
    assert failed == {**changed, "DescribeStackEvents": 1, "DescribeEvents": 1}
    assert again == [failed] * 3


class Dying:
    """Makes hooks that let a number of calls through and then end the worker, right after a call was made."""

    def __init__(self, calls_left: int) -> None:
        self.calls_left = calls_left

    def hook_class(self):
        dying = self

        class DyingHook(CloudFormationHook):
            def __getattribute__(self, name):
                value = super().__getattribute__(name)
                if name in _CALLS:
                    return lambda *args, **kwargs: dying.after(value(*args, **kwargs))
                return value

        return DyingHook

    def after(self, answer):
        self.calls_left -= 1
        if self.calls_left < 0:
            raise Killed
        return answer


_CALLS = ("describe_stack", "create_change_set", "describe_change_set", "execute_change_set", "delete_change_set")


@pytest.mark.parametrize("update", [False, True], ids=["create", "update"])
def test_killed_after_any_call_and_run_again(aws, tmp_path, update):
    for calls in range(20):
        topic, dying = unique("topic"), Dying(calls)
        operator = type("Operator", (CloudFormationDeployOperator,), {"aws_hook_class": dying.hook_class()})
        deployment = Deployment(tmp_path).write(template())
        if update:
            deployment.run(unique("topic"))
        before = len(executions(aws, deployment.name))
        try:
            run_task(Deployment(tmp_path, deployment.name, operator).make(topic), context({}))
        except Killed:
            result = deployment.run(topic)
            assert result["outputs"] == {"TopicName": topic}
            assert len(executions(aws, deployment.name)) == before + 1
            assert aws.stack(deployment.name)["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
        else:
            assert calls > 5
            return
    pytest.fail("the operator never came to its end")


class Racing(CloudFormationDeployOperator):
    """Lets a rival deploy in the moment between the first check and the execution."""

    rival = None
    checks = 0

    def check_may_apply(self, stack):
        self.checks += 1
        if self.checks == self.rival_at:
            self.rival()
        if stack and stack.tags.get("slipway:revision") == "r9":
            raise Superseded("A newer release is deployed already", resource=stack.name)


@pytest.mark.parametrize("rival_at", [1, 2])
def test_an_older_run_never_overwrites_a_newer_one_that_came_in_between(aws, tmp_path, rival_at):
    deployment, newer = Deployment(tmp_path).write(template()), unique("newer")
    deployment.run(unique("topic"))
    older = Deployment(tmp_path, deployment.name, Racing).make(
        unique("older"), tags={**OWNER, "slipway:revision": "r2"}
    )
    older.rival_at = rival_at
    older.rival = lambda: deployment.run(newer, tags={**OWNER, "slipway:revision": "r9"})
    with pytest.raises(Superseded):
        run_task(older, context({}))
    assert aws.stack(deployment.name)["Outputs"][0]["OutputValue"] == newer
    assert tag_values(aws, deployment.name)["slipway:revision"] == "r9"


def test_an_operation_of_another_run_is_waited_for(aws, tmp_path):
    handle = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
    held = {"Type": "AWS::CloudFormation::WaitCondition", "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "600"}}
    deployment, client = Deployment(tmp_path).write(template(Handle=handle, Held=held)), aws.client("cloudformation")
    client.create_stack(
        StackName=deployment.name,
        TemplateBody=deployment.path.read_text(),
        Parameters=[{"ParameterKey": "Name", "ParameterValue": unique("topic")}],
        Tags=[{"Key": key, "Value": value} for key, value in OWNER.items()],
    )
    waits = []

    def wait(trigger):
        if not waits:
            let_go(client, deployment.name)
        waits.append(trigger.waiter_name)
        return first_event(trigger)

    operator = deployment.write(template()).make(unique("topic"))
    assert run_task(operator, context({}), wait=wait)["change"] == "updated"
    # It waits first for the other operation, then for its own.
    assert waits == ["StackIdle", "StackDeployed"]


def let_go(client, stack):
    """Send the signal that a stack's wait condition waits for."""
    look = lambda: client.describe_stack_resource(StackName=stack, LogicalResourceId="Handle")  # noqa: E731
    found = eventually(look, lambda answer: answer["StackResourceDetail"].get("PhysicalResourceId"))
    signal = {"Status": "SUCCESS", "Reason": "test", "UniqueId": "1", "Data": ""}
    url = found["StackResourceDetail"]["PhysicalResourceId"]
    request = urllib.request.Request(url, json.dumps(signal).encode(), {"Content-Type": ""}, method="PUT")  # noqa: S310
    urllib.request.urlopen(request).close()  # noqa: S310


def test_a_deletion_that_fails_names_what_is_left(aws, tmp_path):
    group, sagemaker = unique("group"), aws.client("sagemaker")
    full = {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"ModelPackageGroupName": group}}
    deployment = Deployment(tmp_path).write(template(Full=full))
    deployment.run(unique("topic"))
    container = {"Image": "image:1", "ModelDataUrl": "s3://b-1/model.tar.gz"}
    types = {"SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"]}
    package = sagemaker.create_model_package(
        ModelPackageGroupName=group, InferenceSpecification={"Containers": [container], **types}
    )
    aws.client("cloudformation").delete_stack(StackName=deployment.name)
    assert aws.stack(deployment.name)["StackStatus"] == "DELETE_FAILED"
    with pytest.raises(StackFailed, match=r"cannot be deleted.*left: Full \(AWS::SageMaker::ModelPackageGroup\)"):
        deployment.run(unique("topic"), recreate_failed=True)
    sagemaker.delete_model_package(ModelPackageName=package["ModelPackageArn"])
    assert deployment.run(unique("topic"), recreate_failed=True)["change"] == "created"


def test_on_kill_takes_back_what_was_prepared_and_not_executed(aws, tmp_path):
    deployment = Deployment(tmp_path).write(template())
    deployment.run(unique("topic"))

    class KilledBeforeExecution(CloudFormationDeployOperator):
        def check_may_apply(self, stack):
            if self._prepared_change_set:
                raise Killed

    operator = Deployment(tmp_path, deployment.name, KilledBeforeExecution).make(unique("other"))
    with pytest.raises(Killed):
        run_task(operator, context({}))
    assert [item for item in change_sets(aws, deployment.name) if item["ExecutionStatus"] == "AVAILABLE"]
    operator.on_kill()
    assert not [item for item in change_sets(aws, deployment.name) if item["ExecutionStatus"] == "AVAILABLE"]
    operator.on_kill()


def test_the_deadline_says_where_the_stack_is(aws, tmp_path):
    deployment = Deployment(tmp_path).write(template())
    with pytest.raises(StackFailed, match="not deployed within 0 s"):
        deployment.run(unique("topic"), timeout_seconds=0)
    with pytest.raises(ClientError, match="does not exist"):
        aws.stack(deployment.name)
