"""Links to the AWS console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.amazon.aws.links.base_aws import BASE_AWS_CONSOLE_LINK, BaseAwsLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context


class _ArnLink(BaseAwsLink):
    """A link whose partition and region come from an ARN."""

    @classmethod
    def persist_for(cls, arn: str, context: Context, operator: BaseOperator, **fields: Any) -> None:
        """Store the link of a resource.

        :param arn: any ARN of the resource's account and region
        :param context: the task's Airflow context
        :param operator: the task's operator
        :param fields: the other fields of the link's format
        """
        _, partition, _, region, _ = arn.split(":", 4)
        cls.persist(context=context, operator=operator, region_name=region, aws_partition=partition, **fields)


class TrainingJobLink(_ArnLink):
    """A training job; hand ``job_name`` to persist()."""

    name = "SageMaker training job"
    key = "sagemaker_training_job"
    format_str = BASE_AWS_CONSOLE_LINK + "/sagemaker/home?region={region_name}#/jobs/{job_name}"


class EndpointLink(_ArnLink):
    """An endpoint; hand ``endpoint_name`` to persist()."""

    name = "SageMaker endpoint"
    key = "sagemaker_endpoint"
    format_str = BASE_AWS_CONSOLE_LINK + "/sagemaker/home?region={region_name}#/endpoints/{endpoint_name}"


class ModelPackageLink(_ArnLink):
    """A model package's ARN in the Model Registry; hand ``model_package_arn`` to persist()."""

    name = "SageMaker model package"
    key = "sagemaker_model_package"
    format_str = BASE_AWS_CONSOLE_LINK + "/sagemaker/home?region={region_name}#/model-packages/{model_package_arn}"


class CloudFormationStackLink(BaseAwsLink):
    """The stack with its events, resources and outputs.

    :param stack_id: handed to persist(); the StackId
    """

    name = "CloudFormation stack"
    key = "cloudformation_stack"
    format_str = (
        BASE_AWS_CONSOLE_LINK
        + "/cloudformation/home?region={region_name}#/stacks/stackinfo?filteringStatus=active&stackId={stack_id}"
    )

    def format_link(self, **kwargs: Any) -> str:
        """Return the link, with the StackId escaped: it has slashes and colons."""
        return super().format_link(**{**kwargs, "stack_id": quote(str(kwargs.get("stack_id", "")), safe="")})


class DashboardLink(BaseAwsLink):
    """An endpoint's dashboard; hand ``dashboard_name`` to persist()."""

    name = "CloudWatch dashboard"
    key = "cloudwatch_dashboard"
    format_str = BASE_AWS_CONSOLE_LINK + "/cloudwatch/home?region={region_name}#dashboards/dashboard/{dashboard_name}"
