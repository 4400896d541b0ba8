"""Airflow's AWS hooks on the local AWS, without what makes a new one cost a second of computing."""

from functools import cache

import pytest
from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
from botocore.loaders import JSONFileLoader


def lead_hooks_to(endpoint_url: str, patch: pytest.MonkeyPatch) -> None:
    """Make every hook talk to a local AWS.

    Each hook has a session of its own, which reads boto3's descriptions of the service anew; here all sessions share
    them, as the clients of one session do. For its user agent it looks for the operator through the whole call stack,
    which is deep in a test.

    :param endpoint_url: where the local AWS is
    :param patch: ends it
    """
    patch.setenv("AWS_ENDPOINT_URL", endpoint_url)
    patch.setattr(JSONFileLoader, "load_file", _load_file)
    patch.setattr(AwsGenericHook, "_get_caller", lambda hook, target_function_name="execute": "Test")


_read = JSONFileLoader.load_file


@cache
def _load(path: str) -> object:
    return _read(JSONFileLoader(), path)


def _load_file(loader: JSONFileLoader, path: str) -> object:
    return _load(path)
