"""What the tests of SageMaker's operations share."""

import pytest


@pytest.fixture(scope="module")
def sagemaker(local_aws):
    return local_aws.client("sagemaker")
