"""Compare a fresh account with an aged one: AWS calls and CPU time of Slipway's own paths.

Both accounts are local AWSes. The aged one has 100 000 versions of zips, 10 000 packages, 2 000 endpoints, 1 000 models
and as many waiting approvals. Ratios say what age costs; times would say what the machine is.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import aws
from bench.account_size import PREFIX, Size
from bench.parsing import include_folder
from bench.probe import Probe
from bench.report import Bound, Part
from demo import upload
from tools import bootstrap_stack, ledger
from tools.aws import admin_client
from tools.environment import api_server_variables
from tools.settings import AIRFLOW_PRINCIPAL, ROOT, Settings

FRESH, AGED = "fresh", "aged"
POLL, RELEASE, COLLECTION, TEARDOWN = "a poll", "a release", "a collection", "a teardown"
APPROVAL = "an approval, an hour"
INTAKE = "the first intake"
MOST_RATIO, MOST_INTAKE_SECONDS, MOST_INTAKE_MIB = 1.2, 30.0, 64.0
HOUR_SECONDS = 3600.0
_MANY, _PART_SECONDS = 100, 600.0
_POLLS = 50
# A collection takes a tenth of a second of CPU, and two that do the same may differ by a third.
_TASK_ROUNDS = 3
# The folder of accounts, which are kept because making them takes minutes.
_KEPT = ROOT / ".slipway" / "bench"
_VARIABLES = {"AIRFLOW_VAR_SLIPWAY_AIRFLOW_ID": "bench"}


@dataclass(frozen=True)
class Cost:
    """What a path took of Slipway's side.

    :param calls: AWS calls, by operation
    :param cpu_seconds: of the process that took it
    """

    calls: Mapping[str, float]
    cpu_seconds: float

    @property
    def all_calls(self) -> float:
        """All calls."""
        return sum(self.calls.values())

    def each(self, count: float) -> Cost:
        """Divide it among several."""
        return Cost({name: calls / count for name, calls in self.calls.items()}, self.cpu_seconds / count)


class Side:
    """One account, the process that works in it, and the ledger of its calls."""

    def __init__(self, settings: Settings, probe: Probe, size: Size) -> None:
        self.settings, self._probe, self.size = settings, probe, size

    def ask(self, what: str, **more: Any) -> tuple[dict[str, Any], Cost]:
        """Take a path, and return what the process says and what it took."""
        before = len(ledger.read(self.settings.ledger))
        found = self._probe.ask({"what": what, **more})
        made = [call for call in ledger.read(self.settings.ledger)[before:] if "slipway-airflow" in call["caller"]]
        # A collection that is denied something says so in its log alone, and costs little.
        if denied := [call["operation"] for call in made if "denied" in call]:
            raise SystemExit(f"bench: {what} was denied {', '.join(denied)}")
        calls = Counter(call["operation"] for call in made if call["time"] >= found.get("began", ""))
        return found, Cost(calls, found.get("cpu_seconds", 0.0))


def measure(rounds: int, scale: float, say: Callable[[str], None]) -> Part:
    """Make both accounts, and take each path in both in turn.

    :param rounds: how often each path is taken, releases and collections three times as often; of CPU the least
        counts, because a busy machine only adds, and of calls the most, because what grows from round to round counts
    :param scale: the share of a whole history, for a quick look
    :param say: prints progress
    """
    found: dict[str, dict[str, Cost]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slipway-bench-")))
        young = _young(say)
        sizes = {FRESH: Size.fresh(), AGED: Size.aged(scale)}
        sides = {}
        for name, size in sizes.items():
            say(f"making the {name} account: {size}")
            home = _grown(folder / name, young, size)
            sides[name] = stack.enter_context(_running(home, size))
        intake = {name: side.ask("intake") for name, side in sides.items()}
        found[INTAKE] = {name: cost for name, (_, cost) in intake.items()}
        say(f"{INTAKE}: {intake[AGED][0]}")
        found[APPROVAL] = _both(sides, 1, say, APPROVAL, _approvals)
        # No process of a task has taken a bucket in before: what that leaves in memory is looked through for garbage.
        tasks = {name: stack.enter_context(_probe(side.settings, side.size)) for name, side in sides.items()}
        # The first release of a process reads descriptions of services, for instance, and the first collection of an
        # account describes every endpoint.
        _both(tasks, 1, say, "a release before", _release)
        _both(tasks, 1, say, "a collection before", _collection)
        taken = [
            (_both(tasks, 1, say, RELEASE, _release), _both(tasks, 1, say, COLLECTION, _collection))
            for _ in range(_TASK_ROUNDS * rounds)
        ]
        for path, each in zip((RELEASE, COLLECTION), zip(*taken, strict=True), strict=True):
            found[path] = {name: _cost([costs[name] for costs in each]) for name in sides}
        few = _both({FRESH: sides[FRESH]}, 1, say, "a poll of two models", _poll)[FRESH]
        # What a poll and a teardown cost follows the number of models, too: see the notes. The processes are new ones.
        alike = {
            FRESH: stack.enter_context(_as_many_models(sides[FRESH], sizes[AGED])),
            AGED: stack.enter_context(_probe(sides[AGED].settings, sizes[AGED])),
        }
        found[POLL] = _both(alike, rounds, say, POLL, _poll)
        found[TEARDOWN] = _both(alike, rounds, say, TEARDOWN, _teardown)
    return part(found, intake[AGED][0], sizes[AGED], few)


def _release(side: Side) -> Cost:
    return side.ask("release")[1]


def _collection(side: Side) -> Cost:
    return side.ask("collection")[1]


def _teardown(side: Side) -> Cost:
    # What the one before has removed must be there again.
    side.ask("release")
    return side.ask("teardown")[1]


def _cost(costs: Sequence[Cost]) -> Cost:
    """Put the costs of the rounds together: the most calls, and the least CPU."""
    most = max(costs, key=lambda cost: cost.all_calls)
    return Cost(most.calls, min(cost.cpu_seconds for cost in costs))


def _poll(side: Side) -> Cost:
    side.ask("settle")
    found, cost = side.ask("poll", times=_POLLS)
    # The last one may have been cut off after its call.
    return Cost({name: round(calls / found["polls"]) for name, calls in cost.calls.items()}, cost.cpu_seconds)


def _approvals(side: Side) -> Cost:
    prefixes = [f"model-{number:04}" for number in range(side.size.models)]
    # Of few, a whole hour; of many, a part of it.
    seconds = HOUR_SECONDS if len(prefixes) < _MANY else _PART_SECONDS
    cost = side.ask("approvals", prefixes=prefixes, seconds=seconds)[1]
    return cost.each(len(prefixes) * seconds / HOUR_SECONDS)


def _both(
    sides: Mapping[str, Side], rounds: int, say: Callable[[str], None], path: str, take: Callable[[Side], Cost]
) -> dict[str, Cost]:
    """Take a path in both accounts in turn."""
    costs: dict[str, list[Cost]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            costs[name].append(take(side))
        said = (f"{name} {each[-1].all_calls:.1f} calls, {each[-1].cpu_seconds:.3f} s" for name, each in costs.items())
        say(f"{path}: {'; '.join(said)}")
    return {name: _cost(each) for name, each in costs.items()}


def part(found: Mapping[str, Mapping[str, Cost]], intake: Mapping[str, float], size: Size, few: Cost) -> Part:
    """Compare the accounts.

    :param found: what each path took in each account
    :param intake: what the first intake of the aged account says
    :param size: of the aged account
    :param few: a poll of an account with two models
    """
    rows, bounds = [], []
    for path, costs in found.items():
        fresh, aged = costs[FRESH], costs[AGED]
        ratios = aged.all_calls / fresh.all_calls, aged.cpu_seconds / fresh.cpu_seconds
        rows.append(
            (
                path,
                f"{fresh.all_calls:.1f}",
                f"{aged.all_calls:.1f}",
                f"{fresh.cpu_seconds * 1000:.1f}",
                f"{aged.cpu_seconds * 1000:.1f}",
                *(("", "") if path == INTAKE else (f"{ratio:.2f}" for ratio in ratios)),
            )
        )
        if path != INTAKE:
            bounds += [
                Bound(f"f: {what} of {path}, aged / fresh", ratio, MOST_RATIO, -1)
                for what, ratio in zip(("calls", "CPU"), ratios, strict=True)
            ]
    bounds += [
        Bound("f: CPU seconds of the first intake of an aged account", intake["cpu_seconds"], MOST_INTAKE_SECONDS, -1),
        Bound("f: MiB of the first intake above what it begins with", intake["peak_mib"], MOST_INTAKE_MIB, -1),
    ]
    figures = {path: {name: vars(cost) for name, cost in costs.items()} for path, costs in found.items()}
    notes = [
        f"f: {size}",
        f"f: the polls and teardowns compared are of as many models; a poll of two models takes "
        f"{few.all_calls:.0f} call and {few.cpu_seconds * 1000:.1f} ms of CPU",
    ]
    columns = ("f: age", "calls fresh", "aged", "CPU ms fresh", "aged", "calls aged / fresh", "CPU aged / fresh")
    return Part(columns, rows, bounds, {"paths": figures, "intake": dict(intake), "size": vars(size)}, notes)


def _young(say: Callable[[str], None]) -> Path:
    """Return the state of an account that has released the iris model once, made if need be."""
    from bench.account_history import Account

    # Another local AWS may keep its state in another form, and other roles may do other things.
    made_by = sorted([*(ROOT / "local_aws").rglob("*.py"), *(ROOT / "plugins/slipway/command/cfn").glob("*.yaml")])
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in made_by)).hexdigest()
    kept = _KEPT / f"account-{digest[:16]}"
    if not kept.exists():
        shutil.rmtree(_KEPT, ignore_errors=True)
        say("making an account with a first release")
        with tempfile.TemporaryDirectory(prefix="slipway-bench-") as text:
            home = Path(text)
            account = Account(home / "aws")
            account.begin()
            account.close()
            with _running(home, Size.fresh(), set_up=True) as side:
                side.ask("release")
            partial = kept.with_suffix(".partial")
            shutil.copytree(home, partial)
            partial.rename(kept)
    return kept


def _grown(home: Path, young: Path, size: Size) -> Path:
    from bench import account_metrics
    from bench.account_history import Account
    from slipway.names import LIVE_VARIANT, endpoint_name
    from slipway.states import Environment

    shutil.copytree(young, home)
    account = Account(home / "aws")
    account.grow(size)
    account.close()
    if size.days:
        account_metrics.put_a_year(home / "aws", endpoint_name(PREFIX, Environment.PRODUCTION), LIVE_VARIANT, size.days)
    return home


@contextmanager
def _running(home: Path, size: Size, *, set_up: bool = False) -> Iterator[Side]:
    """Run the account's local AWS and a process with Slipway."""
    with aws.local_aws(home) as server:
        settings = Settings(home, aws.free_port(), int(server.url.rpartition(":")[2]))
        if set_up:
            problems = bootstrap_stack.deploy(
                lambda service: admin_client(settings, service), ROOT / "include", AIRFLOW_PRINCIPAL
            )
            if problems:
                raise SystemExit(f"bench: {problems}")
            upload.upload_data(settings, PREFIX, "iris")
        with _probe(settings, size) as side:
            yield side


@contextmanager
def _probe(settings: Settings, size: Size) -> Iterator[Side]:
    """Run a process with Slipway that has the model files of an account."""
    include = settings.home / f"include-{size.models}"
    if not include.exists():
        include_folder(include, size.models)
        shutil.copy2(ROOT / f"include/models/{PREFIX}.yaml", include / "models")
    variables = api_server_variables(settings) | _VARIABLES | {"SLIPWAY_INCLUDE_FOLDER": str(include)}
    with Probe("bench.age_probe", settings.airflow_home, variables) as probe:
        yield Side(settings, probe, size)


@contextmanager
def _as_many_models(side: Side, size: Size) -> Iterator[Side]:
    """Upload a zip of each further model, so that two accounts differ in their age alone."""
    from slipway.names import source_key

    s3 = admin_client(side.settings, "s3")
    for number in range(side.size.models, size.models):
        s3.put_object(Bucket=side.settings.bucket, Key=source_key(f"model-{number:04}"), Body=b"zip")
    with _probe(side.settings, size) as many:
        yield many
