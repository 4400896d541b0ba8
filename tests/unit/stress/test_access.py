"""The load engine's access to AWS by a connection."""

import json

import pytest

from slipway.errors import AwsError
from slipway.load.errors import LoadError
from slipway.load.signing import Target
from slipway.stress.access import EndpointLoadHook, HookAccess


def connection(monkeypatch, **extra):
    value = {"conn_type": "aws", "login": "AKIAFIRST", "password": "secret", "extra": {"region_name": "eu-west-1"}}
    monkeypatch.setenv("AIRFLOW_CONN_LOAD", json.dumps(value | {"extra": value["extra"] | extra}))
    return "load"


def test_region_credentials_and_address_are_the_connections(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    hook = EndpointLoadHook(aws_conn_id=connection(monkeypatch))
    target = hook.target("iris", "model-b")
    assert target == Target(
        "https://runtime.sagemaker.eu-west-1.amazonaws.com", "eu-west-1", "sagemaker", "iris", "model-b"
    )
    found = hook.credentials()
    assert (found.access_key, found.secret_key) == ("AKIAFIRST", "secret")


def test_a_connections_own_address_counts(monkeypatch):
    conn_id = connection(monkeypatch, endpoint_url="http://127.0.0.1:1234")
    assert HookAccess(conn_id).target("iris", None).url == "http://127.0.0.1:1234/endpoints/iris/invocations"


def test_no_credentials_are_an_error(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(AwsError, match="Cannot get the credentials"):
        EndpointLoadHook(aws_conn_id=None).credentials()
    with pytest.raises(LoadError, match="Cannot get the credentials"):
        HookAccess(None).credentials()


def test_a_load_never_waits_for_aws(monkeypatch, caplog):
    """Nothing listens at the environment's address, and a hook would retry until its patience ends."""
    monkeypatch.setenv("AIRFLOW__SLIPWAY__AWS_PATIENCE_SECONDS", "2")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(LoadError, match="describe endpoint"):
        HookAccess("aws_default").instances("iris")
    assert "Waiting for AWS" not in caplog.text
