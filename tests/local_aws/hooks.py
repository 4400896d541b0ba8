"""Airflow's AWS hooks in tests: they can use a local AWS, and cost less than a second each.

A plugin of pytest (see tests/conftest.py).
"""

import sys
from collections.abc import Iterator
from functools import cache

import pytest
from botocore.loaders import JSONFileLoader


def lead_hooks_to(endpoint_url: str, patch: pytest.MonkeyPatch) -> None:
    """Make every hook use a local AWS.

    :param endpoint_url: where the local AWS is
    :param patch: ends it
    """
    patch.setenv("AWS_ENDPOINT_URL", endpoint_url)


@pytest.fixture(scope="session", autouse=True)
def cheap_hooks() -> Iterator[None]:
    """Share what every new hook would compute again.

    A session of boto3 or of Airflow's own hooks reads boto3's descriptions of the service again; here all sessions
    share them. For its user agent Airflow's hook looks for the operator through the whole call stack, which is deep
    in a test.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", _load_file)
        # Without hooks in the tests, Airflow is not imported.
        if base := sys.modules.get("airflow.providers.amazon.aws.hooks.base_aws"):
            patch.setattr(base.AwsGenericHook, "_get_caller", lambda hook, target_function_name="execute": "Test")
        yield


@pytest.fixture(autouse=True)
def own_clients() -> None:
    """Let no test have the sessions and clients of the test before."""
    if session := sys.modules.get("slipway.aws.session"):
        session.SHARED.clear()


_read = JSONFileLoader.load_file


@cache
def _load(path: str) -> object:
    return _read(JSONFileLoader(), path)


def _load_file(loader: JSONFileLoader, path: str) -> object:
    return _load(path)
