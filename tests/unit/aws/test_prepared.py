"""Clients made before the processes of tasks are forked: whose credentials they have, and when they are used."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.config import Config

from slipway.aws import prepared, session
from slipway.aws.s3 import S3Hook
from slipway.aws.session import AwsHook

REGION = "us-west-2"


@pytest.fixture(autouse=True)
def ready(monkeypatch):
    """What a process has before it forks those of tasks, in an environment that names a region."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setattr(prepared, "_ready", {})
    session.load_service_models.__wrapped__()
    return [client for client, _ in prepared._ready.values()]


def connection(monkeypatch, name="task", key="AKIATASK", **extra):
    value = {"conn_type": "aws", "login": key, "password": "secret", "extra": extra}
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(value))
    return name


def sent(client):
    """The headers of a request that a client would send."""
    found = []

    def answer(request, **_):
        found.append({name: str(value, "latin-1") for name, value in request.headers.items()})
        raise InterruptedError

    client.meta.events.register("before-send", answer)
    with pytest.raises(InterruptedError):
        client.head_object(Bucket="bucket", Key="key")
    client.meta.events.unregister("before-send", answer)
    return found[0]


def test_a_task_takes_a_client_and_signs_with_the_credentials_of_its_connection(monkeypatch, ready):
    client = S3Hook(aws_conn_id=connection(monkeypatch)).conn
    assert client in ready
    headers = sent(client)
    assert "Credential=AKIATASK/" in headers["Authorization"]
    assert f"/{REGION}/s3/aws4_request" in headers["Authorization"]
    assert headers["User-Agent"].count("Caller/Slipway") == 1


def test_credentials_that_are_renewed_count_for_the_next_request(monkeypatch, ready):
    hook = S3Hook(aws_conn_id=connection(monkeypatch))
    assert "AKIATASK" in sent(hook.conn)["Authorization"]
    hook.get_session().get_credentials().access_key = "AKIARENEWED"
    assert "AKIARENEWED" in sent(hook.conn)["Authorization"]


def test_each_client_is_taken_once(monkeypatch, ready):
    one = S3Hook(aws_conn_id=connection(monkeypatch)).conn
    other = S3Hook(aws_conn_id=connection(monkeypatch, "other", "AKIAOTHER")).conn
    assert one in ready and other not in ready
    assert "AKIATASK" in sent(one)["Authorization"]
    assert "AKIAOTHER" in sent(other)["Authorization"]


@pytest.mark.parametrize(
    "extra",
    [
        {"region_name": "eu-west-1"},
        {"endpoint_url": "http://127.0.0.1:1"},
        {"service_config": {"s3": {"endpoint_url": "http://127.0.0.1:1"}}},
        {"config_kwargs": {"read_timeout": 5}},
        {"verify": False},
    ],
    ids=["region", "endpoint", "service", "config", "verify"],
)
def test_a_connection_that_says_how_its_clients_are_made_has_its_own(monkeypatch, ready, extra):
    assert S3Hook(aws_conn_id=connection(monkeypatch, **extra)).conn not in ready


def test_a_hook_that_says_how_its_client_is_made_has_its_own(monkeypatch, ready):
    name = connection(monkeypatch)
    assert S3Hook(aws_conn_id=name, config=Config(read_timeout=5)).conn not in ready
    assert S3Hook(aws_conn_id=name, verify=False).conn not in ready


def test_another_environment_has_its_own(monkeypatch, ready):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "7")
    client = S3Hook(aws_conn_id=connection(monkeypatch)).conn
    assert client not in ready
    assert client.meta.config.retries["total_max_attempts"] == 7


def test_a_client_that_nobody_has_taken_can_send_nothing(ready):
    (client,) = [one for one in ready if one.meta.service_model.service_name == "s3"]
    with pytest.raises(RuntimeError, match="nobody has taken"):
        client.head_object(Bucket="bucket", Key="key")


def test_without_a_region_there_is_nothing_to_prepare(monkeypatch):
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nothing")
    prepared._ready.clear()
    session.load_service_models.__wrapped__()
    assert prepared._ready == {}


def test_somebody_elses_session_makes_its_own_clients(monkeypatch):
    """`[aws] session_factory`: its sessions may have handlers, which their clients copy."""
    prepared._ready.clear()
    monkeypatch.setattr(session, "SessionFactory", type("Other", (session.SessionFactory,), {}))
    session.load_service_models.__wrapped__()
    assert prepared._ready == {}


def test_what_counts_requests_hears_of_those_of_a_prepared_client(monkeypatch, ready):
    counted: list[object] = []
    monkeypatch.setattr(session, "count_requests", counted.append)
    hook = AwsHook(aws_conn_id=connection(monkeypatch), client_type="sns")
    assert hook.conn in ready
    assert hook.conn.meta.events in counted


def test_a_role_is_assumed_by_a_prepared_client_which_is_traced_as_well(monkeypatch, ready):
    asked: list[object] = []
    traced: list[object] = []

    def assume(_, client):
        asked.append(client)
        expires = datetime.now(UTC) + timedelta(hours=1)
        keys = {"AccessKeyId": "ASIAROLE", "SecretAccessKey": "secret", "SessionToken": "token", "Expiration": expires}
        return {"Credentials": keys}

    monkeypatch.setattr(session._Factory, "_assume_role", assume)
    monkeypatch.setattr(session, "_trace", traced.append)
    hook = S3Hook(aws_conn_id=connection(monkeypatch, role_arn="arn:aws:iam::123456789012:role/r"))
    assert "Credential=ASIAROLE/" in sent(hook.conn)["Authorization"]
    (client,) = asked
    assert client in ready
    assert client.meta.events in traced
