"""`slipway bootstrap`: what an account needs, by CloudFormation, each change shown before it is made."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any

import typer

from slipway.command.aws import Aws
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.options import AsJson, Yes, confirm
from slipway.command.output import Output
from slipway.command.release_code import release_code
from slipway.command.sources import models_in, nearest_models_folder
from slipway.command.stacks import ACCOUNT_STACK, ChangeSet, Stacks
from slipway.names import template_key
from slipway.paths import endpoint_template

# The version in use and the one before: Airflow goes on deploying while it is brought to a new version.
_TEMPLATE_VERSIONS = 2


def bootstrap(
    airflow_principal: Annotated[
        str | None,
        typer.Option(
            "--airflow-principal",
            metavar="ARN",
            help="The role or user that Airflow's workers run as.",
            show_default="as it is; required at first",
        ),
    ] = None,
    include: Annotated[
        Path | None,
        typer.Option(
            "--include", metavar="FOLDER", help="The folder with cfn/ and models/.", show_default="the nearest include/"
        ),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Make or update what Slipway needs in your AWS account.

    The stack slipway-bootstrap has the bucket, the queue, the topic, and the roles of Airflow and CloudFormation; each
    model has a stack with its own roles. The changes are shown, and you are asked before each stack is changed. Run it
    again for a new model file, and before Airflow gets a new version of Slipway. It needs credentials of an
    administrator.
    """
    output, aws = Output(as_json=as_json), Aws()
    folder = _include(include)
    caller, stacks = aws.caller, Stacks(aws)
    output.text(f"Account {caller.account}, region {caller.region}, as {caller.arn}")
    with release_code(output):
        _, models, errors = models_in(folder / "models")
    template = endpoint_template().read_bytes()
    key = template_key("endpoint", hashlib.sha256(template).hexdigest())
    for error in errors:
        output.note(f"Broken model file, passed over: {error}", style="yellow")
    before = stacks.parameters(ACCOUNT_STACK)
    if before is None and airflow_principal is None:
        raise CommandError(
            "Airflow's identity in AWS is not known",
            where=ACCOUNT_STACK,
            why="the stack does not exist yet, and its roles must trust somebody",
            fix="give --airflow-principal the ARN of the role or user that Airflow's workers and triggerer run as",
            code=Exit.USAGE,
        )
    domain = "amazonaws.com.cn" if caller.arn.split(":")[1] == "aws-cn" else "amazonaws.com"
    bucket = f"mlops-{caller.region}-{caller.account}"
    url = f"https://s3.{caller.region}.{domain}/{bucket}/{key}"
    known = [one for one in (before or {}).get("EndpointTemplateUrls", "").split(",") if one not in ("", url)]
    urls = ",".join([url, *known][:_TEMPLATE_VERSIONS])
    wanted = {"AirflowPrincipalArn": airflow_principal, "EndpointTemplateUrls": urls}
    done = [_deploy(stacks, ACCOUNT_STACK, folder / "cfn" / "bootstrap.yaml", wanted, output, yes=yes)]
    with aws.calling("The template of endpoints cannot be uploaded", f"s3://{bucket}/{key}"):
        aws.client("s3").put_object(Bucket=bucket, Key=key, Body=template)
    for model in models:
        of_model = {"ModelPrefix": model.prefix, "OtherImageRepositoryArns": None}
        path = folder / "cfn" / "model.yaml"
        done.append(_deploy(stacks, f"slipway-model-{model.prefix}", path, of_model, output, yes=yes))
    output.json({"account": caller.account, "region": caller.region, "stacks": done, "exit_code": 0})
    output.text("The account is ready. Check it with: slipway doctor", style="green")


def _include(folder: Path | None) -> Path:
    """Return the folder with the templates.

    :raises CommandError: when there is none
    """
    models = nearest_models_folder()
    found = folder or (models.parent if models else Path("include"))
    if (found / "cfn" / "bootstrap.yaml").is_file():
        return found
    raise CommandError(
        "The templates are not there",
        where=str(found / "cfn" / "bootstrap.yaml"),
        why="expected the folder include/ of Slipway's repository",
        fix="run it in the repository, or name the folder with --include",
        code=Exit.NOT_FOUND,
    )


def _deploy(
    stacks: Stacks, stack: str, template: Path, wanted: dict[str, str | None], output: Output, *, yes: bool
) -> dict[str, Any]:
    """Show what would change in a stack, ask, and change it."""
    output.note(f"{stack}: asking CloudFormation what would change …")
    change = stacks.prepare(stack, template, wanted)
    if change is None:
        output.text(f"{stack}: nothing would change.")
        return {"stack": stack, "changes": []}
    title = f"{stack}: {'would be made' if change.is_new else 'would change'}"
    output.table(["action", "resource", "type", ""], change.changes, title=title)
    try:
        confirm(f"Change {stack}?", output, yes=yes)
    except CommandError:
        stacks.discard(change)
        raise
    _execute(stacks, change, output)
    return {"stack": stack, "changes": change.changes}


def _execute(stacks: Stacks, change: ChangeSet, output: Output) -> None:
    output.note(f"{change.stack}: changing …")
    stacks.execute(change)
    output.text(f"{change.stack}: done.", style="green")
