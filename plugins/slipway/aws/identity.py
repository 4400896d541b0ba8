"""The account and the region of a connection, which replace the placeholders in model files."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.placeholders import PLACEHOLDERS, AwsIdentity
from slipway.aws.session import AwsHook, assumed_role
from slipway.errors import PermanentError

# Whose credentials the sessions of this process have, which stays the same for each of them.
_known: WeakKeyDictionary[Any, AwsIdentity] = WeakKeyDictionary()


class IdentityHook(AwsHook):
    """STS: the caller's identity."""

    service = "sts"

    @patient
    def identity(self) -> AwsIdentity:
        """Find out the caller's account: from the role that was assumed, or by a call, once for each session.

        https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html

        :raises PermanentError: when no region is configured
        :raises slipway.errors.AwsError: when the call fails
        """
        session = self.get_session()
        if session in _known:
            return _known[session]
        region = session.region_name
        if not region:
            raise PermanentError(
                "No AWS region is configured",
                resource=self.aws_conn_id or "no connection",
                why="neither the connection nor the environment names one",
                fix="export AWS_DEFAULT_REGION, or set region_name in the connection's extra",
            )
        arn = assumed_role(session) or self._caller()
        _, partition, _, _, account, _ = arn.split(":", 5)
        found = AwsIdentity(account=account, region=region, partition=partition, arn=arn)
        _known[session] = found
        return found

    def _caller(self) -> str:
        client: Any = self.conn
        with aws_call("find out the AWS account", self.aws_conn_id or "no connection"):
            arn: str = client.get_caller_identity()["Arn"]
        return arn


def same_principal(one: str, other: str) -> bool:
    """Tell whether two ARNs are of one user or role; a session of a role counts as the role.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns

    :param one: an ARN of IAM or STS
    :param other: the same
    """
    return _principal(one) == _principal(other)


def _principal(arn: str) -> tuple[str, ...]:
    account, _, resource = arn.split(":", 4)[-1].partition(":") if arn.count(":") >= 5 else ("", "", arn)
    kind, *path = resource.split("/")
    # A session's ARN has the role's name without its path; the role's own ARN has the path.
    if kind == "assumed-role":
        return account, "role", path[0] if path else ""
    return (account, "role", path[-1]) if kind == "role" and path else (account, resource)


def identity(aws_conn_id: str | None) -> AwsIdentity:
    """Ask AWS for account and region; not to be called while a DAG file is parsed.

    :param aws_conn_id: Airflow connection with the AWS credentials
    """
    return IdentityHook(aws_conn_id=aws_conn_id).identity()


def resolve(text: str, aws_conn_id: str | None) -> str:
    """Replace the placeholders in a text by account and region; AWS is called only if there are any.

    :param text: a value of a model file
    :param aws_conn_id: Airflow connection with the AWS credentials
    """
    if not any(placeholder in text for placeholder in PLACEHOLDERS):
        return text
    return identity(aws_conn_id).resolve(text)
