"""A shell for each suite, on the session's local AWS."""

import pytest

from tests.clients.support import Shell


@pytest.fixture
def shell(local_aws, tmp_path):
    """A person's shell after `source .slipway/admin-env`."""
    return Shell(local_aws, tmp_path)
