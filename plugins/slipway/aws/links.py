"""Links to the AWS console, or to the one that a connection's extra names as ``console_url``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.amazon.aws.links.base_aws import BASE_AWS_CONSOLE_LINK, BaseAwsLink

from slipway.host.link_buttons import keep_address

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator


def console_of(aws_conn_id: str | None) -> str:
    """Return the ``console_url`` in a connection's extra; empty where there is none, as for AWS.

    :param aws_conn_id: Airflow connection with the AWS credentials
    """
    # Imported here: the API server also loads links, but has no use for AWS's clients.
    from slipway.aws.session import AwsHook

    url = str(AwsHook(aws_conn_id=aws_conn_id).conn_config.extra_config.get("console_url") or "")
    # Airflow's UI shows it as a link.
    return url.rstrip("/") if url.startswith(("http://", "https://")) else ""


class _ConsoleLink(BaseAwsLink):
    """A link to a resource in the console of its connection."""

    @classmethod
    def keep_for(cls, arn: str, operator: BaseOperator, aws_conn_id: str | None, **fields: Any) -> None:
        """Have Airflow store the link of a resource when the task ends or waits.

        :param arn: any ARN of the resource's account and region
        :param operator: the task's operator
        :param aws_conn_id: Airflow connection with the AWS credentials
        :param fields: the other fields of the link's format
        """
        _, partition, _, region, _ = arn.split(":", 4)
        place = {"region_name": region, "aws_domain": cls.get_aws_domain(partition)}
        keep_address(operator, cls, cls().format_link(**place, console_url=console_of(aws_conn_id), **fields))

    def format_link(self, **kwargs: Any) -> str:
        """Return the link, to AWS's console unless another is named."""
        console = kwargs.get("console_url") or BASE_AWS_CONSOLE_LINK.format(**kwargs)
        return super().format_link(**{**kwargs, "console": console})


class TrainingJobLink(_ConsoleLink):
    """A training job; hand ``job_name`` to keep_for()."""

    name = "SageMaker training job"
    key = "sagemaker_training_job"
    format_str = "{console}/sagemaker/home?region={region_name}#/jobs/{job_name}"


class EndpointLink(_ConsoleLink):
    """An endpoint; hand ``endpoint_name`` to keep_for()."""

    name = "SageMaker endpoint"
    key = "sagemaker_endpoint"
    format_str = "{console}/sagemaker/home?region={region_name}#/endpoints/{endpoint_name}"


class ModelPackageLink(_ConsoleLink):
    """A model package's ARN in the Model Registry; hand ``model_package_arn`` to keep_for()."""

    name = "SageMaker model package"
    key = "sagemaker_model_package"
    format_str = "{console}/sagemaker/home?region={region_name}#/model-packages/{model_package_arn}"


class CloudFormationStackLink(_ConsoleLink):
    """The stack with its events, resources and outputs.

    :param stack_id: handed to keep_for(); the StackId
    """

    name = "CloudFormation stack"
    key = "cloudformation_stack"
    format_str = (
        "{console}/cloudformation/home?region={region_name}#/stacks/stackinfo?filteringStatus=active&stackId={stack_id}"
    )

    def format_link(self, **kwargs: Any) -> str:
        """Return the link, with the StackId escaped: it has slashes and colons."""
        return super().format_link(**{**kwargs, "stack_id": quote(str(kwargs.get("stack_id", "")), safe="")})


class DashboardLink(_ConsoleLink):
    """An endpoint's dashboard; hand ``dashboard_name`` to keep_for()."""

    name = "CloudWatch dashboard"
    key = "cloudwatch_dashboard"
    format_str = "{console}/cloudwatch/home?region={region_name}#dashboards/dashboard/{dashboard_name}"


class BuildLink(_ConsoleLink):
    """A build; hand ``project`` and ``build_id`` to keep_for()."""

    name = "CodeBuild build"
    key = "codebuild_build"
    format_str = "{console}/codesuite/codebuild/projects/{project}/build/{build_id}?region={region_name}"

    def format_link(self, **kwargs: Any) -> str:
        """Return the link, with the build's id escaped: it has a colon."""
        return super().format_link(**{**kwargs, "build_id": quote(str(kwargs.get("build_id", "")), safe="")})
