"""What `doctor` asks Airflow: its parts, its version, the plugin, the guard, the DAGs, the survey, and the models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from slipway.command.airflow import Airflow, open_url
from slipway.command.findings import Finding, looking, ok, problem, unknown
from slipway.names import (
    DAG_TAG,
    DRIFT_DAG_ID,
    INTAKE_DAG_ID,
    LIVE_DAG_ID,
    REAPER_DAG_ID,
    STRESS_TEST_DAG_ID,
    TEARDOWN_DAG_ID,
)

# As pyproject.toml has it.
_SUPPORTED = re.compile(r"3\.3\.")
_PARTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
# Several buckets or connections each have one of the first four, with a suffix.
_DAGS = (INTAKE_DAG_ID, REAPER_DAG_ID, DRIFT_DAG_ID, LIVE_DAG_ID, STRESS_TEST_DAG_ID, TEARDOWN_DAG_ID)
_PLUGIN_FIX = "install Slipway beside Airflow's API server, or put plugins/ into its plugins folder, and restart it"


def of_server(url: str) -> list[Finding]:
    """Look at what needs no login.

    :param url: Airflow's address
    :raises CommandError: when it does not answer
    """
    health = open_url(f"{url}/api/v2/monitor/health")
    found = [ok("Airflow answers", url)]
    for part in _PARTS:
        state = (health.get(part) or {}).get("status")
        if state == "healthy":
            found.append(ok(f"Airflow's {part}"))
        else:
            found.append(problem(f"Airflow's {part}", str(state or "no state"), f"start the {part}; read its log"))
    version = str(open_url(f"{url}/api/v2/version").get("version", ""))
    if _SUPPORTED.match(version):
        found.append(ok("Airflow's version", version))
    else:
        found.append(problem("Airflow's version", version or "unknown", "use Airflow 3.3, which Slipway is made for"))
    found.append(_guard(open_url(f"{url}/slipway/guard/health")))
    return found


def _guard(answer: Mapping[str, Any]) -> Finding:
    if answer == {"guard": "active"}:
        return ok("the approval guard", "active: only approvers approve")
    if why := answer.get("why"):
        fix = "until it is active, changes are refused; read the API server's log, and fix what it names"
        return problem("the approval guard", f"inactive: {why}", fix)
    return problem("the approval guard", "Slipway's plugin is not loaded in the API server", _PLUGIN_FIX)


def of_person(airflow: Airflow, wanted: str | None) -> list[Finding]:
    """Look at what a person who is logged in sees.

    :param airflow: the API, as the person
    :param wanted: one model; None for all
    :raises CommandError: when Airflow does not accept the login
    """
    dags = airflow.listed("dags", "dags", tags=DAG_TAG, order_by="dag_id")
    found = [ok("your login")]
    with looking("the board", found):
        page = airflow.releases(order="model", **({"text": wanted} if wanted else {}))
        found[0] = ok("your login", page["user"])
        found.append(ok("Slipway's plugin and its board"))
        found += _survey(page["survey"])
        rows = [row for row in page["models"] if wanted in (None, row["model"])]
        if wanted and not rows:
            fix = f"put {wanted}.yaml into include/models of that Airflow"
            found.append(problem(f"model {wanted}", "Airflow has no pipeline of it", fix))
        for row in rows:
            found += _model(row)
    found += _dags(dags)
    with looking("the DAG files", found):
        errors = airflow.listed("importErrors", "import_errors")
        found += [problem("a DAG file", one["filename"], one["stack_trace"].strip().splitlines()[-1]) for one in errors]
        if not errors:
            found.append(ok("the DAG files", "no import error"))
    return found


def _survey(survey: Mapping[str, Any]) -> Iterator[Finding]:
    if survey["state"] == "fresh":
        yield ok("the survey of AWS", "fresh")
    else:
        fix = "unpause the DAG live, and check that the triggerer runs"
        yield problem("the survey of AWS", survey["say"] or f"it is {survey['state']}", fix)


def _dags(dags: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    listed = list(dags)
    for name in _DAGS:
        mine = [one for one in listed if one["dag_id"] == name or one["dag_id"].startswith(f"{name}-")]
        paused = [one["dag_id"] for one in mine if one["is_paused"]]
        if not mine:
            yield problem(f"the DAG {name}", "it is not there", "put dags/ into Airflow's DAGs folder")
        elif paused:
            yield problem(f"the DAG {name}", f"{', '.join(paused)} is paused", "unpause it on its page")
        else:
            yield ok(f"the DAG {name}")


def _model(row: Mapping[str, Any]) -> Iterator[Finding]:
    about = f"model {row['model']}"
    if row["paused"]:
        yield problem(about, "its DAG is paused, so no release starts", "unpause it on its page")
    for one in row["served"]:
        where = f"{about}, {one['environment']}"
        if one["failure"]:
            yield problem(where, one["failure"], "read the endpoint's events; the next release makes it again")
        for line in one["drift"]:
            yield problem(where, f"changed by hand: {line}", "the next release sets it right; or undo the change")
        for alarm in one["alarms"]:
            if alarm.get("state") == "ALARM":
                yield problem(where, f"the alarm {alarm['name']} fires", f"look at it; slipway rollback {row['model']}")
    if row["failure"]:
        failure = row["failure"]
        yield problem(
            about, f"{failure['task_id']}: {failure['what']}", failure["fix"] or f"slipway logs {row['model']}"
        )
    elif not row["served"]:
        yield unknown(about, "no endpoint of it is known; it has not been released yet")
    else:
        yield ok(about, f"{row['need']}; {', '.join(one['endpoint'] + ' ' + one['status'] for one in row['served'])}")
