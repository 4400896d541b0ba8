"""`slipway invoke`: rows of CSV to an endpoint, and its answers."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from slipway import names
from slipway.command.aws import Aws
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.options import AsJson, Endpoint, Model, Stage, Variant
from slipway.command.output import Output
from slipway.load.answers import is_right
from slipway.load.errors import UnreadableRows
from slipway.load.objects import text_lines
from slipway.load.rows import parse_row
from slipway.states import Environment


def invoke(
    model: Model,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Rows of CSV without a header.", show_default="stdin")
    ] = None,
    env: Stage = Environment.PRODUCTION,
    label_first: Annotated[
        bool,
        typer.Option(
            "--label-first", help="The first column is the label: it is not sent, but compared.", show_default=False
        ),
    ] = False,
    variant: Variant = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Send rows to an endpoint, a request each, and print the answers, a line each.

    The columns are those of the training data without the label. With --label-first, as in the held-out rows, stderr
    also gets the accuracy.
    """
    output, aws = Output(as_json=as_json), Aws()
    name = endpoint or names.endpoint_name(model, env)
    runtime = aws.client("sagemaker-runtime")
    target = {"TargetVariant": variant} if variant else {}
    answers: list[dict[str, Any]] = []
    for label, features in _rows(file, label_first=label_first):
        begun = time.perf_counter()
        with aws.calling("The endpoint does not answer", name, fix=_FIX):
            answer = runtime.invoke_endpoint(
                EndpointName=name, ContentType="text/csv", Accept="text/csv", Body=features, **target
            )
            body = answer["Body"].read().decode(errors="replace").strip()
        milliseconds = (time.perf_counter() - begun) * 1000
        served_by = answer.get("InvokedProductionVariant")
        answers.append({"label": label, "answer": body, "variant": served_by, "milliseconds": round(milliseconds, 3)})
        output.text(body)
    if not answers:
        raise CommandError(
            "Nothing was sent",
            where=str(file or "stdin"),
            why="it has no rows",
            fix="give CSV without a header, a line for each row",
            code=Exit.USAGE,
        )
    right = sum(is_right(one["label"], one["answer"]) for one in answers) if label_first else None
    accuracy = right / len(answers) if right is not None else None
    output.json({"endpoint": name, "answers": answers, "accuracy": accuracy, "exit_code": 0})
    variants = ", ".join(f"{one} {count}" for one, count in Counter(one["variant"] for one in answers).items())
    if not as_json:
        share = f"; {right} of {len(answers)} right, {accuracy:.1%}" if accuracy is not None else ""
        output.note(f"{name}: {len(answers)} rows; {variants}{share}")


_FIX = "check the name and the columns: slipway status shows the endpoints; --env and --endpoint choose another"


def _rows(file: Path | None, *, label_first: bool) -> Iterator[tuple[str | None, str]]:
    """Read labels and features.

    :raises CommandError: when the file is no CSV
    """
    source = str(file or "stdin")
    if file is None and sys.stdin.isatty():
        sys.stderr.write("Rows of CSV, then Ctrl-D:\n")
    try:
        with file.open("rb") if file else sys.stdin.buffer as body:
            for line in text_lines(body, source):
                if label_first:
                    row = parse_row(line, source)
                    yield row.label, row.features
                else:
                    yield None, line
    except OSError as error:
        why = error.strerror or str(error)
        raise CommandError(
            "The rows cannot be read", where=source, why=why, fix="name a CSV file", code=Exit.NOT_FOUND
        ) from error
    except UnreadableRows as error:
        fix = "give CSV in UTF-8 without a header" + (", the label first" if label_first else "")
        raise CommandError(
            "The rows cannot be read", where=error.where, why=error.why, fix=fix, code=Exit.REFUSED
        ) from error
