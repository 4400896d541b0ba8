"""The lab's first notebook with the SageMaker Python SDK 2.x: train, deploy, predict, measure, delete."""

import os

import boto3
import numpy as np
import sagemaker
from sagemaker.deserializers import JSONDeserializer, JSONLinesDeserializer
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.model_monitor import DataCaptureConfig
from sagemaker.serializers import CSVSerializer
from sklearn.metrics import f1_score
from told import CASE, Refused, tell

NAME, ROLE, IMAGE = CASE["name"], CASE["role"], CASE["image"]
session = sagemaker.Session()
sm = boto3.client("sagemaker")
validation = np.loadtxt(CASE["validation"], delimiter=",")


def same(found, wanted):
    assert found == wanted, f"{found} is not {wanted}"


def train(job_name, parameters, **more):
    estimator = Estimator(
        IMAGE,
        ROLE,
        instance_count=1,
        instance_type="ml.m5.xlarge",
        output_path=f"s3://{CASE['bucket']}/{NAME}",
        hyperparameters=parameters,
        sagemaker_session=session,
        **more,
    )
    estimator.fit({"train": data["train"], "validation": data["validation"]}, job_name=job_name)
    return estimator


def deploy():
    capture = DataCaptureConfig(True, 100, f"s3://{CASE['bucket']}/{NAME}/capture")
    return estimator.deploy(
        1, "ml.m5.xlarge", endpoint_name=NAME, model_name=NAME, serializer=CSVSerializer(), data_capture_config=capture
    )


def predict():
    rows = validation[:, 1:]
    lines = predictor.predict(rows).decode().split()
    assert f1_score(validation[:, 0], [float(line) for line in lines], average="macro") > 0.9
    predictor.deserializer = JSONDeserializer()
    scores = [one["score"] for one in predictor.predict(rows)["predictions"]]
    predictor.deserializer = JSONLinesDeserializer()
    same([one["score"] for one in predictor.predict(rows)], scores)
    same(scores, [float(line) for line in lines])


def own_script():
    try:
        train(f"{NAME}-script", {"num_round": 1, "sagemaker_program": "train.py"})
    except sagemaker.exceptions.UnexpectedStatusException as error:
        raise Refused(str(error)) from error


def register():
    package = estimator.register(
        content_types=["text/csv"],
        response_types=["text/csv"],
        inference_instances=["ml.m5.xlarge"],
        transform_instances=["ml.m5.xlarge"],
        model_package_group_name=NAME,
        approval_status="PendingManualApproval",
    )
    assert "/1" in package.model_package_arn


def delete():
    predictor.delete_model()
    predictor.delete_endpoint()
    sm.delete_model_package(ModelPackageName=f"arn:aws:sagemaker:us-west-2:123456789012:model-package/{NAME}/1")
    sm.delete_model_package_group(ModelPackageGroupName=NAME)


def process():
    from sagemaker.processing import Processor

    Processor(ROLE, IMAGE, 1, "ml.m5.xlarge", sagemaker_session=session).run(wait=False, logs=False)


def transform():
    transformer = estimator.transformer(1, "ml.m5.xlarge")
    transformer.transform(data["validation"].config["DataSource"]["S3DataSource"]["S3Uri"], wait=False)


def tune():
    from sagemaker.tuner import HyperparameterTuner, IntegerParameter

    tuner = HyperparameterTuner(estimator, "validation:merror", {"max_depth": IntegerParameter(1, 3)})
    tuner.fit({"train": data["train"], "validation": data["validation"]}, wait=False)


def pipeline():
    from sagemaker.workflow.parameters import ParameterInteger
    from sagemaker.workflow.pipeline import Pipeline

    Pipeline(NAME, parameters=[ParameterInteger("N", 1)], sagemaker_session=session).create(ROLE)


def search():
    name = {"Name": "TrainingJobName", "Operator": "Equals", "Value": NAME}
    same(len(session.search("TrainingJob", {"Filters": [name]})["Results"]), 1)


def upload():
    found = {}
    for part in ("train", "validation"):
        uri = session.upload_data(CASE[part], key_prefix=f"{NAME}/{part}")
        assert session.list_s3_files(CASE["bucket"], f"{NAME}/{part}") == [f"{NAME}/{part}/{part}.csv"]
        found[part] = TrainingInput(uri, content_type="text/csv")
    return found


tell("who am I (STS)", lambda: same(session.account_id(), "123456789012"))
tell("the SDK's default bucket", lambda: same(session.default_bucket(), CASE["bucket"]))
data = tell("upload to S3, list", upload)
parameters = {"objective": "multi:softmax", "num_class": 3, "num_round": 5, "eval_metric": "merror,accuracy"}
estimator = tell("train the built-in XGBoost", lambda: train(NAME, parameters))
tell("the job's log", lambda: estimator.logs())
tell(
    "the job's metrics in CloudWatch",
    lambda: same(
        set(estimator.training_job_analytics.dataframe()["metric_name"]),
        {f"{part}:{metric}" for part in ("train", "validation") for metric in ("merror", "accuracy")},
    ),
)
tell("Search", search)
predictor = tell("deploy an endpoint with data capture", deploy)
tell("predict: CSV, JSON, JSON lines", predict)
tell("register a model", register)
tell("a script of one's own", own_script)
tell("processing jobs", process)
tell("batch transform", transform)
tell("hyperparameter tuning", tune)
tell("pipelines", pipeline)
tell("delete what was made", delete)
os._exit(0)
