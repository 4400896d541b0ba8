"""Access to AWS by botocore's settings."""

import botocore.session
import pytest
from aiohttp import web

from slipway.load.access import SessionAccess
from slipway.load.errors import LoadError
from tests.aws_keys import CREDENTIALS
from tests.unit.load.endpoints import HttpEndpoint, serving


class Refusing(HttpEndpoint):
    """An STS that denies every AssumeRole."""

    async def describe(self, request):
        error = "<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized</Message></Error>"
        namespace = "https://sts.amazonaws.com/doc/2011-06-15/"
        text = f'<ErrorResponse xmlns="{namespace}">{error}<RequestId>r</RequestId></ErrorResponse>'
        return web.Response(status=403, text=text, content_type="text/xml")


def test_the_settings_say_where_to_and_with_what_credentials(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1234")
    access = SessionAccess()
    target = access.target("e", "blue")
    assert (target.base_url, target.region, target.signing_name) == ("http://127.0.0.1:1234", "us-west-2", "sagemaker")
    assert access.credentials().access_key == CREDENTIALS.airflow.access_key_id


def test_instances_are_those_that_are_described(monkeypatch):
    with serving(HttpEndpoint()) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        assert SessionAccess().instances("e") == {"blue": 3}


def test_a_role_that_is_refused_is_named(monkeypatch, tmp_path):
    role = "role_arn = arn:aws:iam::123456789012:role/load\ncredential_source = Environment"
    (tmp_path / "config").write_text(f"[profile load]\n{role}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with serving(Refusing()) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        access = SessionAccess(botocore.session.Session(profile="load"))
        assert access.target("e", None).base_url == endpoint.url
        with pytest.raises(
            LoadError, match=r"Cannot get the AWS credentials: .*AccessDenied.*AssumeRole.*not authorized"
        ):
            access.credentials()


@pytest.mark.parametrize(
    ("missing", "act", "words"),
    [
        ("AWS_DEFAULT_REGION", lambda access: access.target("e", None), "Cannot find where e is invoked"),
        ("AWS_ACCESS_KEY_ID", lambda access: access.credentials(), "AWS credentials"),
    ],
)
def test_what_is_missing_is_named(monkeypatch, missing, act, words):
    monkeypatch.delenv(missing)
    with pytest.raises(LoadError, match=words):
        act(SessionAccess())
