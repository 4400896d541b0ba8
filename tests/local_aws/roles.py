"""People and their roles in a local AWS that enforces IAM: sessions, trust, and the set-up stacks."""

import json
from collections.abc import Callable
from dataclasses import astuple
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.host.credentials import AccessKey
from tests.local_aws.sagemaker_cases import unique
from tests.local_aws.server import ACCOUNT, LocalAws

Clients = Callable[[str], Any]


def role_arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def keys_of(key: AccessKey) -> dict[str, str]:
    return dict(zip(("aws_access_key_id", "aws_secret_access_key"), astuple(key), strict=True))


def session_of(aws: LocalAws, sts: Any, role: str, name: str) -> Clients:
    """Assume a role; return what makes its session's clients."""
    found = sts.assume_role(RoleArn=role_arn(role), RoleSessionName=name)["Credentials"]
    return lambda service: aws.client(
        service,
        aws_access_key_id=found["AccessKeyId"],
        aws_secret_access_key=found["SecretAccessKey"],
        aws_session_token=found["SessionToken"],
    )


def user_of(aws: LocalAws, name: str, *policies: str) -> Clients:
    """Make a user with managed policies; return what makes its clients."""
    iam = aws.client("iam")
    iam.create_user(UserName=name)
    for arn in policies:
        iam.attach_user_policy(UserName=name, PolicyArn=arn)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    keys = AccessKey(key["AccessKeyId"], key["SecretAccessKey"])
    return lambda service: aws.client(service, **keys_of(keys))


def user_with(aws: LocalAws, service: str, *statements: dict[str, Any]) -> Any:
    """Make a user who is allowed what the statements say; return a client of the service."""
    name = unique("user")
    clients = user_of(aws, name)
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]}
    aws.client("iam").put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(document))
    return clients(service)


def trust(*principals: str) -> str:
    """A trust policy for users and roles."""
    statement = {"Effect": "Allow", "Principal": {"AWS": list(principals)}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def allowing(*actions: str) -> str:
    """A policy that allows actions on everything."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def deploy(aws: LocalAws, stack: str, body: str, clients: Clients | None = None, **parameters: str) -> dict[str, Any]:
    """Create or update a set-up stack, whose other parameters stay; return its description."""
    cloudformation = (clients or aws.client)("cloudformation")
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    request = {"StackName": stack, "TemplateBody": body, "Capabilities": ["CAPABILITY_NAMED_IAM"]}
    try:
        known = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["Parameters"]
    except ClientError:
        cloudformation.create_stack(**request, Parameters=given)
    else:
        kept = [one["ParameterKey"] for one in known if one["ParameterKey"] not in parameters]
        given += [{"ParameterKey": key, "UsePreviousValue": True} for key in kept]
        cloudformation.update_stack(**request, Parameters=given)
    return aws.stack(stack)


def refused(call: Callable[..., Any], **parameters: Any) -> dict[str, str]:
    """Make a call that is refused; return code and text."""
    with pytest.raises(ClientError) as error:
        call(**parameters)
    return error.value.response["Error"]


def denial(who: str, action: str, resource: str, kind: str = "identity-based policy") -> str:
    """AWS's text for what no policy of a kind allows."""
    return (
        f"User: {who} is not authorized to perform: {action} on resource: {resource} "
        f"because no {kind} allows the {action} action"
    )
