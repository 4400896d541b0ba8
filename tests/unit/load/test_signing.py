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
    """The requests that botocore has signed."""
    requests = []
    add_auth = SigV4Auth.add_auth

    def counted(self, request):
        requests.append(request)
        add_auth(self, request)

    monkeypatch.setattr(SigV4Auth, "add_auth", counted)
    return requests


@pytest.mark.parametrize(
    "target",
    [
        TARGET,
        Target("http://127.0.0.1:4570", "us-west-2", "sagemaker", "e"),
        Target(
            "https://runtime.sagemaker.cn-north-1.amazonaws.com.cn/", "cn-north-1", "sagemaker", "my-endpoint 1", "b"
        ),
    ],
    ids=["variant", "local", "quoted"],
)
@pytest.mark.parametrize("token", ["token", None])
@pytest.mark.parametrize("body", [b"1,2", b"", "\u00fc,1\n".encode(), b"1," * 5000])
def test_a_request_bears_the_signature_botocore_gives_it(target, token, body):
    credentials = ReadOnlyCredentials("AKIA", "secret/+", token)
    headers = RequestSigner(target, credentials).headers(body)
    again = AWSRequest("POST", target.url, headers=target.headers(), data=body)
    signer = SigV4Auth(credentials, target.signing_name, target.region)
    again.context["timestamp"] = headers["X-Amz-Date"]
    again.headers["X-Amz-Date"] = headers["X-Amz-Date"]
    if token:
        again.headers["X-Amz-Security-Token"] = token
    text = signer.string_to_sign(again, signer.canonical_request(again))
    assert headers["Authorization"].endswith(f"Signature={signer.signature(text, again)}")
    assert headers.get("X-Amz-Security-Token") == token
    assert ("x-amzn-sagemaker-target-variant" in headers["Authorization"]) is bool(target.variant)


def test_botocore_signs_one_request_a_second(signed):
    now = [100.2]
    signer = RequestSigner(TARGET, CREDENTIALS, lambda: now[0])
    generations = []
    for moment in (100.2, 100.9, 101.0):
        now[0] = moment
        for body in (b"1", b"2", b"1"):
            signer.headers(body)
        generations.append(signer.generation())
    assert len(signed) == 2
    assert generations[0] == generations[1] != generations[2]


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
