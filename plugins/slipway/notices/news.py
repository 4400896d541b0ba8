"""News about how releases end: failed, superseded and, where the model file asks for it, released.

Builds of images tell of their failures in the same way (images/news.py).

A task that knows why its release ends sends the message itself and marks its error as told. What fails a run in any
other way, such as a killed worker, reaches the DAG's callback, which Airflow's DAG processor calls once for each run
that has failed. For a run that a person marks failed, the guard asks for that callback.
https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/logging-monitoring/callbacks.html
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from slipway.errors import Rejected, SlipwayError
from slipway.formats.json_numbers import number_of, number_text
from slipway.host.links import run_url
from slipway.host.task_errors import FAILURE
from slipway.metrics.catalogue import RELEASE_DURATION
from slipway.metrics.record import enabled, flush, record
from slipway.names import package_version
from slipway.notices.send import Message, Notice, Notices
from slipway.plan import DEPLOY_PRD, result_of, roll_back_target_of
from slipway.states import TrialOutcome

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.config import ModelConfig

# How a callback's reason begins for a run that a person has marked failed.
_MARKED = "marked failed by "
# The task that ends well only where production serves the release.
_LAST_TEST = "test_prd"
_SETTLE_TRIAL = "settle_trial"


def on_failure(model: ModelConfig) -> Callable[[Context], None]:
    """Return the callback of a model's DAG for runs that have failed."""
    return functools.partial(_ended, model, _tell_failed, failed=True)


def on_success(model: ModelConfig) -> Callable[[Context], None] | None:
    """Return the callback of a model's DAG for runs that ended well; None if nobody asked for it."""
    if not model.news.successes and not enabled():
        return None
    return functools.partial(_ended, model, _tell_released if model.news.successes else None, failed=False)


def marked_failed_by(name: str | None) -> str:
    """Return the reason of a callback for a run that a person has marked failed.

    :param name: the person's name in Airflow
    """
    return f"{_MARKED}{name}"


def about_error(notice: Notice, error: SlipwayError, context: Context, *, what: str) -> Message:
    """Write the message about an error that ends the running task.

    :param notice: what the message is about
    :param error: the error
    :param context: the task's Airflow context
    :param what: the message's first sentence
    """
    return _message(context, notice, what, {"what": error.what, "where": error.resource, "why": error.why}, error.fix)


def _ended(
    model: ModelConfig, tell: Callable[[ModelConfig, Context], None] | None, context: Context, *, failed: bool
) -> None:
    """Measure the run that has ended, and tell people of it."""
    run: Any = context.get("dag_run")
    # Of a run that failed before its first task Airflow tells little.
    if enabled() and run and run.start_date:
        seconds = ((run.end_date or datetime.now(UTC)) - run.start_date).total_seconds()
        record(RELEASE_DURATION, seconds, model=model.prefix, outcome=_outcome(context, failed=failed))
        # The process of a callback is short.
        flush()
    if tell:
        tell(model, context)


def kept_failure(context: Context) -> Mapping[str, Any]:
    """Return what the task that has failed kept about its error, as host.task_errors writes it; empty if nothing."""
    ti: Any = context.get("ti")
    return (ti and ti.xcom_pull(task_ids=ti.task_id, key=FAILURE)) or {}


def _outcome(context: Context, *, failed: bool) -> str:
    """Say how a run ended: Airflow knows only failed and success, which a superseded run has too."""
    ti: Any = context.get("ti")
    if failed:
        return "rejected" if kept_failure(context).get("kind") == Rejected.__name__ else "failed"
    if ti is None or not ti.xcom_pull(task_ids=_LAST_TEST):
        return "superseded"
    return "rolled_back" if _rolls_back(context) else "released"


def _tell_failed(model: ModelConfig, context: Context) -> None:
    tell_failed("roll-back" if _rolls_back(context) else "release", model, context)


def tell_failed(kind: str, model: ModelConfig, context: Context) -> None:
    """Tell people that a run has failed, unless the task that failed has told them.

    :param kind: what the run is
    :param model: the model whose people are told
    :param context: the callback's context
    """
    ti: Any = context.get("ti")
    reason = str(context.get("reason") or "")
    if reason.startswith(_MARKED):
        what = f"The {kind} was {reason}"
        fix = "ask that person why; to go on, clear the tasks that were failed or skipped, or upload the zip again"
        message = _message(context, Notice.FAILED, what, {"why": f"the run was {reason}"}, fix, model=model.prefix)
        return Notices.of_news(model).send_from_callback(message, context, model.aws_conn_id)
    failure = kept_failure(context)
    if failure.get("told"):
        return
    what = f"The {kind} failed in {ti.task_id}" if ti else f"The {kind} failed before any of its tasks"
    unknown = {
        "why": "the task kept no reason: it was killed or marked, or an error that is none of Slipway's ended it"
    }
    fix = failure.get("fix") or "read the task's log, remove the cause, then clear the task and those after it"
    message = _message(context, Notice.FAILED, what, failure or unknown, fix, model=model.prefix)
    Notices.of_news(model).send_from_callback(message, context, model.aws_conn_id)


def _tell_released(model: ModelConfig, context: Context) -> None:
    """Tell people that production serves a release; a run that was superseded also ends well for Airflow."""
    ti: Any = context.get("ti")
    if ti is None or not ti.xcom_pull(task_ids=_LAST_TEST):
        return
    what = "Production was rolled back" if _rolls_back(context) else _in_production(ti)
    message = _message(context, Notice.RELEASED, what, {}, None, model=model.prefix)
    Notices.of_news(model).send_from_callback(message, context, model.aws_conn_id)


def _in_production(ti: Any) -> str:
    """Say how production serves a release: alone, or beside the live model after its trial, or no more."""
    plan, deployed, settled = (
        ti.xcom_pull(task_ids=one) or {} for one in ("process_request", DEPLOY_PRD, _SETTLE_TRIAL)
    )
    if settled.get("outcome") == TrialOutcome.RETIRED.value:
        return "The trial has ended: production serves the live model alone again"
    share = plan.get("trial_share")
    if share is not None and "ModelBDataUrl" in (settled or deployed).get("outputs", {}):
        return f"The release is in production with {number_text(number_of(share) * 100)} % of the requests"
    return "The release is in production"


def _message(
    context: Context,
    notice: Notice,
    what: str,
    parts: Mapping[str, Any],
    fix: str | None,
    *,
    model: str | None = None,
) -> Message:
    ti: Any = context.get("ti")
    dag_id, run_id = (ti.dag_id, ti.run_id) if ti else (str(model), str(context.get("run_id")))
    where = " ".join(filter(None, (parts.get("what"), f"({parts['where']})" if parts.get("where") else None)))
    reason = ": ".join(filter(None, (where, parts.get("why"))))
    link = run_url(dag_id, run_id)
    return Message(
        notice,
        f"{notice}/{reason}",
        model or dag_id,
        what,
        f"{link}/tasks/{ti.task_id}" if ti else link,
        version=version_of(context) if ti else "",
        stage=ti.task_id if ti else "",
        reason=reason,
        fix=fix or "",
    )


def version_of(context: Mapping[str, Any]) -> str:
    """Name the release of a task: the model package's version once there is one, and S3's version of the zip.

    :param context: the task's Airflow context
    :returns: empty before ``source`` has pinned a version
    """
    plan, registration = (result_of(context, task) or {} for task in ("process_request", "register"))
    # A task has read the plan already; before it is made, only `source` knows the version.
    revision = plan.get("revision") or result_of(context, "source") or {}
    arn, version_id = registration.get("model_package_arn"), revision.get("version_id")
    named = (f"v{package_version(arn)}" if arn else "", f"VersionId {version_id} of the zip" if version_id else "")
    return ", ".join(filter(None, named))


def _rolls_back(context: Context) -> bool:
    return roll_back_target_of(getattr(context.get("dag_run"), "conf", None)) is not None
