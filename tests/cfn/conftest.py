"""The local AWS, as hooks find it."""

import pytest

from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.server import LocalAws


@pytest.fixture
def aws(local_aws, monkeypatch) -> LocalAws:
    """The running local AWS, to which every hook of this test goes."""
    lead_hooks_to(local_aws.endpoint_url, monkeypatch)
    return local_aws
