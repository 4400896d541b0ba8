"""Reads what the tasks of releases left: their XComs, as the board shows them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow.models.xcom import XComModel
from sqlalchemy import ColumnElement, and_, case, or_, select
from sqlalchemy.orm import Session

from slipway.board.documents import Failure, Figure
from slipway.board.links import LINKS
from slipway.formats.json_numbers import number_of, number_text
from slipway.host.task_errors import FAILURE
from slipway.names import package_version
from slipway.request.contents import CONTENTS, Contents

RESULT = "return_value"
# What every row needs: which version a run is about, and what it has put where.
_IDENTITY = ("source", "process_request", "evaluate", "register", "deploy_dev", "deploy_prd", "settle_trial")


@dataclass
class Results:
    """The XComs of one run.

    :param by_task: results by task
    :param failures: the errors of failed or skipped tasks
    :param contents: what is in its zip
    :param links: what the links of its tasks need, by task and key
    """

    dag_id: str
    run_id: str
    by_task: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    contents: Contents | None = None
    links: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)

    def of(self, task_id: str) -> Mapping[str, Any]:
        """Return a task's result; empty if it has left none."""
        return self.by_task.get(task_id) or {}

    @property
    def package_arn(self) -> str | None:
        """The model package that the run registered."""
        return text(self.of("register").get("model_package_arn"))

    @property
    def version(self) -> str | None:
        """The number of the model package that the run registered, or put into production."""
        return version_of(self.package_arn) or self.deployed_version("production")

    @property
    def compared_with(self) -> str | None:
        """The model package that was live when the run's metrics were compared."""
        return text(_mapping(self.of("evaluate").get("live")).get("model_package_arn"))

    def deployed_version(self, environment: str) -> str | None:
        """Return the number of the model package that a deployment of this run put there."""
        return version_of(self.deployed_package(environment))

    def deployed_package(self, environment: str) -> str | None:
        """Return the model package that a deployment of this run put there."""
        return text(self._outputs("deploy_prd" if environment == "production" else "deploy_dev").get("ModelPackageArn"))

    @property
    def shares(self) -> dict[str, float | None]:
        """The share of production's requests that each model package has since this run changed production.

        A trial gives the new model a share beside the live one, until ``settle_trial`` has changed the stack again.
        """
        settled = self._outputs("settle_trial")
        outputs = settled or self._outputs("deploy_prd")
        arn = text(outputs.get("ModelPackageArn"))
        if arn is None:
            return {}
        if "ModelBDataUrl" not in outputs:
            return {arn: 1.0}
        given = number_of(self.of("process_request").get("trial_share"))
        share = given if math.isfinite(given) else None
        live = {self.compared_with: None if share is None else 1 - share} if self.compared_with else {}
        return {**live, arn: share}

    def _outputs(self, task_id: str) -> Mapping[str, Any]:
        """Return the outputs of the stack that a task has changed; empty if it has left none."""
        return _mapping(self.of(task_id).get("outputs"))

    @property
    def uploaded_at(self) -> str | None:
        """When the zip was uploaded."""
        return text(self.of("source").get("last_modified"))


def without_index(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return a condition on the keys of XComs that leads SQLite to no index.

    As a plain one it leads to the index of the keys, and so to the results of all runs of all DAGs.
    """
    return case((condition, 1), else_=0) == 1


def read(
    runs: Collection[int],
    detailed: Collection[int],
    session: Session,
    *,
    tasks: Collection[str] = _IDENTITY,
    compared: Collection[int] = (),
    linked: Collection[int] = (),
) -> dict[int, Results]:
    """Read XComs in one query.

    :param runs: the runs of which the version and the failures are wanted
    :param detailed: the runs of which every result is wanted
    :param session: Airflow's database
    :param tasks: whose results are wanted of every run
    :param compared: those of them whose zip's contents are wanted
    :param linked: those of them whose links to AWS are wanted
    :returns: by run; every run that is asked for is there
    """
    columns = XComModel
    wanted = or_(
        columns.key == FAILURE,
        and_(columns.key == RESULT, columns.task_id.in_(tasks)),
        and_(columns.key == RESULT, columns.dag_run_id.in_(detailed)),
        and_(columns.key == CONTENTS, columns.dag_run_id.in_(compared)),
        and_(columns.key.in_(LINKS), columns.dag_run_id.in_(linked)),
    )
    statement = select(
        columns.dag_run_id,
        columns.dag_id,
        columns.run_id,
        columns.task_id,
        columns.key,
        columns.value,
        columns.timestamp,
    ).where(columns.dag_run_id.in_({*runs, *detailed}), columns.map_index == -1, without_index(wanted))
    found = {run: Results("", "") for run in {*runs, *detailed}}
    for row in session.execute(statement):
        results = found[row.dag_run_id]
        results.dag_id, results.run_id = row.dag_id, row.run_id
        value = XComModel.deserialize_value(row)
        if not isinstance(value, Mapping):
            continue
        if row.key == RESULT:
            results.by_task[row.task_id] = value
        elif row.key == CONTENTS:
            results.contents = Contents.from_xcom(value)
        elif row.key in LINKS:
            results.links[row.task_id, row.key] = value
        else:
            results.failures[row.task_id] = _failure(row.run_id, row.task_id, row.timestamp, value)
    return found


def _failure(run_id: str, task_id: str, at: datetime, value: Mapping[str, Any]) -> Failure:
    kind = text(value.get("kind")) or ""
    parts = {name: text(value.get(name)) for name in ("where", "why", "fix")}
    what = text(value.get("what")) or "The task failed"
    skipped = kind in ("Skipped", "Superseded", "ReleasedMeanwhile")
    return Failure(run_id=run_id, task_id=task_id, at=at, kind=kind, what=what, skipped=skipped, **parts)


def unexplained(run_id: str, task_id: str, at: datetime | None) -> Failure:
    """Return what to say about a failed task that has kept no error: it was killed, marked or had a bug."""
    return Failure(
        run_id=run_id,
        task_id=task_id,
        at=at,
        kind="",
        what="The task failed and left no reason",
        why="somebody marked it, its process was killed, or the error is none of Slipway's",
        fix="read the end of its log, then clear the task",
    )


def figures(results: Results) -> list[Figure]:
    """Return a release's numbers beside those of the live model: metrics with gates, held-out rows, latencies."""
    evaluation, test = results.of("evaluate"), results.of("test_dev")
    metrics = _mapping(evaluation.get("metrics"))
    live = _mapping(_mapping(evaluation.get("live")).get("metrics"))
    gates = {gate["metric"]: gate for gate in evaluation.get("gates") or () if isinstance(gate, Mapping)}
    found = [
        Figure(
            name=name,
            new=_number(metrics.get(name)) or "not reported",
            live=_number(live.get(name)),
            gate=_bounds(gates.get(name, {})),
            passed=gates[name].get("passed") if name in gates else None,
        )
        for name in sorted({*metrics, *gates})
    ]
    champion = _mapping(test.get("champion"))
    if champion:
        rule, passed = text(champion.get("rule")), champion.get("passed")
        name = f"{champion.get('metric')} on the same {champion.get('rows')} rows"
        new, old = _number(champion.get("candidate")), _number(champion.get("live"))
        found.append(Figure(name=name, new=new or "-", live=old or "failed", gate=rule, passed=passed))
        new, old = _number(champion.get("candidate_p99_ms")), _number(champion.get("live_p99_ms"))
        found.append(Figure(name="p99 latency, ms", new=new or "-", live=old))
        return found
    for name, gate, sign in (("accuracy", "accuracy_minimum", "≥"), ("rmse", "rmse_maximum", "≤")):
        if name in test:
            bound = _number(test.get(gate))
            said = f"{sign} {bound}" if bound else None
            shown = f"{name} on {test.get('rows', '?')} held-out rows"
            found.append(Figure(name=shown, new=_number(test[name]) or "-", gate=said, passed=True))
    if latency := _number(_mapping(test.get("latency_ms")).get("p99")):
        found.append(Figure(name="p99 latency, ms", new=latency))
    return found


def measured(results: Results) -> dict[str, float]:
    """Return the numbers of a release that plots show, by name; those that are no number are left out."""
    evaluation, found = results.of("evaluate"), {}
    for name, value in _mapping(evaluation.get("metrics")).items():
        found[str(name)] = value
    for environment, test in (("development", results.of("test_dev")), ("production", results.of("test_prd"))):
        for name in ("accuracy", "rmse"):
            found[f"{name} in {environment}"] = test.get(name)
        for name, value in _mapping(test.get("latency_ms")).items():
            found[f"{name} latency in {environment}, ms"] = value
    numbers = {name: number_of(value) for name, value in found.items() if isinstance(value, int | float)}
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def version_of(arn: str | None) -> str | None:
    """Return a model package's number in its group."""
    return package_version(arn) if arn else None


def text(value: Any) -> str | None:
    """Return a value of an XCom as text; None if there is none."""
    return None if value is None or value == "" else str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> str | None:
    return None if value is None else number_text(number_of(value))


def _bounds(gate: Mapping[str, Any]) -> str | None:
    bounds = [
        f"{sign} {_number(gate[bound])}"
        for bound, sign in (("minimum", "≥"), ("maximum", "≤"))
        if gate.get(bound) is not None
    ]
    return " and ".join(bounds) or None
