"""Account and region come from the connection, and only when something asks for them."""

import pytest
from botocore.exceptions import NoCredentialsError

from slipway.aws.identity import IdentityHook, identity, resolve, same_principal
from slipway.aws.placeholders import AwsIdentity
from slipway.errors import AwsError, PermanentError

ARN = "arn:aws-cn:iam::123456789012:user/airflow"
AWS = AwsIdentity(account="123456789012", region="us-west-2", partition="aws-cn", arn=ARN)


class _Sts:
    def __init__(self, error=None):
        self.error = error

    def get_caller_identity(self):
        if self.error:
            raise self.error
        return {"Account": "123456789012", "Arn": ARN}


def _hook_with(monkeypatch, client):
    monkeypatch.setattr(IdentityHook, "conn", client)


def test_placeholders_become_account_and_region():
    assert AWS.resolve("mlops-{region}-{account}") == "mlops-us-west-2-123456789012"
    assert AWS.resolve("plain") == "plain"


def test_account_and_region_are_asked_for(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    _hook_with(monkeypatch, _Sts())
    assert identity(None) == AWS
    assert resolve("{account}", None) == "123456789012"


def test_a_session_asks_once(monkeypatch):
    _hook_with(monkeypatch, _Sts())
    assert identity(None) == AWS
    _hook_with(monkeypatch, _Sts(NoCredentialsError()))
    assert identity(None) == AWS


def test_without_placeholders_nothing_is_asked(monkeypatch):
    monkeypatch.setattr("slipway.aws.identity.identity", lambda aws_conn_id: pytest.fail("asked AWS"))
    assert resolve("mlops-bucket", "aws_default") == "mlops-bucket"


def test_no_region_is_an_error_with_advice(monkeypatch, tmp_path):
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(PermanentError, match="AWS_DEFAULT_REGION"):
        identity(None)


def test_errors_are_translated(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    _hook_with(monkeypatch, _Sts(NoCredentialsError()))
    with pytest.raises(AwsError, match="Cannot find out the AWS account"):
        identity(None)


SESSION = "arn:aws:sts::123456789012:assumed-role/slipway-airflow/worker-1"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (SESSION, True),
        ("arn:aws:sts::123456789012:assumed-role/slipway-airflow/worker-2", True),
        ("arn:aws:iam::123456789012:role/a/path/slipway-airflow", True),
        ("arn:aws:iam::123456789012:role/slipway-approver", False),
        ("arn:aws:sts::123456789012:assumed-role/slipway-approver/slipway-airflow", False),
        ("arn:aws:sts::210987654321:assumed-role/slipway-airflow/worker-1", False),
        ("arn:aws:iam::123456789012:user/slipway-airflow", False),
        ("alice", False),
        ("", False),
    ],
)
def test_sessions_of_a_role_are_one_principal(other, same):
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html"""
    assert same_principal(SESSION, other) is same
    assert same_principal(other, other)
