"""The AWS CLI, 1.x or 2.x: the command lines of a release by hand. It runs in the suite's own Python."""

import json
import os
import subprocess
import time
from datetime import UTC, datetime, timedelta

from told import CASE, Refused, tell

NAME, ROLE, IMAGE, BUCKET = CASE["name"], CASE["role"], CASE["image"], CASE["bucket"]
AWS = json.loads(os.environ["CLIENT_AWS"])
SPECIFICATION = {
    "Containers": [{"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/{NAME}/{NAME}/output/model.tar.gz"}],
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["text/csv"],
}


def aws(*arguments, **documents):
    """Run the CLI; a document becomes an option with JSON."""
    options = [part for name, value in documents.items() for part in (f"--{name.replace('_', '-')}", json.dumps(value))]
    environment = {**os.environ, "PYTHONPATH": os.environ["CLIENT_PATH"], "AWS_PAGER": ""}
    done = subprocess.run([*AWS, *arguments, *options], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise Refused(done.stderr.strip())
    try:
        return json.loads(done.stdout)
    except ValueError:
        return done.stdout


def same(found, wanted):
    assert found == wanted, f"{found} is not {wanted}"


def upload():
    for part in ("train", "validation"):
        aws("s3", "cp", CASE[part], f"s3://{BUCKET}/{NAME}/{part}/")
    assert "train.csv" in aws("s3", "ls", "--recursive", f"s3://{BUCKET}/{NAME}/")
    aws("s3", "sync", f"s3://{BUCKET}/{NAME}/", "copies")


def channel(name):
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{NAME}/{name}/"}
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}


def train():
    aws(
        "sagemaker",
        "create-training-job",
        "--training-job-name",
        NAME,
        "--role-arn",
        ROLE,
        algorithm_specification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        hyper_parameters={"objective": "multi:softmax", "num_class": "3", "num_round": "5", "eval_metric": "merror"},
        input_data_config=[channel("train"), channel("validation")],
        output_data_config={"S3OutputPath": f"s3://{BUCKET}/{NAME}", "KmsKeyId": ""},
        resource_config={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1},
        stopping_condition={"MaxRuntimeInSeconds": 600},
    )
    # The CLI's own waiter looks once a minute.
    while (job := aws("sagemaker", "describe-training-job", "--training-job-name", NAME))[
        "TrainingJobStatus"
    ] == "InProgress":
        time.sleep(1)
    same(job["TrainingJobStatus"], "Completed")


def metrics():
    now = datetime.now(UTC)
    begin, end = ((now + timedelta(hours=more)).isoformat(timespec="seconds") for more in (-1, 1))
    found = aws(
        *("cloudwatch", "get-metric-statistics", "--namespace", "/aws/sagemaker/TrainingJobs"),
        *("--metric-name", "train:merror", "--dimensions", f"Name=TrainingJobName,Value={NAME}", "--period", "3600"),
        *("--start-time", begin, "--end-time", end, "--statistics", "SampleCount"),
    )
    same(sum(point["SampleCount"] for point in found["Datapoints"]), 5)


def log():
    group = ("--log-group-name", "/aws/sagemaker/TrainingJobs", "--log-stream-name-prefix", NAME)
    shown = aws("logs", "filter-log-events", *group)["events"]
    assert any("train-merror" in event["message"] for event in shown)


def search():
    name = {"Name": "TrainingJobName", "Operator": "Equals", "Value": NAME}
    found = aws("sagemaker", "search", "--resource", "TrainingJob", search_expression={"Filters": [name]})
    same(len(found["Results"]), 1)


def deploy():
    container = {"Image": IMAGE, "ModelDataUrl": SPECIFICATION["Containers"][0]["ModelDataUrl"]}
    arguments = ("sagemaker", "create-model", "--model-name", NAME, "--execution-role-arn", ROLE)
    aws(*arguments, primary_container=container)
    variant = {"VariantName": "a", "ModelName": NAME, "InitialInstanceCount": 1, "InstanceType": "ml.m5.xlarge"}
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{BUCKET}/{NAME}/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    arguments = ("sagemaker", "create-endpoint-config", "--endpoint-config-name", NAME)
    aws(*arguments, production_variants=[variant], data_capture_config=capture)
    aws("sagemaker", "create-endpoint", "--endpoint-name", NAME, "--endpoint-config-name", NAME)
    aws("sagemaker", "wait", "endpoint-in-service", "--endpoint-name", NAME)


def predict():
    with open("rows.csv", "w") as rows:  # noqa: PTH123
        rows.write("\n".join(CASE["rows"]))
    answers = []
    for accept in ("text/csv", "application/json", "application/jsonlines"):
        aws(
            *("sagemaker-runtime", "invoke-endpoint", "--endpoint-name", NAME, "--content-type", "text/csv"),
            *("--accept", accept, "--body", "fileb://rows.csv", "answer"),
        )
        with open("answer") as answer:  # noqa: PTH123
            answers.append(answer.read())
    same(answers[0], "0.0\n1.0\n2.0\n")
    same([one["score"] for one in json.loads(answers[1])["predictions"]], [0.0, 1.0, 2.0])
    same([json.loads(line)["score"] for line in answers[2].splitlines()], [0.0, 1.0, 2.0])


def register():
    aws("sagemaker", "create-model-package-group", "--model-package-group-name", NAME)
    arguments = ("sagemaker", "create-model-package", "--model-package-group-name", NAME)
    aws(*arguments, inference_specification=SPECIFICATION)


def stack():
    template = {
        "Parameters": {"Name": {"Type": "String"}},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Ref": "Name"}}}},
    }
    with open("template.json", "w") as written:  # noqa: PTH123
        json.dump(template, written)
    deployed = ("cloudformation", "deploy", "--stack-name", NAME, "--template-file", "template.json")
    aws(*deployed, "--parameter-overrides", f"Name={NAME}")
    aws("cloudformation", "delete-stack", "--stack-name", NAME)
    aws("cloudformation", "wait", "stack-delete-complete", "--stack-name", NAME)


def process():
    aws(
        *("sagemaker", "create-processing-job", "--processing-job-name", NAME, "--role-arn", ROLE),
        processing_resources={
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 1}
        },
        app_specification={"ImageUri": IMAGE},
    )


def transform():
    source = {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{NAME}"}}}
    aws(
        *("sagemaker", "create-transform-job", "--transform-job-name", NAME, "--model-name", NAME),
        transform_input=source,
        transform_output={"S3OutputPath": f"s3://{BUCKET}/{NAME}"},
        transform_resources={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
    )


def tune():
    limits = {"MaxParallelTrainingJobs": 1}
    configuration = {"Strategy": "Random", "ResourceLimits": limits}
    arguments = ("sagemaker", "create-hyper-parameter-tuning-job", "--hyper-parameter-tuning-job-name", NAME[:32])
    aws(*arguments, hyper_parameter_tuning_job_config=configuration)


def delete():
    aws("sagemaker", "delete-endpoint", "--endpoint-name", NAME)
    aws("sagemaker", "delete-endpoint-config", "--endpoint-config-name", NAME)
    aws("sagemaker", "delete-model", "--model-name", NAME)
    arn = f"arn:aws:sagemaker:us-west-2:123456789012:model-package/{NAME}/1"
    aws("sagemaker", "delete-model-package", "--model-package-name", arn)
    aws("sagemaker", "delete-model-package-group", "--model-package-group-name", NAME)
    aws("s3", "rm", "--recursive", f"s3://{BUCKET}/{NAME}/")


tell("who am I (STS)", lambda: same(aws("sts", "get-caller-identity")["Account"], "123456789012"))
tell("upload to S3, list", upload)
tell("train the built-in XGBoost", train)
tell("the job's metrics in CloudWatch", metrics)
tell("the job's log", log)
tell("Search", search)
tell("deploy an endpoint with data capture", deploy)
tell("predict: CSV, JSON, JSON lines", predict)
tell("register a model", register)
tell("a stack (CloudFormation)", stack)
tell("processing jobs", process)
tell("batch transform", transform)
tell("hyperparameter tuning", tune)
tell(
    "pipelines",
    lambda: aws(
        *("sagemaker", "create-pipeline", "--pipeline-name", NAME, "--role-arn", ROLE),
        *("--pipeline-definition", "{}", "--client-request-token", "a" * 32),
    ),
)
tell(
    "asynchronous inference",
    lambda: aws(
        *("sagemaker-runtime", "invoke-endpoint-async", "--endpoint-name", NAME),
        *("--input-location", f"s3://{BUCKET}/{NAME}/rows.csv"),
    ),
)
tell("a service that is not here (Lambda)", lambda: aws("lambda", "list-functions"))
tell("delete what was made", delete)
