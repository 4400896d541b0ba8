"""Links to the AWS console."""

import pytest

from slipway.aws.links import CloudFormationStackLink, DashboardLink, EndpointLink, ModelPackageLink, TrainingJobLink

CONSOLE = "https://console.aws.amazon.com/sagemaker/home?region=us-west-2#"
STACK_ID = "arn:aws:cloudformation:us-west-2:123456789012:stack/mlops-deploy-iris-model-dev/0a1b"


@pytest.mark.parametrize(
    ("link", "field", "path"),
    [
        (TrainingJobLink, "job_name", "/jobs/x"),
        (EndpointLink, "endpoint_name", "/endpoints/x"),
        (ModelPackageLink, "model_package_arn", "/model-packages/x"),
    ],
)
def test_links_lead_to_the_console(link, field, path):
    assert link().format_link(region_name="us-west-2", aws_domain="aws.amazon.com", **{field: "x"}) == CONSOLE + path


def test_keys_and_names_differ():
    links = (TrainingJobLink, EndpointLink, ModelPackageLink, CloudFormationStackLink, DashboardLink)
    assert len({link.key for link in links}) == len({link.name for link in links}) == len(links)


def test_the_stack_id_is_escaped():
    link = CloudFormationStackLink().format_link(
        region_name="us-west-2", aws_domain="aws.amazon.com", stack_id=STACK_ID
    )
    assert link.startswith("https://console.aws.amazon.com/cloudformation/home?region=us-west-2#/stacks/stackinfo?")
    assert link.endswith("stack%2Fmlops-deploy-iris-model-dev%2F0a1b")


def test_the_dashboard_is_named_in_the_link():
    link = DashboardLink().format_link(
        region_name="us-west-2", aws_domain="aws.amazon.com", dashboard_name="slipway-iris-production-us-west-2"
    )
    assert link == (
        "https://console.aws.amazon.com/cloudwatch/home?region=us-west-2"
        "#dashboards/dashboard/slipway-iris-production-us-west-2"
    )
