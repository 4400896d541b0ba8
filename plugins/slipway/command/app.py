"""What all commands share: a command whose errors are printed in one form and end with one set of exit codes."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from slipway.command.errors import CommandError, of_release
from slipway.command.exits import MEANINGS, Exit
from slipway.command.output import Output
from slipway.command.release_code import kept_levels

EPILOG = "Exit codes:\n\n" + "\n".join(f"- {code.value}: {text}" for code, text in MEANINGS.items())


class Command(TyperCommand):
    """A command that prints each error as what, where, why and fix, and ends with its exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        output = Output(as_json=bool(ctx.params.get("as_json")))
        try:
            with kept_levels():
                return super().invoke(ctx)
        except CommandError as error:
            output.error(error)
            raise typer.Exit(error.code) from error
        except (KeyboardInterrupt, typer.Abort) as error:
            output.note("Interrupted.")
            raise typer.Exit(Exit.INTERRUPTED) from error
        except Exception as error:
            # A SlipwayError; naming the class would import Airflow, which takes seconds.
            if not (hasattr(error, "resource") and hasattr(error, "fix")):
                raise
            output.error(of_release(error))
            raise typer.Exit(Exit.REFUSED) from error


class Group(TyperGroup):
    """The commands in the order in which they are written down."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names as they were added."""
        return list(self.commands)
