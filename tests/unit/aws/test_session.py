"""What all hooks share."""

import asyncio
import logging
import multiprocessing

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import CredentialResolver
from botocore.exceptions import ParamValidationError
from botocore.loaders import JSONFileLoader
from botocore.useragent import UserAgentString

from slipway.aws import session
from slipway.aws.identity import IdentityHook
from slipway.aws.s3 import S3Hook
from slipway.aws.session import AwsHook


@pytest.fixture(autouse=True)
def parsed():
    session.load_service_models()


def test_all_sessions_share_the_descriptions_of_services():
    one, other = AwsHook(aws_conn_id=None), S3Hook(aws_conn_id=None)
    sessions = [one.get_session("us-west-2"), other.get_session("eu-west-1")]
    assert [made.region_name for made in sessions] == ["us-west-2", "eu-west-1"]
    loaders = {id(made._session.get_component("data_loader")) for made in sessions}
    loaders.add(id(one.get_session("us-west-2", deferrable=True).get_component("data_loader")))
    assert len(loaders) == 1


def test_what_is_registered_with_a_session_stays_with_it():
    hook = AwsHook(aws_conn_id=None)
    one, other = hook.get_session("us-west-2"), hook.get_session("eu-west-1")
    one.events.register("slipway", lambda **_: "heard")
    assert [answer for _, answer in one.events.emit("slipway")] == ["heard"]
    assert other.events.emit("slipway") == []


def session_of(aws_conn_id="aws_default", region_name="us-west-2"):
    return S3Hook(aws_conn_id=aws_conn_id, region_name=region_name).get_session()


def test_the_hooks_of_a_connection_share_its_session_and_one_client_for_each_service():
    assert S3Hook().conn is S3Hook().conn
    assert S3Hook().conn is not IdentityHook().conn
    assert S3Hook().get_session() is IdentityHook().get_session()


def test_hooks_of_others_share_nothing(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", "aws://")
    made = [session_of(), session_of("other"), session_of(None), session_of(region_name="eu-west-1")]
    for name, value in (("AIRFLOW_CONN_OTHER", "aws://key:secret@"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:10")):
        monkeypatch.setenv(name, value)
        made.append(session_of("other"))
    assert len(set(map(id, made))) == len(made)


def test_a_client_with_a_configuration_belongs_to_its_hook():
    impatient = Config(retries={"total_max_attempts": 1})
    assert S3Hook(config=impatient).conn is not S3Hook(config=impatient).conn
    assert S3Hook(config=impatient).get_session() is S3Hook().get_session()
    assert S3Hook(config=impatient).conn.meta.config.retries["total_max_attempts"] == 1


def test_a_connection_is_read_again_after_a_minute(monkeypatch):
    """The triggerer lives long, and somebody corrects a connection."""
    before = session_of()
    monkeypatch.setattr(session, "SHARED_SECONDS", 0.0)
    assert session_of() is not before


def test_a_forked_process_has_no_socket_of_its_parents():
    assert S3Hook().conn
    with multiprocessing.get_context("fork").Pool(1) as child:
        assert child.apply(_shared) == 0
    assert _shared() == 1


def test_a_session_has_what_botocore_registers(monkeypatch):
    """S3 checks a bucket's name before it is called, by one of botocore's own handlers."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    with pytest.raises(ParamValidationError, match="Invalid bucket name"):
        AwsHook(client_type="s3", region_name="us-west-2").conn.head_object(Bucket="a bucket", Key="key")


def test_who_calls_is_told_to_aws_without_looking_through_the_stack():
    class Operator:
        def execute(self):
            return AwsHook(aws_conn_id=None, client_type="sts", region_name="us-west-2").conn

    assert "Caller/Slipway" in Operator().execute().meta.config.user_agent_extra


def test_the_user_agent_is_put_together_once_and_says_who_calls(monkeypatch):
    made, sent = [], []
    monkeypatch.setattr(UserAgentString, "_build_sdk_metadata", lambda self: made.append(self) or [])
    client = AwsHook(
        aws_conn_id=None, client_type="s3", region_name="us-west-2", config=Config(signature_version=UNSIGNED)
    ).conn

    def answer(request, **_):
        sent.append(request.headers["User-Agent"])
        raise InterruptedError

    client.meta.events.register("before-send", answer)
    with pytest.raises(InterruptedError):
        client.head_object(Bucket="bucket", Key="key")
    assert made == []
    assert sent[0].startswith(b"Botocore/")
    assert b"Caller/Slipway" in sent[0]


@pytest.mark.parametrize("service", session._SERVICES)
def test_what_is_parsed_beforehand_is_read_by_no_client(monkeypatch, service):
    read = []
    monkeypatch.setattr(JSONFileLoader, "load_file", lambda self, path: read.append(path))
    assert AwsHook(aws_conn_id=None, client_type=service, region_name="us-west-2").conn
    assert read == []


def test_no_credentials_are_looked_for_while_nothing_is_called(monkeypatch):
    asked = []
    monkeypatch.setattr(CredentialResolver, "load_credentials", lambda self: asked.append(self))
    session.load_service_models.__wrapped__()
    assert asked == []


@pytest.mark.parametrize("deferrable", [False, True])
def test_where_credentials_and_endpoints_come_from_is_not_in_a_tasks_log(caplog, monkeypatch, deferrable):
    """A task makes several clients, and botocore logs two or three lines at INFO for each."""
    caplog.set_level(logging.INFO)
    for name, value in (("ACCESS_KEY_ID", "a"), ("SECRET_ACCESS_KEY", "b"), ("ENDPOINT_URL", "http://127.0.0.1:1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    hook = S3Hook(aws_conn_id=None, region_name="us-west-2")
    if deferrable:
        asyncio.run(_connect(hook))
    else:
        assert hook.conn
    assert [record.name for record in caplog.records if "botocore" in record.name] == []


def _shared():
    return len(session.SHARED)


async def _connect(hook):
    async with await hook.get_async_conn() as client:
        assert client


def test_a_level_that_somebody_has_set_stays():
    chatty = logging.getLogger("botocore")
    before = chatty.level
    try:
        chatty.setLevel(logging.DEBUG)
        session._quieten()
        assert chatty.level == logging.DEBUG
    finally:
        chatty.setLevel(before)
