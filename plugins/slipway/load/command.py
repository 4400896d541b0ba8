"""What the commands that send load share: their options, and a run in the terminal that Ctrl-C ends in order."""

from __future__ import annotations

import argparse
import math
import signal
from collections.abc import Mapping, Sequence
from dataclasses import fields

from rich.console import Console

from slipway.load.access import Access
from slipway.load.answers import Answers
from slipway.load.display import Display
from slipway.load.engine import Engine
from slipway.load.phases import LAB_STAGES, Arrivals, Phase, parse_stages
from slipway.load.plan import Caps, Plan
from slipway.load.result import LoadResult
from slipway.load.rows import Row
from slipway.load.slo import Slo, SloVerdict, judge_load


def parser(
    prog: str,
    *,
    data: str | None = None,
    caps: Caps = Caps(),  # noqa: B008 (frozen)
    slo: Slo = Slo(),  # noqa: B008 (frozen)
) -> argparse.ArgumentParser:
    """Return the parser of the common options.

    :param prog: the command's name
    :param data: the default of ``--data``; None makes the option required
    :param caps: shown as defaults
    :param slo: shown as defaults
    """
    made = argparse.ArgumentParser(prog=prog, description="Send load to a SageMaker endpoint.")
    made.add_argument("endpoint", help="the endpoint's name")
    made.add_argument(
        "--data",
        required=data is None,
        default=data,
        help="labelled rows, label first: a CSV file, s3://BUCKET/KEY or s3://BUCKET/FOLDER/",
    )
    load = made.add_mutually_exclusive_group()
    load.add_argument("--stages", help="CONCURRENCY:REQUESTS,…, such as the lab's 10:1000,100:10000,150:100000")
    load.add_argument("--rate", type=number, help="requests due each second, whether or not others are answered")
    made.add_argument("--seconds", type=number, default=60, help="how long the rate is kept (60)")
    made.add_argument("--concurrency", type=int, default=150, help="with --rate: requests in flight at most (150)")
    made.add_argument("--variant", help="TargetVariant: the production variant to send to")
    made.add_argument("--processes", type=int, help="sending processes; by default as many as the load needs")
    for name in ("max_error_share", "p99_ms", "min_accuracy"):
        limit = getattr(slo, name)
        shown = f"{limit:g}" if limit is not None else "0" if name == "max_error_share" else "none"
        made.add_argument(_option(name), type=number, default=limit, help=f"limit that each phase must keep ({shown})")
    for field in fields(Caps):
        cap = getattr(caps, field.name)
        # field.type is text, because annotations are not evaluated here.
        kind = int if field.type == "int" else number
        made.add_argument(_option(field.name), type=kind, default=cap, help=f"cap ({cap:g})")
    return made


def number(text: str) -> float:
    """Read a finite number; `nan` would be neither above nor below any cap or limit.

    :param text: from the command line
    :raises ValueError: when it is not a finite number
    """
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def caps_of(given: argparse.Namespace) -> Caps:
    """Return the caps that the command line asks for."""
    return Caps(**{field.name: getattr(given, field.name) for field in fields(Caps)})


def plan_of(
    given: argparse.Namespace,
    rows: Sequence[Row],
    caps: Caps,
    default: Sequence[Phase] = LAB_STAGES,
    *,
    answers: Mapping[str, Answers],
) -> Plan:
    """Return the plan that a command line asks for.

    :param given: what the parser read
    :param rows: what to send
    :param caps: how much may be asked for
    :param default: the load when the command line has no stages and no rate
    :param answers: what the variants answer, by name
    :raises LoadRefused: when the stages cannot be read
    """
    phases = default
    if given.rate is not None:
        phases = (Arrivals(given.rate, given.seconds, given.concurrency),)
    elif given.stages:
        phases = parse_stages(given.stages)
    return Plan(
        endpoint_name=given.endpoint,
        rows=rows,
        phases=phases,
        target_variant=given.variant or None,
        caps=caps,
        processes=given.processes,
        answers=answers,
    )


def run(plan: Plan, access: Access, console: Console) -> LoadResult:
    """Send a load and show it; Ctrl-C or SIGTERM ends it in order.

    :param plan: what to send
    :param access: access to AWS
    :param console: where to show it
    :raises LoadError: when it cannot be sent
    """
    with Display(console) as display:
        engine = Engine(plan, access, display.show)
        before = {
            number: signal.signal(number, lambda number, _: engine.stop(signal.Signals(number).name))
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            result = engine.run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    display.report(result)
    return result


def print_verdict(given: argparse.Namespace, result: LoadResult, console: Console) -> SloVerdict:
    """Check a run against the limits of its command line, and print each limit.

    :param given: what the parser read
    :param result: the run
    :param console: where to print
    """
    verdict = judge_load(result, Slo(given.max_error_share, given.p99_ms, given.min_accuracy))
    for limit in verdict.limits:
        console.print(str(limit), style="green" if limit.passed else "red", soft_wrap=True, highlight=False)
    return verdict


def status(verdict: SloVerdict) -> int:
    """Return the exit status of a run.

    :returns: 0 when all of the load was sent and every limit kept
    """
    return 0 if verdict.passed else 1


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
