"""Small templates, and running CloudFormationDeployOperator against them."""

import hashlib
import uuid
from pathlib import Path

import yaml

from slipway import names
from slipway.aws.session import AwsHook
from slipway.deployment.deploy_stack import CloudFormationDeployOperator
from tests.unit.task_runs import context, run_task

BUCKET = "mlops-us-west-2-123456789012"
OWNER = {"slipway:model-prefix": "iris-model"}


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def template(**resources: dict) -> dict:
    """A template with a topic, whose name is an output, and whatever else is given."""
    return {
        "Parameters": {"Name": {"Type": "String", "MinLength": 3}},
        "Resources": {
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Ref": "Name"}}},
            **resources,
        },
        "Outputs": {"TopicName": {"Value": {"Fn::GetAtt": ["Topic", "TopicName"]}}},
    }


def taken_bucket(name: str, **more: object) -> dict:
    """A bucket that CloudFormation cannot make if somebody else has it."""
    return {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}, **more}


def upload_template(path: Path) -> None:
    """Put a template where the operator has CloudFormation read it, as an administrator does."""
    body = path.read_bytes()
    key = names.template_key(path.stem, hashlib.sha256(body).hexdigest())
    AwsHook(aws_conn_id="aws_default", client_type="s3").conn.put_object(Bucket=BUCKET, Key=key, Body=body)


class Deployment:
    """One stack and the operator that deploys it, new for each run as Airflow makes it."""

    def __init__(self, folder: Path, name: str | None = None, operator=CloudFormationDeployOperator) -> None:
        self.name = name or unique("stack")
        self.path = folder / f"{self.name}.yaml"
        self.operator = operator

    def write(self, body: dict) -> "Deployment":
        self.path.write_text(yaml.safe_dump(body))
        upload_template(self.path)
        return self

    def make(self, topic: str, **arguments):
        settings = {
            "task_id": "deploy",
            "stack_name": self.name,
            "template_path": str(self.path),
            "template_bucket": BUCKET,
            "parameters": {"Name": topic},
            "tags": {**OWNER, "slipway:revision": "r1"},
            "ownership_tags": OWNER,
            "poll_seconds": 0.05,
            "timeout_seconds": 120,
            "do_xcom_push": False,
        }
        return self.operator(**{**settings, **arguments})

    def run(self, topic: str, **arguments) -> dict:
        return run_task(self.make(topic, **arguments), context({}))
