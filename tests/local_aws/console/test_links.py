"""Where Airflow's links lead when the connection names the local AWS's console."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from slipway.aws.links import CloudFormationStackLink, DashboardLink, EndpointLink, ModelPackageLink, TrainingJobLink
from tests.local_aws.console.support import DASHBOARD, ENDPOINT, GROUP, JOB, STACK, ask

pytestmark = pytest.mark.local_aws


def opened(aws, address):
    """Return the heading of the page that a browser shows for an address, after what it sends instead of the ``#``."""
    parts = urlsplit(address)
    path = parts.path.removeprefix("/_local_aws/")
    asked = dict(parse_qsl(parts.query))
    assert "location.replace" in ask(aws, path, **asked)[2]
    page = ask(aws, path, **asked, at=parts.fragment)[1]["location"]
    status, _, text = ask(aws, page.removeprefix("/_local_aws/"))
    assert status == 200
    return text.partition("<h1>")[2].partition("</h1>")[0]


def test_each_link_opens_its_page(seen):
    stack_id = seen.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]["StackId"]
    packages = seen.client("sagemaker").list_model_packages(ModelPackageGroupName=GROUP, SortOrder="Ascending")
    arn = packages["ModelPackageSummaryList"][0]["ModelPackageArn"]
    where = {"region_name": "us-west-2", "aws_domain": "aws.amazon.com"}
    console = f"{seen.endpoint_url}/_local_aws"
    for link, fields, heading in (
        (TrainingJobLink, {"job_name": JOB}, JOB),
        (EndpointLink, {"endpoint_name": ENDPOINT}, ENDPOINT),
        (ModelPackageLink, {"model_package_arn": arn}, f"{GROUP} version 1"),
        (CloudFormationStackLink, {"stack_id": stack_id}, STACK),
        (DashboardLink, {"dashboard_name": DASHBOARD}, DASHBOARD),
    ):
        assert opened(seen, link().format_link(console_url=console, **where, **fields)) == heading
