"""`slipway stress`: a load for an endpoint, within what its model file allows, and a report."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slipway.command.airflow import is_loopback
from slipway.command.aws import Aws
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.options import AsJson, Model, Models, Stage, Variant
from slipway.command.output import Output
from slipway.command.release_code import release_code
from slipway.command.sources import models_in
from slipway.states import Environment

if TYPE_CHECKING:
    import argparse

    from slipway.load.result import LoadResult
    from slipway.load.slo import SloVerdict
    from slipway.stress.order import StressOrder


def stress(
    context: typer.Context,
    model: Model,
    env: Stage = Environment.DEVELOPMENT,
    stages: Annotated[
        str | None, typer.Option("--stages", metavar="C:N,…", help="Stages of CONCURRENCY:REQUESTS, one after another.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", metavar="R", help="Instead of stages: requests due each second.")
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", metavar="S", help="How long the rate is kept.")] = 60,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="FILE", help="Labelled rows, a file or s3://…", show_default="test.data"),
    ] = None,
    variant: Variant = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="DIR", help="Where the report goes.", show_default="stress-…")
    ] = None,
    watch: Annotated[
        float | None,
        typer.Option("--watch", metavar="S", help="How long to wait for CloudWatch.", show_default="the model file's"),
    ] = None,
    models: Models = None,
    as_json: AsJson = False,
) -> None:
    """Send load to an endpoint, check the model file's limits, and write a report.

    The model file must allow it (stress: allowed: true), and its caps hold. Without --stages or --rate it is the model
    file's load. More options may follow: limits, such as --p99-ms, and caps, which may only be lower than the model
    file's; python -m slipway.load --help lists them. The exit code is 1 if a limit was broken. On AWS it costs what the
    endpoint costs.
    """
    output, aws = Output(as_json=as_json), Aws()
    caller = aws.caller
    with release_code(output):
        from slipway.aws.placeholders import AwsIdentity
        from slipway.load.errors import LoadError
        from slipway.stress.order import StressOrder

        order = StressOrder.of_model(_model(model, models), env)
        rows = data or order.model.resolved(AwsIdentity(caller.account, caller.region)).test.data
        words = [order.endpoint_name, "--data", rows]
        words += ["--stages", stages] if stages else []
        words += ["--rate", str(rate), "--seconds", str(seconds)] if rate is not None else []
        words += [*(["--variant", variant] if variant else []), *context.args]
        if stages and rate is not None:
            raise CommandError(
                "There are two loads",
                why="--stages and --rate exclude each other",
                fix="leave one of them out",
                code=Exit.USAGE,
            )
        began = datetime.now(UTC)
        try:
            given, result = _send(words, order, aws, output)
        except LoadError as error:
            raise CommandError(
                "No load was sent",
                where=order.endpoint_name,
                why=error.problem,
                fix=error.fix or _FIX,
                code=Exit.REFUSED,
            ) from error
        place = report or Path(f"stress-{order.endpoint_name}-{began:%Y%m%dT%H%M%SZ}")
        verdict = _report(given, result, order, began, place, order.watch_seconds if watch is None else watch, output)
        from slipway.stress import report_files

        summary = report_files.summary(result, verdict)
    end = Exit.DONE if verdict.passed else Exit.FAILED
    output.json({**summary, "report": str(place.resolve()), "exit_code": int(end)})
    output.text(f"Report: {(place / report_files.PAGE).resolve()}")
    raise typer.Exit(end)


_FIX = "correct the options; the model file's section stress says what is allowed"


def _model(prefix: str, folder: Path | None) -> Any:
    place, models, errors = models_in(folder)
    found = next((one for one in models if one.prefix == prefix), None)
    if found is None:
        raise CommandError(
            f"There is no model file of {prefix}",
            where=str(place),
            why="; ".join([f"there are those of {', '.join(one.prefix for one in models)}", *map(str, errors)]),
            fix="name one of them; --models reads another folder",
            code=Exit.NOT_FOUND,
        )
    return found


def _send(words: list[str], order: StressOrder, aws: Aws, output: Output) -> tuple[argparse.Namespace, LoadResult]:
    """Send the load, and show it on stderr.

    :raises slipway.load.errors.LoadError: when it cannot be sent
    """
    import botocore.session

    from slipway.aws.sagemaker import SageMakerHook
    from slipway.load import command
    from slipway.load.access import SessionAccess
    from slipway.load.dataset import read_rows
    from slipway.load.plan import Caps
    from slipway.load.slo import Slo
    from slipway.stress.answers import answers_under_load

    botocore_session = botocore.session.get_session()
    if is_loopback(aws.client("sagemaker").meta.endpoint_url):
        from botocore.config import Config

        # The environment's proxy cannot reach this machine.
        botocore_session.set_default_client_config(Config(proxies={}))
    options = command.parser("slipway stress", caps=order.caps, slo=Slo(**order.limits))
    given = options.parse_args(words)
    described = SageMakerHook(aws_conn_id=None).describe_endpoint(order.endpoint_name)
    if described is None:
        raise CommandError(
            "There is no such endpoint",
            where=order.endpoint_name,
            why="SageMaker has none of this name",
            fix="release the model first: slipway submit; or choose the other one with --env",
            code=Exit.NOT_FOUND,
        )
    answers = answers_under_load(
        described, min_accuracy=given.min_accuracy, target_variant=given.variant or None, aws_conn_id=None
    )
    asked, most = asdict(command.caps_of(given)), asdict(order.caps)
    # The command line may lower what the model file allows.
    caps: Any = {name: min(asked[name], most[name]) for name in most}
    rows = read_rows(given.data, botocore_session)
    plan = command.plan_of(given, rows, Caps(**caps), order.phases, answers=answers)
    return given, command.run(plan, SessionAccess(botocore_session), output.err)


def _report(
    given: argparse.Namespace,
    result: LoadResult,
    order: StressOrder,
    began: datetime,
    place: Path,
    watch: float,
    output: Output,
) -> SloVerdict:
    """Check the limits and write the report, again once CloudWatch has its figures."""
    from slipway.load import command
    from slipway.stress import report_files

    verdict = command.print_verdict(given, result, output.err)
    place.mkdir(parents=True, exist_ok=True)
    report_files.write(place, result, verdict, {})
    if result.completed:
        report_files.add_evidence(place, result, verdict, order, began, watch, output.note)
    return verdict
