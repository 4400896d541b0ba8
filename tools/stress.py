"""`make stress`: a stress test of an endpoint of this instance's local AWS, as the DAG stress_test would do it."""

from __future__ import annotations

import logging
import os
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.environment import aws_variables
from tools.settings import ACCOUNT, REGION, ROOT, Settings


def prepare(settings: Settings) -> None:
    """Leads this process, which becomes the load engine, to the local AWS and to Slipway's package."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= aws_variables(settings) | {
        "NO_PROXY": "127.0.0.1",
        "AIRFLOW_HOME": str(settings.airflow_home),
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "slipway.aws.session=WARNING",
    }
    sys.path.insert(0, str(ROOT / "plugins"))


def send(settings: Settings, endpoint: str, arguments: list[str]) -> int:
    """Sends the load and writes the report.

    :param settings: of this instance
    :param endpoint: whose model file gives leave
    :param arguments: the options beside it
    :returns: 0 when it was within the limits, 1 when it was not, 2 when it could not be tried
    """
    # Imported once the environment says whose AWS and whose Airflow is meant.
    import botocore.session
    from rich.console import Console

    from slipway.aws.placeholders import AwsIdentity
    from slipway.errors import SlipwayError
    from slipway.load import command
    from slipway.load.access import SessionAccess
    from slipway.load.dataset import read_rows
    from slipway.load.errors import LoadError
    from slipway.load.plan import Caps
    from slipway.load.slo import Slo
    from slipway.model.files import load_models
    from slipway.stress import report_files
    from slipway.stress.order import StressOrder, owner

    # Airflow, which comes with the model files, has everybody say where credentials were found; its option for that is
    # for loggers of its own.
    logging.getLogger("botocore").setLevel(logging.WARNING)
    console, session = Console(), botocore.session.get_session()
    try:
        order = StressOrder.of_model(*owner(endpoint, *load_models(settings.include_folder / "models")))
        data = order.model.resolved(AwsIdentity(ACCOUNT, REGION)).test.data
        options = command.parser("make stress", data=data, caps=order.caps, slo=Slo(**order.limits))
        options.add_argument("--report", type=Path, help="folder of the report; a new one in the state folder")
        watch = order.watch_seconds
        options.add_argument(
            "--watch", type=command.number, default=watch, help=f"seconds until CloudWatch is asked ({watch:g})"
        )
        given = options.parse_args([endpoint, *arguments])
        asked, most = asdict(command.caps_of(given)), asdict(order.caps)
        # The command line may lower what the model file allows.
        caps: Any = {name: min(asked[name], most[name]) for name in most}
        began = datetime.now(UTC)
        plan = command.plan_of(given, read_rows(given.data, session), Caps(**caps), order.phases)
        result = command.run(plan, SessionAccess(session), console)
    except (LoadError, SlipwayError) as error:
        console.print(str(error), style="red", soft_wrap=True)
        return 2
    judged = command.judge(given, result, console)
    folder = given.report or settings.home / "stress" / f"{endpoint}-{began:%Y%m%dT%H%M%SZ}"
    folder.mkdir(parents=True, exist_ok=True)

    def write(evidence: dict[str, Any]) -> None:
        report = report_files.document(result, judged, evidence)
        for file in (report_files.machine_readable(report), report_files.page(report)):
            (folder / file.name).write_text(file.content, encoding="utf-8")

    # At once, for this process may be ended while it waits for CloudWatch.
    write({})
    console.print(f"Report: {folder.resolve() / report_files.PAGE}", soft_wrap=True, highlight=False)
    if result.completed:
        try:
            if given.watch > 0:
                console.print(f"CloudWatch is asked for its figures in {given.watch:g} s; Ctrl-C leaves them out")
                time.sleep(given.watch)
            evidence = report_files.evidence(order, began, aws_conn_id=None)
            write(evidence)
            for part, why in evidence["missing"].items():
                console.print(f"The report goes without {part}: {why}", style="yellow", soft_wrap=True)
        except KeyboardInterrupt:
            console.print("The report goes without CloudWatch's figures")
    return command.status(judged)


def main() -> int:
    """Entry point of make stress."""
    endpoint, *arguments = sys.argv[1:] or [""]
    # It comes first, so that nothing has to be known of the options to tell which endpoint needs leave.
    if not endpoint or endpoint.startswith("-"):
        print("make: Name an endpoint: make stress ENDPOINT=iris-model-production", file=sys.stderr)
        return 2
    settings = Settings.from_environment()
    prepare(settings)
    return send(settings, endpoint, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
