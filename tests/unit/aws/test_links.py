"""Links to SageMaker."""

import pytest

from slipway.aws.links import EndpointLink, ModelPackageLink, TrainingJobLink

CONSOLE = "https://console.aws.amazon.com/sagemaker/home?region=us-west-2#"


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
    links = (TrainingJobLink, EndpointLink, ModelPackageLink)
    assert len({link.key for link in links}) == len({link.name for link in links}) == len(links)
