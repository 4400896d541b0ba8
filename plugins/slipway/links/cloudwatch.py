"""Links to CloudWatch in the AWS console."""

from __future__ import annotations

from airflow.providers.amazon.aws.links.base_aws import BASE_AWS_CONSOLE_LINK, BaseAwsLink


class DashboardLink(BaseAwsLink):
    """An endpoint's dashboard; hand ``dashboard_name`` to persist()."""

    name = "CloudWatch dashboard"
    key = "cloudwatch_dashboard"
    format_str = BASE_AWS_CONSOLE_LINK + "/cloudwatch/home?region={region_name}#dashboards/dashboard/{dashboard_name}"
