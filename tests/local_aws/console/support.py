"""What the tests of the console share: a signed-in look at a page, and a state that has something of everything."""

import base64
import json
import os
import time
from http.client import HTTPConnection
from urllib.parse import urlencode

from tests.aws_keys import CREDENTIALS
from tests.local_aws.sagemaker_cases import (
    BUCKET,
    IMAGE,
    ROLE,
    ROWS,
    training_request,
    upload,
    wait_for_endpoint,
    wait_for_job,
)
from tests.local_aws.server import FROM_SERVICES

# What shows as text wherever it comes from.
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
JOB, FAILED_JOB, ENDPOINT, GROUP, STACK = "seen-job", "seen-failed", "seen-endpoint", "seen-group", "seen-stack"
QUEUE, TOPIC, ALARM, DASHBOARD = "seen-queue", "seen-topic", "seen-alarm", "seen-dashboard"
SECRET = "hunter2-of-the-stack"
KEY = f"seen/{HOSTILE}.txt"


def basic(key):
    """Return the header with which a person signs in."""
    pair = f"{key.access_key_id}:{key.secret_access_key}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def ask(aws, path="", method="GET", who=CREDENTIALS.operator, **query):
    """Ask for a page; return status, headers and text."""
    connection = HTTPConnection("127.0.0.1", aws.port, timeout=30)
    address = f"/_local_aws/{path}" + (f"?{urlencode(query)}" if query else "")
    connection.request(method, address, headers=basic(who) if who else {})
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()


def look(aws, path="", **query):
    """Return the text of a page that is there, which holds nothing hostile as markup."""
    status, _, text = ask(aws, path, **query)
    assert status == 200, text[-2000:]
    assert "<img" not in text
    assert text.count("<script>") == 1
    return text


def fill(aws):
    """Make something of everything that the console shows."""
    upload(aws, "seen")
    sagemaker = aws.client("sagemaker")
    request = training_request(JOB, "seen", Tags=[{"Key": "team", "Value": "payments"}])
    sagemaker.create_training_job(**request)
    bad = {"objective": "nonsense", "num_round": "1", "num_class": HOSTILE[:20]}
    sagemaker.create_training_job(**training_request(FAILED_JOB, "seen", HyperParameters=bad))
    job = wait_for_job(aws, JOB)
    wait_for_job(aws, FAILED_JOB)
    _log(aws, JOB, HOSTILE)
    data = job["ModelArtifacts"]["S3ModelArtifacts"]
    _register(sagemaker, data)
    _serve(aws, sagemaker, data)
    _send(aws)
    _alarm(aws)
    s3 = aws.client("s3")
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"1")
    _deploy(aws)


def _log(aws, job, line):
    logs = aws.client("logs")
    stream = f"{job}/algo-1-1"
    logs.create_log_stream(logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=stream)
    logs.put_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs",
        logStreamName=stream,
        logEvents=[{"timestamp": int(time.time() * 1000), "message": line}],
    )


def _register(sagemaker, data):
    sagemaker.create_model_package_group(ModelPackageGroupName=GROUP, ModelPackageGroupDescription="Seen")
    specification = {
        "Containers": [{"Image": IMAGE, "ModelDataUrl": data}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    for status in ("Approved", "PendingManualApproval"):
        arn = sagemaker.create_model_package(
            ModelPackageGroupName=GROUP,
            InferenceSpecification=specification,
            ModelApprovalStatus="PendingManualApproval",
            CustomerMetadataProperties={"revision": "r1"},
        )["ModelPackageArn"]
        sagemaker.update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus=status, ApprovalDescription=f"said {HOSTILE}"
        )


def _serve(aws, sagemaker, data):
    container = {"Image": IMAGE, "ModelDataUrl": data}
    sagemaker.create_model(ModelName="seen-model", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variants = [
        {
            "VariantName": name,
            "ModelName": "seen-model",
            "InstanceType": "ml.m4.xlarge",
            "InitialInstanceCount": 1,
            "InitialVariantWeight": weight,
        }
        for name, weight in (("model-a", 0.75), ("model-b", 0.25))
    ]
    sagemaker.create_endpoint_config(EndpointConfigName="seen-config", ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName="seen-config")
    assert wait_for_endpoint(aws, ENDPOINT)["EndpointStatus"] == "InService"
    runtime = aws.client("sagemaker-runtime")
    # By name, because by weight the second one may get none of a few.
    for name in ["model-a"] * 15 + ["model-b"] * 5:
        runtime.invoke_endpoint(EndpointName=ENDPOINT, ContentType="text/csv", Body=ROWS[0], TargetVariant=name)
    dimensions = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
    target = f"endpoint/{ENDPOINT}/variant/model-a"
    aws.client("application-autoscaling").register_scalable_target(
        ResourceId=target, MinCapacity=1, MaxCapacity=3, **dimensions
    )


def _send(aws):
    sns, sqs = aws.client("sns"), aws.client("sqs")
    topic = sns.create_topic(Name=TOPIC)["TopicArn"]
    queue = sqs.create_queue(QueueName=QUEUE, Attributes=FROM_SERVICES)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sns.publish(TopicArn=topic, Subject="Seen subject", Message=f"{HOSTILE} {'long ' * 100}")


def _alarm(aws):
    cloudwatch = aws.client("cloudwatch")
    dimensions = [{"Name": "EndpointName", "Value": ENDPOINT}, {"Name": "VariantName", "Value": "model-a"}]
    cloudwatch.put_metric_alarm(
        AlarmName=ALARM,
        AlarmDescription=HOSTILE,
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Dimensions=dimensions,
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=10,
        TreatMissingData="breaching",
        ComparisonOperator="GreaterThanThreshold",
    )
    cloudwatch.put_metric_data(
        Namespace="AWS/SageMaker", MetricData=[{"MetricName": "Invocations", "Dimensions": dimensions, "Value": 17.0}]
    )
    cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue="ALARM", StateReason="tried")
    metric = ["AWS/SageMaker", "Invocations", "EndpointName", ENDPOINT, "VariantName", "model-a"]
    expressions = [
        [{"expression": "one / one", "label": "half"}],
        [{"expression": "SEARCH('x')", "label": "searched"}],
        [*metric, {"id": "one", "visible": False}],
    ]
    widgets = [
        {"type": "metric", "properties": {"title": "Seen requests", "stat": "Sum", "metrics": [[*metric, {}]]}},
        {"type": "metric", "properties": {"title": "Seen math", "stat": "Sum", "metrics": expressions}},
        {"type": "text", "properties": {"markdown": HOSTILE}},
        {"type": "explorer", "properties": {}},
    ]
    cloudwatch.put_dashboard(DashboardName=DASHBOARD, DashboardBody=json.dumps({"widgets": widgets}))


def _deploy(aws):
    template = {
        "Description": "Seen description",
        "Parameters": {"Secret": {"Type": "String", "NoEcho": True}, "Plain": {"Type": "String", "Default": "<i>"}},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {"Made": {"Value": {"Ref": "Topic"}}},
    }
    aws.deploy(
        STACK,
        template,
        Parameters=[{"ParameterKey": "Secret", "ParameterValue": SECRET}],
        Tags=[{"Key": "owner", "Value": HOSTILE}],
    )


def screenshots():
    """Return the folder for pictures of the pages; None where nobody wants them."""
    return os.environ.get("SCREENSHOTS")
