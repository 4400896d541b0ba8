"""What an account needs: its own stack, the template of endpoints in its bucket, and a stack for each model.

Where a model builds a container image, there is one more stack before the models': that of images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

from slipway.command.aws import Aws
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.stacks import ACCOUNT_STACK, IMAGES_STACK, LABS_STACK, Stacks
from slipway.names import template_key
from slipway.paths import endpoint_template, set_up_template

# Makes or changes a stack: its name, its template, its parameters; None keeps a parameter's value.
Deploy = Callable[[str, Path, Mapping[str, str | None]], None]
# The version in use and the one before: Airflow goes on deploying while it is brought to a new version.
_TEMPLATE_VERSIONS = 2


def set_up(
    aws: Aws,
    prefixes: Iterable[str],
    deploy: Deploy,
    *,
    images: Collection[str] = (),
    airflow_principal: str | None = None,
    labs_principal: str | None = None,
) -> list[CommandError]:
    """Set an account up, or bring it up to date.

    :param aws: the account, with an administrator's credentials
    :param prefixes: of the models
    :param deploy: makes or changes a stack
    :param images: the prefixes of those with a container image of their own
    :param airflow_principal: the role or user that Airflow runs as; None leaves it as it is
    :param labs_principal: the role or user who does the labs; None makes no stack for them
    :returns: what went wrong with single models' stacks, which keeps only their own releases back
    :raises CommandError: when the account's own stack cannot be made
    """
    before = Stacks(aws).parameters(ACCOUNT_STACK)
    if airflow_principal is None and before is None:
        raise CommandError(
            "Airflow's identity in AWS is not known",
            where=ACCOUNT_STACK,
            why="the stack does not exist yet, and its roles must trust somebody",
            fix="give --airflow-principal the ARN of the role or user that Airflow's workers and triggerer run as",
            code=Exit.USAGE,
        )
    caller, key = aws.caller, endpoint_template_key()
    bucket = f"mlops-{caller.region}-{caller.account}"
    domain = "amazonaws.com.cn" if caller.arn.split(":")[1] == "aws-cn" else "amazonaws.com"
    url = f"https://s3.{caller.region}.{domain}/{bucket}/{key}"
    known = [one for one in (before or {}).get("EndpointTemplateUrls", "").split(",") if one not in ("", url)]
    urls = ",".join([url, *known][:_TEMPLATE_VERSIONS])
    wanted = {"AirflowPrincipalArn": airflow_principal, "EndpointTemplateUrls": urls}
    deploy(ACCOUNT_STACK, set_up_template("bootstrap"), wanted)
    with aws.calling("The template of endpoints cannot be uploaded", f"s3://{bucket}/{key}"):
        aws.client("s3").put_object(Bucket=bucket, Key=key, Body=endpoint_template().read_bytes())
    problems = []
    for stack, template, of_stack in _of_models(prefixes, images):
        try:
            deploy(stack, set_up_template(template), of_stack)
        except CommandError as error:
            # Others would fail by the same: no access, no answer, or a person who said no.
            if error.code is not Exit.FAILED:
                raise
            problems.append(error)
    if labs_principal:
        deploy(LABS_STACK, set_up_template("labs"), {"LabsPrincipalArn": labs_principal})
    return problems


def _of_models(prefixes: Iterable[str], images: Collection[str]) -> Iterator[tuple[str, str, Mapping[str, str | None]]]:
    """Return what models need, in order: the name of each stack, that of its template, and its parameters."""
    if images:
        # Roles of models refer to it. Without it the stacks of these models fail, and no others.
        yield IMAGES_STACK, "images", {}
    for prefix in prefixes:
        builds = "true" if prefix in images else "false"
        parameters = {"ModelPrefix": prefix, "OtherImageRepositoryArns": None, "BuildsImage": builds}
        yield f"slipway-model-{prefix}", "model", parameters


def endpoint_template_key() -> str:
    """Name the object that this version's endpoint.yaml is uploaded as: it has the file's digest."""
    return template_key("endpoint", hashlib.sha256(endpoint_template().read_bytes()).hexdigest())
