"""The arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.output import Output
from slipway.states import Environment

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout, also for an error.", show_default=False)
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.", show_default=False)]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="The model: the prefix in its model file.")]
RunId = Annotated[str | None, typer.Option("--run", metavar="RUN_ID", help="Which release, if not the newest.")]
Comment = Annotated[str, typer.Option("--comment", "-c", metavar="TEXT", help="Kept with the decision.")]
Source = Annotated[
    Path,
    typer.Argument(metavar="PATH", help="A folder with trainingjob.json and deployment.json, or a trainingjob.zip."),
]
OfModel = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="PREFIX", help="The model, if PATH does not say which one it is."),
]
Models = Annotated[
    Path | None,
    typer.Option(
        "--models",
        metavar="FOLDER",
        help="The folder of model files.",
        show_default="models in SLIPWAY_INCLUDE_FOLDER, or include/models",
    ),
]
Stage = Annotated[Environment, typer.Option("--env", "-e", help="Whose endpoint.")]
Variant = Annotated[str | None, typer.Option("--variant", metavar="NAME", help="Only this production variant.")]
Endpoint = Annotated[
    str | None,
    typer.Option("--endpoint", metavar="NAME", help="The endpoint, if its prefix is not the model's name."),
]
NoFollow = Annotated[
    bool, typer.Option("--no-follow", help="Return at once; `slipway status` shows the rest.", show_default=False)
]


def confirm(question: str, output: Output, *, yes: bool) -> None:
    """Ask before something is changed.

    :raises CommandError: when the answer is no, or nobody can be asked
    """
    if yes:
        return
    if not output.interactive:
        raise CommandError(
            "Nothing was changed",
            why="nobody can be asked whether to go on, because this is no terminal",
            fix="give --yes",
            code=Exit.USAGE,
        )
    if not typer.confirm(question, err=True):
        raise CommandError("Nothing was changed", why="you answered no", code=Exit.INTERRUPTED)
