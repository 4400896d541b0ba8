"""Wait with the real watchers, of uploads, orphans, endpoints and drift, and the stock sensor: `bench.waiting` runs it.

Each line of JSON on its input gets a line on its output; the local AWS's ledger has the calls.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor

from slipway.aws.endpoints import EndpointList, EndpointsHook
from slipway.aws.sagemaker import SageMakerHook
from slipway.deployment.drift_turns import DriftTurns, Turns
from slipway.deployment.drift_watch import POLL_SECONDS, build_drift_dags, comparing, stacks_of
from slipway.live.look import LiveSurvey
from slipway.live.snapshot import Snapshot
from slipway.live.survey_dag import build_live_dags
from slipway.model.files import load_models
from slipway.model.pipelines import Pipeline
from slipway.source.intake import WatchedBucket, build_intake_dags, take_in
from slipway.source.uploads import STATE_KEY
from slipway.source.versions import S3Versions
from slipway.source.watcher import UploadWatcherTrigger
from slipway.training.orphans import OrphanSearch
from slipway.training.owner import AirflowTasks
from slipway.training.reaper import build_reaper_dags

# Only the pause between two polls is shortened.
_POLL_SECONDS = 0.05


# What the intake has stored, by bucket.
_taken_in: dict[str, dict[str, Any]] = {}


class State:
    """The state of an asset; it counts how often the watcher reads it."""

    def __init__(self, entries: dict[str, Any]) -> None:
        self.entries = entries
        self.polls = 0

    def get(self, key: str, default: Any = None) -> Any:
        return self.entries.get(key, default)

    def set(self, key: str, value: Any) -> None:
        self.entries[key] = value

    async def aget(self, key: str, default: Any = None) -> Any:
        self.polls += 1
        return self.get(key, default)


async def watch(bucket: str, keys: list[str], polls: int) -> dict[str, int]:
    """Let the intake's watcher poll an idle bucket.

    :returns: how often it polled, and how many events it emitted, each of which would start a run of the intake
    """
    state, events = State(_taken_in[bucket]), 0
    trigger = UploadWatcherTrigger(bucket=bucket, keys=keys, poll_seconds=_POLL_SECONDS)
    trigger.asset_state_store = state  # type: ignore[assignment]  # the part of it that the trigger uses

    async def count_rings() -> None:
        nonlocal events
        async for _ in trigger.run():
            events += 1

    watching = asyncio.create_task(count_rings())
    while state.polls < polls and not watching.done():
        await asyncio.sleep(_POLL_SECONDS / 5)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return {"polls": state.polls, "events": events}


def release(bucket: str, keys: list[str]) -> dict[str, int]:
    """Let the intake release every upload, and look until none could hide a later one.

    :returns: how many keys it has looked at
    """
    state = State(_taken_in.setdefault(bucket, {}))
    source = WatchedBucket(bucket, "aws_default", dict.fromkeys(keys, "bench"))
    while True:
        take_in(source, state, S3Versions(), lambda *_: True)
        known = state.entries[STATE_KEY]["keys"].values()
        if all(one.get("settled") for one in known):
            return {"keys": len(known)}
        time.sleep(1)


def search(polls: int) -> dict[str, int]:
    """Look for orphaned jobs as the reaper's trigger does."""
    orphans = OrphanSearch(SageMakerHook(), AirflowTasks())
    return {"polls": polls, "events": sum(len(orphans.find("bench")) for _ in range(polls))}


def survey(include: str, polls: int) -> dict[str, int]:
    """Look at what is live as the survey's trigger does."""
    models, _ = load_models(Path(include) / "models")
    looking = LiveSurvey([model.prefix for model in models], "aws_default")
    return {"polls": polls, "events": sum(len(looking.look(Snapshot()).snapshot.endpoints) for _ in range(polls))}


def drift(include: str, polls: int) -> dict[str, int]:
    """Compare the stacks that are due as the drift watcher does."""
    models, _ = load_models(Path(include) / "models")
    endpoints = EndpointList(EndpointsHook())
    turns, stored, begin = (
        DriftTurns(stacks_of(models), endpoints, comparing("aws_default")),
        Turns(),
        datetime.now(UTC),
    )
    for look in range(polls):
        stored = turns.look(stored, {}, begin + look * timedelta(seconds=POLL_SECONDS))
    return {"polls": polls, "events": len(stored.found)}


def poke(bucket: str, key: str, polls: int) -> dict[str, int]:
    """Let a stock sensor poll.

    :returns: how often it polled, and whether it keeps a worker slot between polls
    """
    sensor = S3KeySensor(task_id="source", bucket_name=bucket, bucket_key=key)
    # The sensor does not read the context.
    found = sum(bool(sensor.poke({})) for _ in range(polls))
    holds = sensor.mode == "poke" and not sensor.deferrable
    return {"polls": polls, "events": found, "slots": int(holds), "poke_seconds": int(sensor.poke_interval)}


def watchers(include: str) -> dict[str, int]:
    """Count the triggers that wait for the models of an include folder.

    :param include: the folder that contains models/
    """
    models, _ = load_models(Path(include) / "models")
    dags = [*build_intake_dags(map(Pipeline, models)), *build_reaper_dags(models)]
    dags += [*build_live_dags(models), *build_drift_dags(models)]
    # Each DAG is scheduled by a list of one asset.
    assets: list[Any] = [asset for dag in dags for asset in dag.schedule]  # type: ignore[union-attr]
    return {"models": len(models), "triggers": sum(len(asset.watchers) for asset in assets)}


def _do(order: dict[str, Any]) -> dict[str, int]:
    if order["what"] == "watch":
        return asyncio.run(watch(order["bucket"], order["keys"], order["polls"]))
    if order["what"] == "release":
        return release(order["bucket"], order["keys"])
    if order["what"] in ("survey", "drift"):
        return (survey if order["what"] == "survey" else drift)(order["include"], order["polls"])
    if order["what"] == "watchers":
        return watchers(order["include"])
    return search(order["polls"]) if order["what"] == "search" else poke(order["bucket"], order["key"], order["polls"])


if __name__ == "__main__":
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(_do(json.loads(line))), flush=True)
