"""Compare an AWS account with what Slipway relies on. Reads only, unless a flag says more."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TextIO

from botocore.exceptions import BotoCoreError, ClientError

from tools.settings import Settings
from tools.verify_aws import bucket, capacity, changes, refusals, release, roles, sent_refusals, stacks
from tools.verify_aws.account import Account, NotAllowedError
from tools.verify_aws.findings import Finding, Outcome, redacted

EPILOG = "docs/what-aws-alone-knows.md says what each check is about. Exit code 1: something differs."


AREAS = {
    "stacks": stacks.checks,
    "roles": roles.checks,
    "bucket": bucket.checks,
    "capacity": capacity.checks,
    "refusals": refusals.checks,
}


def checks(account: Account, areas: Iterable[str], *, sent: bool, change_sets: bool) -> Iterator[Finding]:
    """Make all checks of some areas, and those that were asked for."""
    for area in areas:
        yield from AREAS[area](account)
    if sent:
        yield from sent_refusals.checks(account)
    if change_sets:
        yield from changes.checks(account)


def show(found: Iterator[Finding], write: Callable[[str], object]) -> list[Finding]:
    """Print each finding when it is there; return all."""
    kept = []
    for finding in found:
        write(str(finding))
        kept.append(finding)
    return kept


def document(account: Account, findings: list[Finding], *, full: bool) -> str:
    """Write the findings as JSON, for a report of a bug.

    :param full: whether account ids, ARNs and keys stay
    """
    about = {"region": account.region, "local": account.local, "caller": account.identity["Arn"]}
    found = {**about, "findings": [one.document() for one in findings]}
    return json.dumps(found if full else redacted(found), indent=2) + "\n"


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools.verify_aws", description=__doc__, epilog=EPILOG)
    parser.add_argument("--include", type=Path, default=Settings.from_environment().include_folder)
    parser.add_argument("--region", help="instead of the environment's or the profile's")
    parser.add_argument("--profile", help="of the AWS configuration files")
    parser.add_argument("--only", nargs="+", choices=AREAS, default=list(AREAS), metavar="AREA", help=", ".join(AREAS))
    parser.add_argument("--local", action="store_true", help="allow an endpoint that is not AWS's")
    parser.add_argument(
        "--change-sets",
        action="store_true",
        help="also make change sets and delete them without executing them, and detect drift",
    )
    parser.add_argument(
        "--refusals",
        action="store_true",
        help="also send requests that AWS has to refuse: each is wrong in two ways, so that none starts anything",
    )
    parser.add_argument(
        "--release", metavar="PREFIX", help="instead release this model to development; costs money and asks before"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the findings, for a report of a bug")
    parser.add_argument("--full", action="store_true", help="keep account ids, ARNs and keys in FILE")
    return parser.parse_args(words)


def _typed(question: str) -> str:
    """Ask the person; nobody at a terminal is no answer."""
    try:
        return input(question)
    except EOFError:
        return ""


def main(words: list[str] | None = None, output: TextIO | None = None) -> int:
    """Make the checks; the exit code is 1 if anything differs, and 2 if nothing could be looked at."""
    import boto3

    chosen = _arguments(words)
    out = output or sys.stdout
    writes: set[str] = set()
    if chosen.refusals:
        writes |= sent_refusals.operations()
    if chosen.change_sets:
        writes |= changes.OPERATIONS
    if chosen.release:
        writes = set(release.OPERATIONS)

    def write(text: str) -> None:
        print(text, file=out, flush=True)

    try:
        session = boto3.Session(profile_name=chosen.profile, region_name=chosen.region)
        account = Account(session, chosen.include, local=chosen.local, writes=writes)
        if chosen.json:
            # The checks take minutes; a file that cannot be written shows before them.
            chosen.json.touch()
        write(f"Account {account.id}, region {account.region}, as {account.identity['Arn']}")
        if chosen.release:
            found = show(release.checks(account, chosen.release, write, _typed), write)
        else:
            found = show(checks(account, chosen.only, sent=chosen.refusals, change_sets=chosen.change_sets), write)
    except (NotAllowedError, ClientError, BotoCoreError, OSError) as error:
        print(f"tools.verify_aws: {error}", file=sys.stderr)
        return 2
    counts = {outcome: sum(one.outcome is outcome for one in found) for outcome in Outcome}
    write(", ".join(f"{outcome} {count}" for outcome, count in counts.items()))
    if chosen.json:
        chosen.json.write_text(document(account, found, full=chosen.full), encoding="utf-8")
    return 1 if counts[Outcome.DIFFERS] else 0


if __name__ == "__main__":
    raise SystemExit(main())
