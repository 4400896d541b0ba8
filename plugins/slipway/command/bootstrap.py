"""`slipway bootstrap`: what an account needs, by CloudFormation, each change shown before it is made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from slipway.command.aws import Aws
from slipway.command.errors import interrupted
from slipway.command.exits import Exit
from slipway.command.options import AsJson, Models, Yes, confirm
from slipway.command.output import Output
from slipway.command.release_code import release_code
from slipway.command.set_up import set_up
from slipway.command.sources import models_in
from slipway.command.stacks import Stacks


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
    labs_principal: Annotated[
        str | None,
        typer.Option("--labs-principal", metavar="ARN", help="The role or user who does the labs, for a third stack."),
    ] = None,
    models: Models = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Make or update what Slipway needs in your AWS account.

    The stack slipway-bootstrap has the bucket, the queue, the topic, and the roles of Airflow and CloudFormation; each
    model has a stack with its own roles, and slipway-images limits those that build images. The changes are shown, and
    you are asked before each stack is changed. Run it again for a new model file, and before Airflow gets a new version
    of Slipway. It needs credentials of an administrator.
    """
    output, aws = Output(as_json=as_json), Aws()
    caller, made = aws.caller, _Made(Stacks(aws), output, yes=yes)
    output.text(f"Account {caller.account}, region {caller.region}, as {caller.arn}")
    with release_code(output):
        _, found, errors = models_in(models)
    for error in errors:
        output.note(f"Broken model file, passed over: {error}", style="yellow")
    problems = set_up(
        aws,
        [one.prefix for one in found],
        made.deploy,
        images=[one.prefix for one in found if one.image],
        airflow_principal=airflow_principal,
        labs_principal=labs_principal,
    )
    end = Exit.FAILED if problems else Exit.DONE
    told = [one.document()["error"] for one in problems]
    output.json(
        {
            "account": caller.account,
            "region": caller.region,
            "stacks": made.stacks,
            "problems": told,
            "exit_code": int(end),
        }
    )
    if problems:
        if not output.as_json:
            for one in problems:
                output.error(one)
        raise typer.Exit(end)
    output.text("The account is ready. Check it with: slipway doctor", style="green")


class _Made:
    """Makes and changes stacks, each after its changes were shown and agreed to."""

    def __init__(self, stacks: Stacks, output: Output, *, yes: bool) -> None:
        self._stacks = stacks
        self._output = output
        self._yes = yes
        self.stacks: list[dict[str, Any]] = []

    def deploy(self, stack: str, template: Path, wanted: Mapping[str, str | None]) -> None:
        """Show what would change in a stack, ask, and change it."""
        self._clear(stack)
        self._output.note(f"{stack}: asking CloudFormation what would change …")
        change = self._stacks.prepare(stack, template, wanted)
        self.stacks.append({"stack": stack, "changes": change.changes if change else []})
        if change is None:
            self._output.text(f"{stack}: nothing would change.")
            return
        title = f"{stack}: {'would be made' if change.is_new else 'would change'}"
        self._output.table(["action", "resource", "type", ""], change.changes, title=title)
        try:
            confirm(f"Change {stack}?", self._output, yes=self._yes)
        except BaseException:
            self._stacks.discard(change)
            raise
        self._output.note(f"{stack}: changing …")
        with interrupted(stack, "CloudFormation goes on changing it", "run slipway bootstrap again once it is done"):
            self._stacks.execute(change)
        self._output.text(f"{stack}: done.", style="green")

    def _clear(self, stack: str) -> None:
        """Delete what a failed creation has left, which CloudFormation can neither change nor make again."""
        if why := self._stacks.why_never_made(stack):
            self._output.text(f"{stack}: making it failed before ({why}). What is left of it must be deleted first.")
            confirm(f"Delete what is left of {stack}, and make it again?", self._output, yes=self._yes)
            self._output.note(f"{stack}: deleting …")
            with interrupted(stack, "CloudFormation goes on deleting it", "run slipway bootstrap again after that"):
                self._stacks.remove(stack)
