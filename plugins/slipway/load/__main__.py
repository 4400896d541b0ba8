"""`python -m slipway.load`: sends load to an endpoint and writes a report."""

from __future__ import annotations

import argparse
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import botocore.session
from rich.console import Console

from slipway.load.access import SessionAccess
from slipway.load.dataset import read_rows
from slipway.load.display import Display
from slipway.load.engine import Engine
from slipway.load.errors import LoadError
from slipway.load.plan import LAB_STAGES, Arrivals, Caps, Phase, Plan, parse_stages

_DEFAULTS = Caps()


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m slipway.load", description="Send load to a SageMaker endpoint.")
    parser.add_argument("endpoint", help="the endpoint's name")
    parser.add_argument("--data", required=True, help="labelled rows, label first: a CSV file or s3://BUCKET/PREFIX")
    load = parser.add_mutually_exclusive_group()
    load.add_argument("--stages", help="CONCURRENCY:REQUESTS,…; the default is the lab's 10:1000,100:10000,150:100000")
    load.add_argument("--rate", type=float, help="requests due each second, whether or not others are answered")
    parser.add_argument("--seconds", type=float, default=60, help="how long the rate is kept (60)")
    parser.add_argument("--concurrency", type=int, default=150, help="with --rate: requests in flight at most (150)")
    parser.add_argument("--variant", help="TargetVariant: the production variant that shall answer")
    parser.add_argument("--processes", type=int, help="sending processes; by default as many as the load needs")
    parser.add_argument("--report", type=Path, help="where to write the report; a new file in the current folder")
    for name, kind in (("requests", int), ("concurrency", int), ("rate_rps", float), ("seconds", float)):
        default = getattr(_DEFAULTS, f"max_{name}")
        option = f"--max-{name.replace('_', '-')}"
        parser.add_argument(option, type=kind, default=default, help=f"cap ({default:g})")
    return parser.parse_args(arguments)


def _phases(given: argparse.Namespace) -> tuple[Phase, ...]:
    if given.rate is not None:
        return (Arrivals(given.rate, given.seconds, given.concurrency),)
    return parse_stages(given.stages) if given.stages else LAB_STAGES


def main(arguments: list[str] | None = None) -> int:
    """Run a load.

    :returns: 0 when everything was sent and answered, 1 when it was not, 2 when it could not be tried
    """
    given, console = _arguments(arguments), Console()
    session = botocore.session.get_session()
    try:
        caps = Caps(given.max_requests, given.max_concurrency, given.max_rate_rps, given.max_seconds)
        plan = Plan(
            endpoint_name=given.endpoint,
            rows=read_rows(given.data, session),
            phases=_phases(given),
            target_variant=given.variant or None,
            caps=caps,
            processes=given.processes,
        )
        with Display(console) as display:
            engine = Engine(plan, SessionAccess(session), display.show)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda number, _: engine.stop(signal.Signals(number).name))
            result = engine.run()
    except LoadError as error:
        console.print(str(error), style="red", soft_wrap=True)
        return 2
    display.report(result)
    report = given.report or Path(f"load-{given.endpoint}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json")
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(result.to_json(), encoding="utf-8")
    console.print(f"Report: {report.resolve()}", soft_wrap=True, highlight=False)
    return 0 if result.completed and not any(phase.tally.errors for phase in result.phases) else 1


if __name__ == "__main__":
    sys.exit(main())
