"""Services that the documentation does not name: closed with a clear error, from outside and for stacks."""

import io
import json
import re
import subprocess
import zipfile
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from local_aws.host.services import SERVICES
from tests.local_aws.host.test_authentication import send
from tests.local_aws.signing import signed

pytestmark = pytest.mark.local_aws
ROOT = Path(__file__).parents[3]
PROGRAM = "def handler(event, context):\n    return open('/etc/passwd').read()\n"
FLOW = "arn:aws:sagemaker:us-west-2:123456789012:flow-definition/a"
CALLS = {
    "lambda": ("list_functions", {}),
    "dynamodb": ("list_tables", {}),
    "ec2": ("describe_instances", {}),
    "ecs": ("list_clusters", {}),
    "secretsmanager": ("list_secrets", {}),
    "ssm": ("describe_parameters", {}),
    "events": ("list_rules", {}),
    "scheduler": ("list_schedules", {}),
    "stepfunctions": ("list_state_machines", {}),
    "codepipeline": ("list_pipelines", {}),
    "rds": ("describe_db_instances", {}),
    "ecr-public": ("describe_repositories", {}),
    "apigateway": ("get_rest_apis", {}),
    "cognito-idp": ("list_user_pools", {"MaxResults": 1}),
    "transfer": ("list_servers", {}),
    "route53": ("list_hosted_zones", {}),
    "cloudfront": ("list_distributions", {}),
    "sagemaker-a2i-runtime": ("list_human_loops", {"FlowDefinitionArn": FLOW}),
    "sagemaker-edge": ("send_heartbeat", {"AgentVersion": "1", "DeviceName": "a", "DeviceFleetName": "b"}),
    "sagemaker-featurestore-runtime": (
        "get_record",
        {"FeatureGroupName": "a", "RecordIdentifierValueAsString": "b"},
    ),
    "sagemaker-metrics": (
        "batch_put_metrics",
        {"TrialComponentName": "a", "MetricData": [{"MetricName": "a", "Timestamp": 0, "Value": 1.0}]},
    ),
}


def archive():
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as written:
        written.writestr("program.py", PROGRAM)
    return held.getvalue()


def function():
    return {
        "FunctionName": "program",
        "Runtime": "python3.11",
        "Role": "arn:aws:iam::123456789012:role/x",
        "Handler": "program.handler",
        "Code": {"ZipFile": archive()},
    }


def error_of(call, **parameters):
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    return refused.value.response["Error"]


@pytest.mark.parametrize("service", CALLS)
def test_a_closed_service_is_named_with_the_page_that_lists_the_others(local_aws, service):
    operation, parameters = CALLS[service]
    error = error_of(getattr(local_aws.client(service), operation), **parameters)
    assert error["Code"] == "UnknownOperationException"
    assert re.search("The local AWS has no .+ docs/local-aws.md lists the services it has", error["Message"])


def test_no_program_of_a_callers_is_made_or_run(local_aws):
    functions = local_aws.client("lambda")
    assert error_of(functions.create_function, **function())["Code"] == "UnknownOperationException"
    assert error_of(functions.invoke, FunctionName="program")["Code"] == "UnknownOperationException"
    for path in ("/2015-03-31/functions", "/2015-03-31/functions/program/invocations", "/_aws/lambda/x", "/v2/"):
        assert send(local_aws, "POST", path, {}, b"{}")[0] in (403, 404)


@pytest.mark.parametrize(
    "path", ["/graphql", "/iceberg/v1/config", "/Execute", "/oauth2/token", "/WriteGetObjectResponse"]
)
def test_no_path_leads_past_the_list(local_aws, path):
    for service in ("s3", "sagemaker", "rds-data"):
        headers = signed("POST", f"{local_aws.endpoint_url}{path}", service, b"{}", {"x-amz-request-route": "r"})
        status, answer = send(local_aws, "POST", path, headers, b"{}")
        assert status >= 400, answer
        assert "Iceberg" not in answer


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("AWS::Lambda::Function", {"Handler": "index.handler", "Code": {"ZipFile": PROGRAM}}),
        ("AWS::EC2::Instance", {}),
        ("AWS::Events::Rule", {"ScheduleExpression": "rate(1 minute)"}),
        ("AWS::S3ObjectLambda::AccessPoint", {}),
        ("AWS::CodePipeline::Pipeline", {}),
    ],
)
def test_a_stack_cannot_have_what_is_closed(local_aws, kind, properties):
    template = json.dumps({"Resources": {"Closed": {"Type": kind, "Properties": properties}}})
    error = error_of(local_aws.client("cloudformation").create_stack, StackName="closed", TemplateBody=template)
    assert error["Message"] == f"Template format error: Unrecognized resource types: [{kind}]"


@pytest.mark.parametrize("kind", ["Custom::Program", "AWS::CloudFormation::CustomResource"])
def test_a_custom_resource_fails_at_once_and_says_why(local_aws, kind):
    name = f"custom-{kind.split(':')[0].lower()}"
    token = {"ServiceToken": "arn:aws:lambda:us-west-2:123456789012:function:program"}
    stack = local_aws.deploy(name, {"Resources": {"Made": {"Type": kind, "Properties": token}}})
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    events = local_aws.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    assert [event for event in events if "docs/local-aws.md" in event.get("ResourceStatusReason", "")]


def test_functions_of_an_earlier_version_are_not_read(new_local_aws, tmp_path):
    ran = tmp_path / "ran"
    aws = new_local_aws().start()
    sns = aws.client("sns")
    topic = sns.create_topic(Name="calls")["TopicArn"]
    name = "arn:aws:lambda:us-west-2:123456789012:function:program"
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=name)
    aws.stop()
    program = f"def handler(event, context):\n    open({str(ran)!r}, 'w').close()\n"
    # ministack itself makes the state, without the code that closes Lambda.
    make = f"""
import asyncio, json, os, sys
os.environ.update(PERSIST_STATE="1", STATE_DIR={str(aws.state_dir / "ministack")!r})
from ministack.core import persistence, responses
from ministack.services import lambda_svc
import base64, io, zipfile
held = io.BytesIO()
with zipfile.ZipFile(held, "w") as z:
    z.writestr("program.py", {program!r})
responses.set_request_account_id("123456789012")
responses.set_request_region("us-west-2")
body = dict(FunctionName="program", Runtime="python3.11", Role="arn:aws:iam::123456789012:role/x",
            Handler="program.handler", Code=dict(ZipFile=base64.b64encode(held.getvalue()).decode()))
made = asyncio.run(lambda_svc.handle_request("POST", "/2015-03-31/functions", {{}}, json.dumps(body).encode(), {{}}))
assert made[0] == 201, made
persistence.save_state("lambda", lambda_svc.get_state())
"""
    subprocess.run([ROOT / ".venv-aws/bin/python", "-c", make], check=True, timeout=60)
    assert "program" in (aws.state_dir / "ministack/lambda.json").read_text()
    aws.start()
    assert aws.client("sns").list_subscriptions()["Subscriptions"][0]["Protocol"] == "lambda"
    aws.client("sns").publish(TopicArn=topic, Message="go")
    queue = aws.client("sqs").create_queue(QueueName="after")["QueueUrl"]
    aws.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=3)
    assert not ran.exists()


def test_the_list_is_the_documentations(local_aws):
    page = (ROOT / "docs/local-aws.md").read_text()
    session = boto3.session.Session()
    # Two have another name in requests than boto3's.
    for service in SERVICES - {"monitoring", "tagging"} | {"resourcegroupstaggingapi"}:
        assert service in session.get_available_services()
        assert f"`{service}`" in page
