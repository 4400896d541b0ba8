"""Signatures: those of botocore, and no more of them than there are different ones."""

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from slipway.load.signing import RequestSigner, Target

CREDENTIALS = ReadOnlyCredentials("AKIA", "secret", "token")
TARGET = Target("https://runtime.sagemaker.us-west-2.amazonaws.com", "us-west-2", "sagemaker", "e", "blue")


@pytest.fixture
def signed(monkeypatch):
    """The bodies that botocore has signed."""
    bodies = []
    add_auth = SigV4Auth.add_auth

    def counted(self, request):
        bodies.append(request.data)
        add_auth(self, request)

    monkeypatch.setattr(SigV4Auth, "add_auth", counted)
    return bodies


def test_a_request_bears_the_signature_botocore_gives_it(monkeypatch):
    headers = RequestSigner(TARGET, CREDENTIALS).headers(b"1,2")
    again = AWSRequest("POST", TARGET.url, headers=TARGET.headers(), data=b"1,2")
    signer = SigV4Auth(CREDENTIALS, "sagemaker", "us-west-2")
    again.context["timestamp"] = headers["X-Amz-Date"]
    again.headers["X-Amz-Date"] = headers["X-Amz-Date"]
    again.headers["X-Amz-Security-Token"] = "token"
    text = signer.string_to_sign(again, signer.canonical_request(again))
    assert headers["Authorization"].endswith(f"Signature={signer.signature(text, again)}")
    assert "x-amzn-sagemaker-target-variant" in headers["Authorization"]


def test_equal_requests_of_one_second_are_signed_once(signed):
    now = [100.2]
    signer = RequestSigner(TARGET, CREDENTIALS, lambda: now[0])
    for moment in (100.2, 100.9, 101.0):
        now[0] = moment
        for body in (b"1", b"2", b"1"):
            signer.headers(body)
    assert signed == [b"1", b"2", b"1", b"2"]


def test_new_credentials_sign_from_then_on(signed):
    signer = RequestSigner(TARGET, CREDENTIALS, lambda: 100.0)
    before = signer.headers(b"1")
    signer.renew(ReadOnlyCredentials("ASIA", "other", None))
    after = signer.headers(b"1")
    assert "Credential=AKIA/" in before["Authorization"]
    assert "Credential=ASIA/" in after["Authorization"]
    assert "X-Amz-Security-Token" not in after


def test_the_name_is_quoted_in_the_url():
    assert Target("http://x/", "r", "sagemaker", "a/b").url == "http://x/endpoints/a%2Fb/invocations"
