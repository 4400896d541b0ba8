"""Links to CloudWatch."""

from slipway.aws.links import DashboardLink


def test_the_dashboard_is_named_in_the_link():
    link = DashboardLink().format_link(
        region_name="us-west-2", aws_domain="aws.amazon.com", dashboard_name="slipway-iris-production-us-west-2"
    )
    assert link == (
        "https://console.aws.amazon.com/cloudwatch/home?region=us-west-2"
        "#dashboards/dashboard/slipway-iris-production-us-west-2"
    )
