"""What the tests of ECR share."""

import pytest


@pytest.fixture(scope="module")
def ecr(local_aws):
    return local_aws.client("ecr")
