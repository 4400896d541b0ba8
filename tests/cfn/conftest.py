"""The local AWS, as hooks find it: through the environment."""

import pytest

from tests.local_aws.conftest import ROOT, LocalAws, local_aws  # noqa: F401


@pytest.fixture
def aws(local_aws, monkeypatch) -> LocalAws:  # noqa: F811
    """The running local AWS, to which every hook of this test goes."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", local_aws.endpoint_url)
    return local_aws


@pytest.fixture(scope="session")
def _set_up(local_aws) -> None:  # noqa: F811
    """The account as bootstrap.yaml sets it up."""
    local_aws.client("cloudformation").create_stack(
        StackName="slipway-bootstrap",
        TemplateBody=(ROOT / "include/cfn/bootstrap.yaml").read_text(),
        Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    stack = local_aws.stack("slipway-bootstrap")
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack


@pytest.fixture
def account(aws, _set_up) -> LocalAws:
    """The local AWS with bucket, topic, groups and roles."""
    return aws
