"""Stores on the base image."""

import pytest

from tests.local_aws.compute.docker.images import Builder


@pytest.fixture
def builder(tmp_path, base_folder):
    """Builds images of a store of the test's own."""
    return Builder(tmp_path / "store", base_folder)


@pytest.fixture
def context(tmp_path):
    """An empty context."""
    folder = tmp_path / "context"
    folder.mkdir()
    return folder
