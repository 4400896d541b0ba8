"""Measure what an hour without uploads costs for 1, 100 and 1 000 models: AWS calls, worker slots, triggers.

All that runs while nothing happens is counted: the watcher of uploads, the reaper, the survey and the drift watcher.
The local AWS's ledger counts looks with a shortened pause; the count is scaled to an hour with the real pause. The time
of the calls themselves is ignored, so the result is a few per cent too high. With a queue the bucket is listed less
often, and each long poll of the queue is a call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench import aws
from bench.parsing import include_folder
from bench.probe import Probe
from bench.report import Bound, Part
from tools import ledger

MODELS = (1, 100, 1000)
HOUR_SECONDS = 3600.0
_POLLS = 20
_BUCKET = "bench-uploads"
_VARIABLES = {"AIRFLOW_CONN_AWS_DEFAULT": "aws://"}
OURS, STOCK = "Slipway", "an S3KeySensor for each model"


@dataclass(frozen=True)
class IdleHour:
    """The cost of an hour without uploads.

    :param models: number of models in one bucket
    :param calls: AWS calls
    :param notified: AWS calls where a queue reports the uploads; None where that was not measured
    :param slot_seconds: worker-slot seconds
    :param triggers: number of waiting triggers
    """

    models: int
    calls: float
    slot_seconds: float
    triggers: int
    notified: float | None = None


def per_hour(calls: int, polls: int, poll_seconds: float) -> float:
    """Scale a count of calls to an hour.

    :param calls: calls that the polls made
    :param polls: number of polls
    :param poll_seconds: pause between two polls
    :returns: calls in an hour
    """
    return calls / polls * HOUR_SECONDS / poll_seconds


def measure(say: Callable[[str], None]) -> Part:
    """Wait as Slipway does and as the stock operators do.

    :param say: prints progress
    """
    ours: list[IdleHour] = []
    with aws.local_aws() as server:
        s3 = server.client("s3")
        s3.create_bucket(Bucket=_BUCKET, CreateBucketConfiguration={"LocationConstraint": aws.REGION})
        s3.put_bucket_versioning(Bucket=_BUCKET, VersioningConfiguration={"Status": "Enabled"})
        keys: list[str] = []
        with Probe("bench.waiting_probe", server.home / "airflow", {**server.variables, **_VARIABLES}) as probe:
            for models in MODELS:
                for number in range(len(keys), models):
                    keys.append(f"training_jobs/model-{number:04}/trainingjob.zip")
                    s3.put_object(Bucket=_BUCKET, Key=keys[-1], Body=b"released")
                ours.append(_ours(server, probe, keys))
                say(f"{models} models: {ours[-1].calls:.0f} calls in an hour without uploads")
            return part({OURS: ours, STOCK: _stock(server, probe)})


def _counted(server: aws.Server, probe: Probe, order: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Run a job of the probe, and count its AWS calls."""
    path = server.home / "aws/ledger.jsonl"
    before = len(ledger.read(path))
    answer = probe.ask(order)
    return answer, len(ledger.read(path)) - before


def _ours(server: aws.Server, probe: Probe, keys: list[str]) -> IdleHour:
    from slipway.aws.sqs import WAIT_SECONDS
    from slipway.deployment.drift_watch import POLL_SECONDS as COMPARE_SECONDS
    from slipway.live.watcher import CALM_POLL_SECONDS as SURVEY_SECONDS
    from slipway.source.notification_queue import CALM_REST_SECONDS
    from slipway.source.watcher import CALM_POLL_BESIDE_QUEUE_SECONDS
    from slipway.source.watcher import CALM_POLL_SECONDS as WATCH_SECONDS
    from slipway.training.orphans import CALM_POLL_SECONDS as SEARCH_SECONDS

    include = include_folder(server.home / f"include-{len(keys)}", len(keys))
    released = probe.ask({"what": "release", "bucket": _BUCKET, "keys": keys})
    watched, watching = _counted(server, probe, {"what": "watch", "bucket": _BUCKET, "keys": keys, "polls": _POLLS})
    others = 0.0
    for what, seconds in (("search", SEARCH_SECONDS), ("survey", SURVEY_SECONDS), ("drift", COMPARE_SECONDS)):
        looked, looking = _counted(server, probe, {"what": what, "polls": _POLLS, "include": str(include)})
        others += per_hour(looking, looked["polls"], seconds)
        if looked["events"]:
            raise SystemExit(f"bench: something is found where nothing is: {looked}")
    if watched["events"] or released["keys"] != len(keys):
        raise SystemExit(f"bench: the bucket is not idle: {released}, {watched}")
    polled = others + per_hour(watching, watched["polls"], WATCH_SECONDS)
    notified = others + per_hour(watching, watched["polls"], CALM_POLL_BESIDE_QUEUE_SECONDS)
    notified += HOUR_SECONDS / (WAIT_SECONDS + CALM_REST_SECONDS)
    waiting = probe.ask({"what": "watchers", "include": str(include)})
    # Only an event starts a run of the intake or the reaper, which needs a worker; there was none.
    return IdleHour(len(keys), polled, slot_seconds=0.0, triggers=waiting["triggers"], notified=notified)


def _stock(server: aws.Server, probe: Probe) -> list[IdleHour]:
    order = {"what": "poke", "bucket": _BUCKET, "key": "training_jobs/next/trainingjob.zip", "polls": _POLLS}
    poked, poking = _counted(server, probe, order)
    # Each model's sensor is a task of its own, independent of the others.
    calls = per_hour(poking, poked["polls"], poked["poke_seconds"])
    slots = poked["slots"]
    return [
        IdleHour(models, calls * models, slots * HOUR_SECONDS * models, triggers=(1 - slots) * models)
        for models in MODELS
    ]


def part(found: dict[str, list[IdleHour]]) -> Part:
    """Compare the hours.

    :param found: the hours of each method, in the order of `MODELS`
    """
    rows = [
        (
            f"{name}, {hour.models} models",
            f"{hour.calls:.0f}",
            "" if hour.notified is None else f"{hour.notified:.0f}",
            f"{hour.slot_seconds:.0f}",
            f"{hour.triggers}",
        )
        for name, hours in found.items()
        for hour in hours
    ]
    first, last = found[OURS][0], found[OURS][-1]
    return Part(
        ("e: an hour without uploads", "AWS calls", "with a queue", "worker-slot seconds", "triggers"),
        rows,
        [
            Bound("e: worker-slot seconds while waiting", max(hour.slot_seconds for hour in found[OURS]), 0.0, -1),
            Bound(f"e: calls for {last.models} models / for {first.models}", last.calls / first.calls, 1.0, -1),
            Bound("e: calls", max(hour.calls for hour in found[OURS]), 720.0, -1),
            Bound("e: calls with a queue", max(hour.notified or 0.0 for hour in found[OURS]), 150.0, -1),
        ],
        {name: [vars(hour) for hour in hours] for name, hours in found.items()},
    )
