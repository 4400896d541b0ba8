"""A dashboard as a resource of a stack: made, changed, rolled back with a failed update, and deleted with the stack."""

import json

import pytest

from tests.local_aws.sagemaker_cases import unique
from tests.local_aws.server import REGION

pytestmark = pytest.mark.local_aws


def template(name, text, **resources):
    body = json.dumps({"widgets": [{"type": "text", "properties": {"markdown": text}}]})
    dashboard = {
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {"DashboardName": name, "DashboardBody": {"Fn::Sub": body}},
    }
    outputs = {"Name": {"Value": {"Ref": "Dashboard"}}}
    return {"Resources": {"Dashboard": dashboard, **resources}, "Outputs": outputs}


def text_of(aws, name):
    body = json.loads(aws.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])
    return body["widgets"][0]["properties"]["markdown"]


def test_a_dashboard_follows_its_stack(local_aws):
    name = unique("dashboard")
    made = local_aws.deploy(name, template(name, "first of ${AWS::Region}"))
    assert (made["StackStatus"], made["Outputs"][0]["OutputValue"]) == ("CREATE_COMPLETE", name)
    assert text_of(local_aws, name) == f"first of {REGION}"

    assert local_aws.deploy(name, template(name, "second"))["StackStatus"] == "UPDATE_COMPLETE"
    assert text_of(local_aws, name) == "second"

    # Another account has the bucket, which is made after the dashboard has changed.
    taken = unique("taken")
    local_aws.client("s3").create_bucket(Bucket=taken, CreateBucketConfiguration={"LocationConstraint": REGION})
    bucket = {"Type": "AWS::S3::Bucket", "DependsOn": "Dashboard", "Properties": {"BucketName": taken}}
    failed = local_aws.deploy(name, template(name, "third", Bucket=bucket))
    assert failed["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert text_of(local_aws, name) == "second"

    cloudwatch, cloudformation = local_aws.client("cloudwatch"), local_aws.client("cloudformation")
    listed = cloudwatch.list_dashboards(DashboardNamePrefix=name)["DashboardEntries"]
    assert [entry["DashboardArn"] for entry in listed] == [f"arn:aws:cloudwatch::123456789012:dashboard/{name}"]
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    assert cloudwatch.list_dashboards(DashboardNamePrefix=name)["DashboardEntries"] == []
