"""`aws`, as far as the shell of an image's build uses it.

https://docs.aws.amazon.com/cli/latest/reference/ecr/get-login-password.html
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import boto3
from botocore.exceptions import BotoCoreError, ClientError

_SUPPORTED = (
    "`aws ecr get-login-password` and `aws sts get-caller-identity`, with --region, --output and --query Account or Arn"
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sys.exit(f"aws: error: {message}. A build's shell in the local AWS has {_SUPPORTED}.")


def main(words: Sequence[str]) -> None:
    """Run one command."""
    parser = _Parser(prog="aws", allow_abbrev=False)
    parser.add_argument("service", choices=["ecr", "sts"])
    parser.add_argument("operation", choices=["get-login-password", "get-caller-identity"])
    parser.add_argument("--region")
    parser.add_argument("--output", choices=["json", "text"], default="json")
    parser.add_argument("--query", choices=["Account", "Arn"])
    options = parser.parse_args(words)
    operations = {("ecr", "get-login-password"): _login, ("sts", "get-caller-identity"): _identity}
    operation = operations.get((options.service, options.operation))
    if operation is None:
        parser.error(f"{options.service} has no {options.operation}")
    try:
        print(operation(options))  # noqa: T201 - the program's output
    except (ClientError, BotoCoreError) as error:
        print(f"\n{error}", file=sys.stderr)  # noqa: T201 - as the AWS CLI
        # https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-returncodes.html
        sys.exit(254)


def _login(options: argparse.Namespace) -> str:
    answer = boto3.client("ecr", region_name=options.region).get_authorization_token()
    token = answer["authorizationData"][0]["authorizationToken"]
    return base64.b64decode(token).decode().partition(":")[2]


def _identity(options: argparse.Namespace) -> str:
    found: dict[str, Any] = boto3.client("sts", region_name=options.region).get_caller_identity()
    if options.query:
        return found[options.query] if options.output == "text" else json.dumps(found[options.query])
    if options.output == "text":
        return "\t".join((found["Account"], found["Arn"], found["UserId"]))
    return json.dumps({name: found[name] for name in ("UserId", "Account", "Arn")}, indent=4)


if __name__ == "__main__":
    main(sys.argv[2:])
