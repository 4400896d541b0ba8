"""What the tests of CodeBuild share."""

import pytest

from tests.local_aws.codebuild_cases import set_up


@pytest.fixture(scope="session")
def building_aws(local_aws):
    """The local AWS with a role and a bucket for builds."""
    set_up(local_aws)
    return local_aws


@pytest.fixture(scope="module")
def codebuild(building_aws):
    return building_aws.client("codebuild")
