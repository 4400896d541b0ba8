"""Stacks of the AWS CDK, synthesised by Node without an account and deployed by CloudFormation."""

import json
import shutil
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.clients.support import PROGRAMS, case, check
from tests.local_aws.sagemaker_cases import ROWS, model_data
from tests.local_aws.server import eventually
from tools import clients

pytestmark = pytest.mark.local_aws


class Stacks:
    """Deploys and deletes templates as the CDK's own command does: by CloudFormation's API."""

    def __init__(self, aws, folder: Path):
        self._aws = aws
        self._folder = folder

    def deploy(self, name: str) -> dict[str, str]:
        template = json.loads((self._folder / f"{name}.template.json").read_text())
        stack = self._aws.deploy(name, template, Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"])
        assert stack["StackStatus"] == "CREATE_COMPLETE", stack.get("StackStatusReason")
        return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}

    def delete(self, name: str) -> None:
        client = self._aws.client("cloudformation")
        stack_id = client.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
        client.delete_stack(StackName=name)
        eventually(
            lambda: client.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"],
            lambda status: status == "DELETE_COMPLETE",
        )


def outcome(call) -> str:
    try:
        call()
    except ClientError as error:
        return f"refused: {error.response['Error']['Message']}"
    return "works"


def test_cdk(shell):
    try:
        folder = clients.javascript()
    except clients.ClientMissing as missing:
        pytest.skip(str(missing))
    aws, program = shell.aws, folder / "cdk.mjs"
    shutil.copy(PROGRAMS / "cdk.mjs", program)
    # AmazonSageMakerFullAccess opens buckets with sagemaker in their names.
    s3, url = aws.client("s3"), model_data(aws)
    if shell.bucket not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=shell.bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    source = dict(zip(("Bucket", "Key"), url.removeprefix("s3://").split("/", 1), strict=True))
    s3.copy_object(Bucket=shell.bucket, Key="cdk/model.tar.gz", CopySource=source)
    told = case(shell, "cdk") | {"model_data": f"s3://{shell.bucket}/cdk/model.tar.gz"}
    command = ["node", "--require", PROGRAMS / "watched.cjs", program, shell.folder / "out"]
    done = shell.run(command, CLIENT_CASE=json.dumps(told))
    (shell.folder / "output.log").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stderr[-3000:]
    stacks = Stacks(aws, shell.folder / "out")

    def endpoint() -> None:
        name = stacks.deploy("cdk-endpoint")["EndpointName"]
        answer = aws.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=name, Body=ROWS[1], ContentType="text/csv"
        )
        assert answer["Body"].read() == b"1.0\n"

    def delete() -> None:
        stacks.delete("cdk-endpoint")
        stacks.delete("cdk-parts")

    outcomes = {
        "a stack (CloudFormation)": outcome(lambda: stacks.deploy("cdk-parts")),
        "deploy an endpoint with data capture": outcome(endpoint),
        "assets and custom resources": outcome(lambda: stacks.deploy("cdk-emptied")),
    }
    types = {
        one["ResourceType"].removeprefix("AWS::")
        for one in aws.client("cloudformation").describe_stack_resources(StackName="cdk-parts")["StackResources"]
    }
    wanted = {"S3::Bucket", "SNS::Topic", "SQS::Queue", "KMS::Key", "IAM::Role", "CloudWatch::Alarm", "Logs::LogGroup"}
    made = "works" if wanted <= types else f"failed: only {sorted(types)}"
    outcomes["buckets, topics, queues, keys, roles, alarms, log groups"] = made
    outcomes["delete what was made"] = outcome(delete)
    check("cdk", outcomes, shell)
