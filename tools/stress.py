"""`make stress`: a stress test of an endpoint of this instance's local AWS, as the DAG stress_test does it."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.environment import aws_variables
from tools.settings import ACCOUNT, REGION, ROOT, Settings


def prepare(settings: Settings) -> None:
    """Point this process to the local AWS and to Slipway's package."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= aws_variables(settings) | {
        "NO_PROXY": "127.0.0.1",
        "AIRFLOW_HOME": str(settings.airflow_home),
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "slipway.aws.session=WARNING",
    }
    sys.path.insert(0, str(ROOT / "plugins"))


def send(settings: Settings, endpoint: str, arguments: list[str]) -> int:
    """Send the load and write the report.

    :param settings: of this instance
    :param endpoint: an endpoint whose model file allows load
    :param arguments: the other arguments of the command line
    :returns: 0 when all of the load was sent and every limit kept, 1 when not, 2 when no load could be sent
    """
    # Imported after prepare() has set the environment.
    import botocore.session
    from rich.console import Console

    from slipway.aws.placeholders import AwsIdentity
    from slipway.aws.sagemaker import SageMakerHook
    from slipway.errors import SlipwayError
    from slipway.load import command
    from slipway.load.access import SessionAccess
    from slipway.load.dataset import read_rows
    from slipway.load.errors import LoadError
    from slipway.load.plan import Caps
    from slipway.load.slo import Slo
    from slipway.model.files import load_models
    from slipway.stress import report_files
    from slipway.stress.answers import answers_under_load
    from slipway.stress.order import StressOrder, owner

    # Airflow, which reading model files imports, makes botocore log where it found credentials; Airflow's own log level
    # does not cover botocore.
    logging.getLogger("botocore").setLevel(logging.WARNING)
    console, session = Console(), botocore.session.get_session()
    try:
        order = StressOrder.of_model(*owner(endpoint, *load_models(settings.include_folder / "models")))
        data = order.model.resolved(AwsIdentity(ACCOUNT, REGION)).test.data
        options = command.parser("make stress", data=data, caps=order.caps, slo=Slo(**order.limits))
        options.add_argument("--report", type=Path, help="folder of the report; a new one in the state folder")
        watch = order.watch_seconds
        options.add_argument(
            "--watch",
            type=command.number,
            default=watch,
            help=f"seconds to wait for CloudWatch ({watch:g})",
        )
        given = options.parse_args([endpoint, *arguments])
        asked, most = asdict(command.caps_of(given)), asdict(order.caps)
        # The command line may lower what the model file allows.
        caps: Any = {name: min(asked[name], most[name]) for name in most}
        began = datetime.now(UTC)
        described = SageMakerHook(aws_conn_id=None).describe_endpoint(endpoint)
        answers = described and answers_under_load(
            described, min_accuracy=given.min_accuracy, target_variant=given.variant or None, aws_conn_id=None
        )
        rows = read_rows(given.data, session)
        plan = command.plan_of(given, rows, Caps(**caps), order.phases, answers=answers or {})
        result = command.run(plan, SessionAccess(session), console)
    except (LoadError, SlipwayError) as error:
        console.print(str(error), style="red", soft_wrap=True)
        return 2
    verdict = command.print_verdict(given, result, console)
    folder = given.report or settings.home / "stress" / f"{endpoint}-{began:%Y%m%dT%H%M%SZ}"
    folder.mkdir(parents=True, exist_ok=True)
    # Before waiting for CloudWatch, because this process may be ended while it waits.
    report_files.write(folder, result, verdict, {})
    console.print(f"Report: {folder.resolve() / report_files.PAGE}", soft_wrap=True, highlight=False)
    if result.completed:

        def say(text: str, style: str | None) -> None:
            console.print(text, style=style, soft_wrap=True)

        report_files.add_evidence(folder, result, verdict, order, began, given.watch, say)
    return command.status(verdict)


def main() -> int:
    """Run make stress."""
    endpoint, *arguments = sys.argv[1:] or [""]
    # The endpoint comes first: its model file gives the defaults of the options.
    if not endpoint or endpoint.startswith("-"):
        print("make: Name an endpoint: make stress ENDPOINT=iris-model-production", file=sys.stderr)
        return 2
    settings = Settings.from_environment()
    prepare(settings)
    return send(settings, endpoint, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
