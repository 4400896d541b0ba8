"""The lab's first notebook with the SageMaker Python SDK 3.x: ModelTrainer, ModelBuilder and its resources."""

import json
import os

import boto3
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import Endpoint, EndpointConfig, Model, ModelPackage, ModelPackageGroup
from sagemaker.core.shapes import (
    CaptureOption,
    ContainerDefinition,
    DataCaptureConfig,
    ModelPackageContainerDefinition,
    ProductionVariant,
)

# The package's own name for it is that of a model card's.
from sagemaker.core.shapes.shapes import InferenceSpecification
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData
from told import CASE, Refused, tell

NAME, ROLE, IMAGE = CASE["name"], CASE["role"], CASE["image"]
session = Session()
sm = boto3.client("sagemaker")


def same(found, wanted):
    assert found == wanted, f"{found} is not {wanted}"


def upload():
    found = []
    for part in ("train", "validation"):
        uri = session.upload_data(CASE[part], key_prefix=f"{NAME}/{part}")
        assert session.list_s3_files(CASE["bucket"], f"{NAME}/{part}") == [f"{NAME}/{part}/{part}.csv"]
        found.append(InputData(channel_name=part, data_source=uri, content_type="csv"))
    return found


def train(base, parameters):
    trainer = ModelTrainer(
        training_image=IMAGE,
        role=ROLE,
        sagemaker_session=session,
        base_job_name=base,
        compute=Compute(instance_type="ml.m5.xlarge", instance_count=1),
        hyperparameters=parameters,
    )
    trainer.train(input_data_config=data, logs=True)
    same(trainer._latest_training_job.training_job_status, "Completed")
    return trainer


def job():
    return trainer._latest_training_job


def log():
    group = {"logGroupName": "/aws/sagemaker/TrainingJobs", "logStreamNamePrefix": job().training_job_name}
    assert boto3.client("logs").describe_log_streams(**group)["logStreams"]


def deploy():
    """By ModelBuilder, which has no data capture, and by the resources, which have it."""
    built = ModelBuilder(model=trainer, role_arn=ROLE, image_uri=IMAGE, sagemaker_session=session)
    built.instance_type = "ml.m5.xlarge"
    built.build(model_name=f"{NAME}-built")
    built.deploy(endpoint_name=f"{NAME}-built", initial_instance_count=1, instance_type="ml.m5.xlarge")
    artifact = job().model_artifacts.s3_model_artifacts
    container = ContainerDefinition(image=IMAGE, model_data_url=artifact)
    Model.create(model_name=NAME, primary_container=container, execution_role_arn=ROLE)
    variant = ProductionVariant(
        variant_name="AllTraffic",
        model_name=NAME,
        initial_instance_count=1,
        instance_type="ml.m5.xlarge",
        initial_variant_weight=1,
    )
    capture = DataCaptureConfig(
        enable_capture=True,
        initial_sampling_percentage=100,
        destination_s3_uri=f"s3://{CASE['bucket']}/{NAME}/capture",
        capture_options=[CaptureOption(capture_mode="Input"), CaptureOption(capture_mode="Output")],
    )
    EndpointConfig.create(endpoint_config_name=NAME, production_variants=[variant], data_capture_config=capture)
    made = Endpoint.create(endpoint_name=NAME, endpoint_config_name=NAME)
    made.wait_for_status("InService")
    return made


def answer(accept, endpoint):
    found = endpoint.invoke(body="\n".join(CASE["rows"]), content_type="text/csv", accept=accept)
    return (found.body.read() if hasattr(found.body, "read") else found.body).decode()


def predict():
    same(answer("text/csv", endpoint), "0.0\n1.0\n2.0\n")
    same(answer("text/csv", Endpoint.get(endpoint_name=f"{NAME}-built")), "0.0\n1.0\n2.0\n")
    scores = [{"score": 0.0}, {"score": 1.0}, {"score": 2.0}]
    same(json.loads(answer("application/json", endpoint)), {"predictions": scores})
    same([json.loads(line) for line in answer("application/jsonlines", endpoint).splitlines()], scores)


def register():
    ModelPackageGroup.create(model_package_group_name=NAME)
    containers = [ModelPackageContainerDefinition(image=IMAGE, model_data_url=job().model_artifacts.s3_model_artifacts)]
    package = ModelPackage.create(
        model_package_group_name=NAME,
        inference_specification=InferenceSpecification(
            containers=containers, supported_content_types=["text/csv"], supported_response_mime_types=["text/csv"]
        ),
        model_approval_status="PendingManualApproval",
    )
    same(package.model_package_version, 1)
    return package


def own_script():
    try:
        train(f"{NAME}-script", {"num_round": 1, "sagemaker_program": "train.py"})
    except Exception as error:
        raise Refused(str(error)) from error


def process():
    from sagemaker.core.processing import Processor

    made = Processor(
        role=ROLE, image_uri=IMAGE, instance_count=1, instance_type="ml.m5.xlarge", sagemaker_session=session
    )
    made.run(wait=False, logs=False)


def search():
    name = {"Name": "TrainingJobName", "Operator": "Equals", "Value": job().training_job_name}
    same(len(sm.search(Resource="TrainingJob", SearchExpression={"Filters": [name]})["Results"]), 1)


def delete():
    for name in (NAME, f"{NAME}-built"):
        Endpoint.get(endpoint_name=name).delete()
        EndpointConfig.get(endpoint_config_name=name).delete()
        Model.get(model_name=name).delete()
    package.delete()
    ModelPackageGroup.get(model_package_group_name=NAME).delete()


tell("who am I (STS)", lambda: same(session.account_id(), "123456789012"))
tell("the SDK's default bucket", lambda: same(session.default_bucket(), CASE["bucket"]))
data = tell("upload to S3, list", upload)
parameters = {"objective": "multi:softmax", "num_class": 3, "num_round": 5, "eval_metric": "merror"}
trainer = tell("train the built-in XGBoost", lambda: train(NAME, parameters))
tell("the job's log", log)
tell("Search", search)
endpoint = tell("deploy an endpoint with data capture", deploy)
tell("predict: CSV, JSON, JSON lines", predict)
package = tell("register a model", register)
tell("a script of one's own", own_script)
tell("processing jobs", process)
tell("delete what was made", delete)
os._exit(0)
