"""A minute without any AWS at each stage of a release; every release finishes, and no attempt of any task fails.

Takes about twenty minutes, so its name keeps it from being collected: `make blackout` asks for it.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from demo import upload
from tests.faults.injection import FaultInjection

pytestmark = pytest.mark.e2e

# All stages are met in twenty minutes.
LIMIT_SECONDS = 3600.0
BLACKOUT_SECONDS = 60.0
# It is ended by hand after the last look, which takes a busy machine a while.
BLACKOUT_LIMIT_SECONDS = 600.0
# A blackout is a task's if it is there this long before the end and still there at the end.
HELD_SECONDS = 15.0
# The tasks that ask AWS for something; watch_trial does where the model file has a section trial.
STAGES = (
    "source",
    "process_request",
    "train",
    "evaluate",
    "register",
    "deploy_dev",
    "test_dev",
    "approve",
    "deploy_prd",
    "test_prd",
    "collect_garbage",
)
# What these releases have no use for.
SKIPPED = {"roll_back", "decide_trial", "settle_trial"}
# Uploaded to one after the other, so that one blackout meets each release at another stage.
MODELS = ("iris-model", "dawn-model", "dusk-model")
AT_WORK = ("running", "deferred", "awaiting_input")
WAITS_FOR_A_PERSON = ("deferred", "awaiting_input")


@dataclass
class Watch:
    """Releases under way, and the stages that a blackout has met."""

    slipway: Any
    faults: FaultInjection
    runs: dict[str, str] = field(default_factory=dict)
    ended: list[tuple[str, str]] = field(default_factory=list)
    met: Counter[str] = field(default_factory=Counter)
    blackouts: list[str] = field(default_factory=list)
    answered_in_the_dark: int = 0
    _uploads: dict[str, str] = field(default_factory=dict)

    def release(self, prefix: str) -> None:
        """Upload; the run is found once the intake has started it."""
        self._uploads[prefix] = upload.upload_zip(self.slipway.settings, prefix).version_id

    @property
    def idle(self) -> list[str]:
        return [prefix for prefix in MODELS if prefix not in self.runs and prefix not in self._uploads]

    def look(self) -> dict[str, tuple[str, str | None]]:
        """:returns: where each release is: its first task that has not succeeded, which may not have begun"""
        for prefix, version in list(self._uploads.items()):
            if found := self.slipway.runs_of(prefix, version):
                self.runs[prefix] = found[0]
                del self._uploads[prefix]
        places = {}
        for prefix, run_id in self.runs.items():
            tasks = self.slipway.api().tasks(prefix, run_id)
            stage = next((stage for stage in STAGES if tasks[stage]["state"] != "success"), None)
            if stage:
                places[prefix] = (stage, tasks[stage]["state"])
        return places

    def retire(self) -> None:
        """Put aside the releases that have ended."""
        for prefix, run_id in list(self.runs.items()):
            if self.slipway.api().run(prefix, run_id)["state"] in ("success", "failed"):
                self.ended.append((prefix, self.runs.pop(prefix)))

    def answer(self, places: dict[str, tuple[str, str | None]]) -> int:
        """Approve whatever asks. :returns: how many"""
        asking = [
            prefix
            for prefix, (stage, state) in places.items()
            if stage == "approve" and state in WAITS_FOR_A_PERSON and self.is_open(prefix)
        ]
        for prefix in asking:
            self.slipway.api("alice").answer(prefix, self.runs[prefix], "approve", "Approve")
        return len(asking)

    def is_open(self, prefix: str) -> bool:
        """:returns: whether a release asks, and nobody has answered"""
        screen = self.slipway.api().approval(prefix, self.runs[prefix], "approve")
        return screen is not None and not screen["response_received"]

    def black_out(self) -> None:
        """Take AWS away for a minute, answer meanwhile what asks, and note which tasks that met."""
        began = time.monotonic()
        blackout = self.faults.blackout(BLACKOUT_LIMIT_SECONDS)
        time.sleep(BLACKOUT_SECONDS / 3)
        # The answer needs no AWS; its record on the model package has to wait.
        self.answered_in_the_dark += self.answer(self.look())
        _sleep_until(began + BLACKOUT_SECONDS - HELD_SECONDS)
        before = self.look()
        _sleep_until(began + BLACKOUT_SECONDS)
        places = self.look()
        self.faults.remove(blackout)
        self.blackouts.append(blackout)
        self.met.update(
            stage
            for prefix, (stage, state) in places.items()
            if state in AT_WORK and before.get(prefix, ("",))[0] == stage
        )


@pytest.fixture(scope="module")
def watch(slipway) -> Watch:
    """All stages met by a blackout, all releases ended."""
    models = slipway.include / "models"
    iris = (models / "iris-model.yaml").read_text()
    for prefix in MODELS:
        (models / f"{prefix}.yaml").write_text(iris.replace("iris", prefix.removesuffix("-model")))
        upload.upload_data(slipway.settings, prefix, "iris")
    slipway.make_model_roles()
    slipway.wait("the models' DAGs", lambda: set(MODELS) <= slipway.api().dag_ids())
    watch = Watch(slipway, FaultInjection(slipway.settings.aws_url))
    released, deadline = 0, time.monotonic() + LIMIT_SECONDS
    while missing := set(STAGES) - watch.met.keys():
        assert time.monotonic() < deadline, f"no blackout met {missing}"
        # One more for each blackout: all at once they would go from stage to stage together. One may also pass through
        # a short stage between two looks.
        if watch.idle and (released <= len(watch.blackouts) or len(watch.idle) == len(MODELS)):
            watch.release(watch.idle[0])
            released += 1
        places = watch.look()
        # AWS goes as soon as the task before a stage has ended: some stages ask for all in a tenth of a second.
        # The question is open before that: its answer is to be given without AWS.
        ready = {stage for prefix, (stage, _) in places.items() if stage != "approve" or watch.is_open(prefix)}
        if ready & missing:
            watch.black_out()
            print(f"blackout {len(watch.blackouts)}: {dict(watch.met)}", flush=True)  # noqa: T201
        elif "approve" not in missing:
            watch.answer(places)
        watch.retire()
        time.sleep(0.05)
    while watch.runs:
        watch.answer(watch.look())
        watch.retire()
        time.sleep(1)
    return watch


def test_every_stage_outlasts_a_minute_without_aws(slipway, watch, record_property):
    record_property("blackouts of 60 s", len(watch.blackouts))
    record_property("tasks held up by them", dict(watch.met))
    record_property("approvals answered without AWS", watch.answered_in_the_dark)
    record_property("releases", len(watch.ended))
    for prefix, run_id in watch.ended:
        assert slipway.api().run(prefix, run_id)["state"] == "success", slipway.story(prefix, run_id)
    dropped = Counter(call.get("fault") for call in slipway.ledger(outcome="dropped"))
    assert all(dropped[blackout] for blackout in watch.blackouts)
    assert watch.answered_in_the_dark


def test_no_attempt_of_any_task_failed(slipway, watch, record_property):
    others = [(dag_id, run) for dag_id in ("intake", "reaper") for run in slipway.api().runs(dag_id)]
    # These start whenever there is something to look at, now too.
    ended = [(dag_id, run["dag_run_id"]) for dag_id, run in others if run["state"] in ("success", "failed")]
    runs = [*watch.ended, *ended]
    states = Counter(
        state
        for dag_id, run_id in runs
        for task_id, state in attempts(slipway, dag_id, run_id)
        if task_id not in SKIPPED
    )
    record_property("attempts of tasks by their end", dict(states))
    assert set(states) <= {"success"}


def test_nothing_was_made_twice(slipway, watch):
    for operation in ("CreateTrainingJob", "CreateModel", "CreateEndpoint"):
        made = Counter(call["resource"] for call in slipway.ledger(operation=operation, outcome="ok"))
        assert {name: times for name, times in made.items() if times > 1} == {}
    trained = slipway.ledger(operation="CreateTrainingJob", outcome="ok")
    assert len(trained) == len(watch.ended)


def attempts(slipway, dag_id: str, run_id: str) -> list[tuple[str, str]]:
    """How each attempt of each task of a run ended."""
    path = f"/dags/{dag_id}/dagRuns/{run_id.replace(':', '%3A').replace('+', '%2B')}/taskInstances"
    return [
        (task_id, attempt["state"])
        for task_id in slipway.api().tasks(dag_id, run_id)
        for attempt in slipway.api().call("GET", f"{path}/{task_id}/tries")["task_instances"]
    ]


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
