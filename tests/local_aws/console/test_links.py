"""Where Airflow's links lead when the connection names the local AWS's console."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from slipway.aws.links import CloudFormationStackLink, DashboardLink, EndpointLink, ModelPackageLink, TrainingJobLink
from slipway.board.links import links as board_links
from tests.local_aws.console.support import ALARM, DASHBOARD, ENDPOINT, GROUP, JOB, STACK, ask

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
        url = link().format_link(console_url=console, **where, **fields)
        assert opened(seen, url) == heading
        # The board reads the same fields from the XCom that the button in Airflow reads.
        (shown,) = board_links({("a_task", link.key): {"console_url": console, **where, **fields}})
        assert (shown.name, shown.url) == (link.name, url)


@pytest.mark.parametrize(
    ("address", "fragment", "page"),
    [
        ("sagemaker", f"/jobs/{JOB}", "job?name=" + JOB),
        ("sagemaker", f"/endpoints/{ENDPOINT}", "endpoint?name=" + ENDPOINT),
        ("cloudwatch", f"dashboards/dashboard/{DASHBOARD}", "dashboard?name=" + DASHBOARD),
        ("cloudwatch", f"alarmsV2:alarm/{ALARM}", "alarm?name=" + ALARM),
        ("cloudformation", "/stacks/stackinfo?filteringStatus=active&stackId=a%2Fb%3A1", "stack?name=a%2Fb%3A1"),
        ("sagemaker", "/model-packages/arn:aws:x/g/1", "package?arn=arn%3Aaws%3Ax%2Fg%2F1"),
    ],
)
def test_an_address_of_awss_console_leads_to_the_page(seen, address, fragment, page):
    status, headers, _ = ask(seen, f"{address}/home", region="us-west-2", at=fragment)
    assert (status, headers["location"]) == (303, f"/_local_aws/{page}")
    elsewhere = ask(seen, f"{address}/home", region="eu-west-1", at=fragment)[1]["location"]
    assert elsewhere == f"/_local_aws/{page}&region=eu-west-1"


def test_an_address_without_a_page_says_so(seen):
    assert ask(seen, "sagemaker/home", at="/notebooks")[0] == 404
    assert ask(seen, "sagemaker/home", at="")[1]["location"] == "/_local_aws/"
    assert ask(seen, "ec2/home", at="x")[0] == 404
