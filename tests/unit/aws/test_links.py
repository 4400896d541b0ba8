"""Links to the AWS console, and to another that the connection names."""

import json

import pytest
from airflow.sdk import BaseOperator

from slipway.aws.links import (
    CloudFormationStackLink,
    DashboardLink,
    EndpointLink,
    ModelPackageLink,
    TrainingJobLink,
    console_of,
)

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


def address_kept(link, arn, **fields):
    """What Airflow stores when the task has kept a link for the connection ``elsewhere``."""
    operator = BaseOperator(task_id="train").prepare_for_execution()
    link.keep_for(arn, operator, "elsewhere", **fields)
    (kept,) = operator.operator_extra_links
    assert (kept.name, kept.xcom_key) == (link.name, link().xcom_key)
    return kept.get_link(operator, ti_key=None)


@pytest.fixture
def connection(monkeypatch):
    """Sets the extra of the connection ``elsewhere``."""

    def set_(**extra):
        value = {"conn_type": "aws", "extra": {"region_name": "us-west-2", **extra}}
        monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", json.dumps(value))

    return set_


@pytest.mark.parametrize("url", ["http://127.0.0.1:4566/_local_aws", "http://127.0.0.1:4566/_local_aws/"])
def test_links_lead_to_the_console_that_the_connection_names(connection, url):
    connection(console_url=url)
    for link, fields, path in (
        (TrainingJobLink, {"job_name": "x"}, "/sagemaker/home?region=us-west-2#/jobs/x"),
        (DashboardLink, {"dashboard_name": "x"}, "/cloudwatch/home?region=us-west-2#dashboards/dashboard/x"),
        (
            CloudFormationStackLink,
            {"stack_id": "a/b"},
            "/cloudformation/home?region=us-west-2#/stacks/stackinfo?filteringStatus=active&stackId=a%2Fb",
        ),
    ):
        assert address_kept(link, STACK_ID, **fields) == f"http://127.0.0.1:4566/_local_aws{path}"


def test_a_connection_that_names_none_leads_to_aws(connection):
    connection()
    link = address_kept(EndpointLink, STACK_ID.replace("arn:aws:", "arn:aws-cn:"), endpoint_name="x")
    assert link == "https://console.amazonaws.cn/sagemaker/home?region=us-west-2#/endpoints/x"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "/relative", "", 1, None, "data:text/html,x"])
def test_what_is_no_web_address_is_not_linked(connection, url):
    connection(console_url=url)
    assert console_of("elsewhere") == ""
