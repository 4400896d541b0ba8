"""`python -m slipway.load`: send load to an endpoint and write a report."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import botocore.session
from rich.console import Console

from slipway.load import command
from slipway.load.access import SessionAccess
from slipway.load.answers import answers_for
from slipway.load.dataset import read_rows
from slipway.load.errors import LoadError


def main(arguments: list[str] | None = None) -> int:
    """Run a load.

    :returns: 0 when all of the load was sent and every limit kept, 1 when not, 2 when no load could be sent
    """
    options = command.parser("python -m slipway.load")
    options.add_argument("--report", type=Path, help="where to write the report; a new file in the current folder")
    options.add_argument("--objective", help="XGBoost's objective, which says what an answer means")
    given, console = options.parse_args(arguments), Console()
    session = botocore.session.get_session()
    try:
        answers = {"": answers_for(given.objective)}
        plan = command.plan_of(given, read_rows(given.data, session), command.caps_of(given), answers=answers)
        result = command.run(plan, SessionAccess(session), console)
    except LoadError as error:
        console.print(str(error), style="red", soft_wrap=True)
        return 2
    verdict = command.print_verdict(given, result, console)
    report = given.report or Path(f"load-{given.endpoint}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json")
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(result.to_json(), encoding="utf-8")
    console.print(f"Report: {report.resolve()}", soft_wrap=True, highlight=False)
    return command.status(verdict)


if __name__ == "__main__":
    sys.exit(main())
