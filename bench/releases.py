"""Measure the overhead of a release, beside an empty DAG of its shape and beside stock operators.

Airflow and the local AWS run as `make up` starts them. AWS gives the times of the job, the stacks and the endpoints,
and the call ledger the time of each call. The rest of a run, including late polls, is overhead.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.aws import free_port
from bench.report import Bound, Part
from bench.runs import PERSON_WAITS, PROCESSES, RUNNING, RunCost, Span, covered, seconds, slot_seconds, waits
from demo import upload
from tests.instance import Instance
from tools.settings import ROOT

OURS, EMPTY, STOCK = "Slipway", "an empty DAG of its shape", "stock operators"
_MODEL = "iris-model"
_KEY = f"training_jobs/{_MODEL}/trainingjob.zip"
_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"
_BUNDLES = [
    {"name": "dags-folder", "classpath": _BUNDLE, "kwargs": {}},
    {"name": "bench", "classpath": _BUNDLE, "kwargs": {"path": str(ROOT / "bench/dags")}},
]
# As a person would need.
_ANSWER_AFTER_SECONDS = 3.0
# The shortest wait of a release: a trigger's first look comes that late (docs/decisions.md, 11).
_SHORTEST_WAIT_SECONDS = 1.0
# Polls of the intake and the reaper belong to the idle hour; metrics and logs are of the services themselves. The
# ledger cannot tell the release's own listings of the bucket from those of the intake, so they are left out too.
_LISTINGS = {"ListObjectsV2", "ListObjectVersions"}
_NOT_COUNTED = {*_LISTINGS, "ListTrainingJobs", "PutMetricData", "PutLogEvents", "CreateLogStream"}
_JOB_MEMBERS = (
    *("AlgorithmSpecification", "RoleArn", "HyperParameters", "InputDataConfig", "OutputDataConfig"),
    *("ResourceConfig", "StoppingCondition"),
)


def measure(rounds: int, say: Callable[[str], None]) -> Part:
    """Start an instance; run a release and the empty DAG in turn, and stock operators once.

    :param rounds: the ratio is the median of this many rounds
    :param say: prints progress
    """
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder, _instance(Path(folder)) as slipway:
        upload.upload_data(slipway.settings, _MODEL, "iris")
        pairs = []
        for number in range(1, rounds + 1):
            run_id = slipway.release(_MODEL)
            ours = _run(slipway, _MODEL, run_id, partial(_ours, slipway, run_id))
            ours = replace(ours, noticed_seconds=_noticed_seconds(slipway, run_id))
            pairs.append((ours, _empty(slipway, ours, _ours(slipway, run_id))))
            said = ", ".join(f"{cost.overhead_seconds:.1f} of {cost.wall_seconds:.0f} s" for cost in pairs[-1])
            say(f"round {number}: overhead of a release, of the empty DAG: {said}")
        stock_id = _trigger(slipway, "stock_release", _stock_conf(slipway, run_id))
        stock = _run(slipway, "stock_release", stock_id, partial(_stock, slipway))
    return part(pairs, stock)


@contextlib.contextmanager
def _instance(folder: Path) -> Iterator[Instance]:
    extra = {
        "SLIPWAY_AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(_BUNDLES),
        "SLIPWAY_AIRFLOW__CORE__EXECUTOR": "bench.executor.MeasuredExecutor",
    }
    instance = Instance.in_folder(folder, [free_port(), free_port()], extra)
    try:
        instance.services("up")
        _let_the_stock_operators(instance)
        yield instance
    finally:
        instance.services("down")


def _let_the_stock_operators(slipway: Instance) -> None:
    """Let Airflow and the model's roles make what the stock operators make, which is not named as Slipway's is."""
    iam = slipway.client("iam")
    models_own = ("slipway-training-iris-model", "slipway-endpoint-iris-model")
    for role in models_own:
        iam.delete_role_permissions_boundary(RoleName=role)
    for role in ("slipway-airflow", *models_own):
        iam.attach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")


def _empty(slipway: Instance, ours: RunCost, aws: dict[str, Span]) -> RunCost:
    """Run the empty DAG, whose tasks wait by a trigger for what the release had to wait for, once at least.

    :param aws: when each task of the release waited for AWS
    """
    had_to = {task: end - begin for task, (begin, end) in aws.items()} | {"approve": ours.person_seconds}
    # Also where the release waited for AWS on its worker: the empty DAG does not know what is over in a moment.
    times = {task: ours.waits.get(task, 1) for task in {**had_to, **ours.waits}}
    conf = {task: [max(_SHORTEST_WAIT_SECONDS, had_to.get(task, 0.0) / count)] * count for task, count in times.items()}
    cost = _run(slipway, "empty_release", _trigger(slipway, "empty_release", conf), dict)
    aws_seconds, slept_seconds = sum(had_to[task] for task in aws), sum(map(sum, conf.values()))
    return replace(cost, aws_seconds=aws_seconds, person_seconds=ours.person_seconds, slept_seconds=slept_seconds)


def _noticed_seconds(slipway: Instance, run_id: str) -> float:
    """Return the seconds from the upload to the start of the release's run: a poll and a run of the intake."""
    began = seconds(slipway.api().run(_MODEL, run_id)["start_date"])
    puts = slipway.ledger(operation="PutObject", resource=f"{slipway.settings.bucket}/{_KEY}", outcome="ok")
    # To the millisecond; S3's LastModified may have whole seconds.
    return began - max(put for put in (seconds(call["time"]) for call in puts) if put <= began)


def _trigger(slipway: Instance, dag_id: str, conf: dict[str, Any]) -> str:
    run_id: str = slipway.wait(f"{dag_id} to be there", lambda: slipway.api().trigger(dag_id, conf))
    return run_id


def _run(slipway: Instance, dag_id: str, run_id: str, aws_spans: Callable[[], Mapping[str, Span]]) -> RunCost:
    """Approve a run, wait for its end, and return what it took.

    :param aws_spans: returns the times in which AWS was working
    """
    answered_at = _approve(slipway, dag_id, run_id) if dag_id != "empty_release" else None
    if slipway.wait_end(dag_id, run_id) != "success":
        raise SystemExit(f"bench: {dag_id} failed:\n{slipway.story(dag_id, run_id)}")
    run = slipway.api().run(dag_id, run_id)
    within = seconds(run["start_date"]), seconds(run["end_date"])
    query = {"dag_id": dag_id, "run_id": run_id, "order_by": "when", "limit": 1000}
    events = slipway.api().call("GET", "/eventLogs", **query)["event_logs"]
    calls = [
        call
        for call in slipway.ledger()
        if within[0] <= seconds(call["time"]) <= within[1]
        and call["operation"] not in _NOT_COUNTED
        # Calls that a service makes for a caller are not Airflow's.
        and "amazonaws.com" not in call["caller"]
    ]
    # A call's line is written just before its answer is sent.
    spans = [(seconds(call["time"]) - call.get("milliseconds", 0) / 1000, seconds(call["time"])) for call in calls]
    asked = [(_asked_at(events), answered_at)] if answered_at else []
    waited = covered(asked, within)
    begun = sum(event["event"] == RUNNING for event in events)
    lines = slipway.wait("the ends of its processes", lambda: _processes(slipway, run_id, begun))
    own: dict[str, list[float]] = {}
    for line in lines:
        own.setdefault(line["task"], []).append(line["process"])
    return RunCost(
        wall_seconds=within[1] - within[0],
        aws_seconds=covered([*aws_spans().values(), *spans, *asked], within) - waited,
        person_seconds=waited,
        slot_seconds=slot_seconds(events),
        waits=waits(events),
        calls=len(calls),
        processes=own,
        supervisor_seconds=sum(line["supervisor"] for line in lines),
    )


def _processes(slipway: Instance, run_id: str, count: int) -> list[dict[str, Any]] | None:
    """Return what the executor wrote about the processes of a run; None until all have ended."""
    written = (slipway.settings.airflow_home / PROCESSES).read_text().splitlines()
    lines = [line for line in map(json.loads, written) if line["run"] == run_id]
    return lines if len(lines) >= count else None


def _approve(slipway: Instance, dag_id: str, run_id: str) -> float:
    """Approve the release a while after it has asked, and return when."""
    slipway.wait_approval(dag_id, run_id)
    time.sleep(_ANSWER_AFTER_SECONDS)
    slipway.api().answer(dag_id, run_id, "approve", "Approve")
    return time.time()


def _asked_at(events: list[dict[str, Any]]) -> float:
    """Return when the release began to wait for a person."""
    waiting = (event for event in events if event["task_id"] == "approve" and event["event"] in PERSON_WAITS)
    return seconds(next(waiting)["when"])


def _ours(slipway: Instance, run_id: str) -> dict[str, Span]:
    """Return when the release's job and stacks were in progress, by the task that waits for them."""
    job = _job(slipway, run_id)
    spans = {"train": (job["CreationTime"].timestamp(), job["TrainingEndTime"].timestamp())}
    cloudformation = slipway.client("cloudformation")
    for environment in ("dev", "prd"):
        events = cloudformation.describe_stack_events(StackName=f"mlops-deploy-{_MODEL}-{environment}")["StackEvents"]
        own = [event for event in events if event["PhysicalResourceId"] == event["StackId"]]
        began = [event for event in own if not event["ResourceStatus"].startswith("REVIEW")]
        # Without events of earlier releases.
        times = [event["Timestamp"].timestamp() for event in began if event["Timestamp"] > job["CreationTime"]]
        spans[f"deploy_{environment}"] = (min(times), max(times))
    return spans


def _stock(slipway: Instance) -> dict[str, Span]:
    """Return when the stock DAG's job and endpoints were in progress."""
    sagemaker = slipway.client("sagemaker")
    job = sagemaker.describe_training_job(TrainingJobName="stock")
    spans = {"train": (job["CreationTime"].timestamp(), job["TrainingEndTime"].timestamp())}
    for name in ("stock-dev", "stock-prd"):
        endpoint = sagemaker.describe_endpoint(EndpointName=name)
        spans[name] = endpoint["CreationTime"].timestamp(), endpoint["LastModifiedTime"].timestamp()
    return spans


def _job(slipway: Instance, run_id: str) -> dict[str, Any]:
    name = slipway.api().xcom(_MODEL, run_id, "process_request")["training_job_name"]
    job: dict[str, Any] = slipway.client("sagemaker").describe_training_job(TrainingJobName=name)
    return job


def _stock_conf(slipway: Instance, run_id: str) -> dict[str, Any]:
    """Return the same job and model in the form of stock operators."""
    job = _job(slipway, run_id)
    image = job["AlgorithmSpecification"]["TrainingImage"]
    data = f"{job['OutputDataConfig']['S3OutputPath'].rstrip('/')}/stock/output/model.tar.gz"
    algorithm = {"TrainingImage": image, "TrainingInputMode": "File"}
    request = {name: job[name] for name in _JOB_MEMBERS} | {"AlgorithmSpecification": algorithm}
    variant = {"VariantName": "stock", "ModelName": "stock", "InstanceType": "ml.t2.large", "InitialInstanceCount": 1}
    model = {"Image": image, "ModelDataUrl": data}
    return {
        "bucket": slipway.settings.bucket,
        "key": _KEY,
        "job": {**request, "TrainingJobName": "stock"},
        "model": {"ModelName": "stock", "ExecutionRoleArn": job["RoleArn"], "PrimaryContainer": model},
        "config": {"EndpointConfigName": "stock", "ProductionVariants": [variant]},
        "dev": {"EndpointName": "stock-dev", "EndpointConfigName": "stock"},
        "prd": {"EndpointName": "stock-prd", "EndpointConfigName": "stock"},
    }


def part(rounds: list[tuple[RunCost, RunCost]], stock: RunCost) -> Part:
    """Compare the runs; the table shows the round whose ratio is the median.

    :param rounds: a release and an empty DAG each
    :param stock: a run of the stock operators
    """
    chosen = sorted(rounds, key=_ratio)[(len(rounds) - 1) // 2]
    found = {OURS: chosen[0], EMPTY: chosen[1], STOCK: stock}
    rows = [
        (
            name,
            "" if cost.noticed_seconds is None else f"{cost.noticed_seconds:.1f}",
            *(f"{value:.1f}" for value in (cost.wall_seconds, cost.aws_seconds, cost.overhead_seconds)),
            f"{cost.slot_seconds:.1f}",
            f"{sum(cost.waits.values())}",
            f"{cost.calls}",
        )
        for name, cost in found.items()
    ]
    columns = (
        *("d, e: a release", "upload to start", "seconds", "in AWS", "overhead"),
        *("worker-slot seconds", "triggers", "AWS calls"),
    )
    bounds = [
        Bound("d: overhead of a release / of an empty DAG of its shape", _ratio(chosen), 0.9, -1),
        Bound("d: worker-slot seconds of a release", chosen[0].slot_seconds, 3.5, -1),
    ]
    every = [{OURS: asdict(ours), EMPTY: asdict(empty)} for ours, empty in rounds]
    awake = chosen[0].overhead_seconds / chosen[1].awake_seconds
    notes = [
        f"d: the empty DAG waits at least {_SHORTEST_WAIT_SECONDS:g} s each time, as a release does; its overhead is "
        f"its time without the seconds of AWS and of the person; without all of its sleep the ratio is {awake:.2f}",
        _said(chosen[0], chosen[1]),
    ]
    figures = {"rounds": every, STOCK: asdict(stock), "ratio_with_sleep_taken_off": awake}
    return Part(columns, rows, bounds, figures, notes)


def _said(ours: RunCost, empty: RunCost) -> str:
    """Say what the processes of the tasks took."""
    tasks = [(task, [f"{1000 * seconds:.0f}" for seconds in each]) for task, each in ours.processes.items()]
    each = ", ".join(f"{task} {' and '.join(times)}" for task, times in tasks)
    ms, empty_ms = 1000 * ours.transition_seconds, 1000 * empty.transition_seconds
    return (
        f"d: CPU of a task transition, with its worker: {ms:.0f} ms, of the empty DAG {empty_ms:.0f}; ms of the tasks' "
        f"processes: {each}"
    )


def _ratio(pair: tuple[RunCost, RunCost]) -> float:
    ours, empty = pair
    return ours.overhead_seconds / empty.overhead_seconds
