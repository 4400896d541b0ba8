"""The way to AWS by botocore's settings."""

import pytest

from slipway.load.access import SessionAccess
from slipway.load.errors import LoadError
from tests.unit.load.endpoints import HttpEndpoint, serving


def test_the_settings_say_where_to_and_with_what_credentials(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1234")
    access = SessionAccess()
    target = access.target("e", "blue")
    assert (target.base_url, target.region, target.signing_name) == ("http://127.0.0.1:1234", "us-west-2", "sagemaker")
    assert access.credentials().access_key == "123456789012"


def test_instances_are_those_that_are_described(monkeypatch):
    with serving(HttpEndpoint()) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        assert SessionAccess().instances("e") == {"blue": 3}


@pytest.mark.parametrize(
    ("missing", "act", "words"),
    [
        ("AWS_DEFAULT_REGION", lambda access: access.target("e", None), "Cannot tell where e is invoked"),
        ("AWS_ACCESS_KEY_ID", lambda access: access.credentials(), "AWS credentials"),
    ],
)
def test_what_is_missing_is_named(monkeypatch, missing, act, words):
    monkeypatch.delenv(missing)
    with pytest.raises(LoadError, match=words):
        act(SessionAccess())
