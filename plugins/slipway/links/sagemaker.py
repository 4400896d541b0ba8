"""Links to SageMaker in the AWS console."""

from __future__ import annotations

from airflow.providers.amazon.aws.links.base_aws import BASE_AWS_CONSOLE_LINK, BaseAwsLink


class TrainingJobLink(BaseAwsLink):
    """A training job; hand ``job_name`` to persist()."""

    name = "SageMaker training job"
    key = "sagemaker_training_job"
    format_str = BASE_AWS_CONSOLE_LINK + "/sagemaker/home?region={region_name}#/jobs/{job_name}"


class EndpointLink(BaseAwsLink):
    """An endpoint; hand ``endpoint_name`` to persist()."""

    name = "SageMaker endpoint"
    key = "sagemaker_endpoint"
    format_str = BASE_AWS_CONSOLE_LINK + "/sagemaker/home?region={region_name}#/endpoints/{endpoint_name}"


class ModelPackageLink(BaseAwsLink):
    """A model package's ARN in the Model Registry; hand ``model_package_arn`` to persist()."""

    name = "SageMaker model package"
    key = "sagemaker_model_package"
    format_str = BASE_AWS_CONSOLE_LINK + "/sagemaker/home?region={region_name}#/model-packages/{model_package_arn}"
