"""The base image, once, and stores on it."""

import pytest

from local_aws.compute.docker.base import Base
from tests.local_aws.compute.docker.images import Builder


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory):
    """A directory with the base image."""
    folder = tmp_path_factory.mktemp("images") / "base"
    Base(folder).require()
    return folder


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
