"""The release DAG of one model: upload, train, development, a person's approval, production."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param, TaskGroup, TriggerRule, chain
from airflow.sdk.definitions.param import ParamsDict

from slipway.approval.approve import HumanApprovalSensor
from slipway.cleanup.collect_garbage import CollectGarbageOperator
from slipway.deployment.deploy_endpoint import EndpointDeployOperator
from slipway.deployment.roll_back import RollBackOperator
from slipway.host.airflow_version import require_airflow
from slipway.model.config import ModelConfig
from slipway.model.pipelines import STALE_TAG, Stale
from slipway.names import DAG_TAG, RELEASE_TAG
from slipway.notices.news import on_failure, on_success
from slipway.notices.send import Notices
from slipway.plan import DEPLOY_PRD, PREVIOUS, ROLL_BACK, ROLL_BACK_TO, STRESS_DEV
from slipway.quality.endpoint import EndpointTestOperator
from slipway.quality.evaluate import EvaluateOperator
from slipway.registry.register import RegisterModelOperator
from slipway.request.task import ProcessRequestOperator
from slipway.source import form
from slipway.source.pin import S3VersionSensor
from slipway.states import Decider, Environment, ExecutionMode
from slipway.stress.operators import ReleaseStressOperator
from slipway.training.train import SlipwayTrainingOperator
from slipway.trial.decide import TrialDecisionSensor
from slipway.trial.settle import TrialSettleOperator
from slipway.trial.watch import TrialWatchOperator

# For failures that the hooks do not wait out. Errors that a retry cannot fix fail a task at once.
_RETRIES = {"retries": 3, "retry_delay": timedelta(seconds=10), "retry_exponential_backoff": True}
# An approval is retried when something interrupts it, such as an answer right after the question (docs/decisions.md,
# 11). A person waits for the result, so the delay must not double with each question.
_APPROVAL_RETRIES = {"retries": 10, "retry_delay": timedelta(seconds=5), "retry_exponential_backoff": False}
# A roll-back is a run of this DAG, so open releases must not use up its runs (16 by Airflow's default): approvals and
# trials stay open for days. The scheduler looks at 20 running runs in each loop, so a run more costs it little.
# https://airflow.apache.org/docs/apache-airflow/stable/configurations-ref.html#max-active-runs-per-dag
MAX_OPEN_RUNS = 10_000
# How many training jobs may run at once where the stages do not see to it; Airflow counts deferred tasks here.
_PARALLEL_TRAININGS = 16
_SOURCE_TIMEOUT_SECONDS = timedelta(days=1).total_seconds()
# DAGs for the processes that are forked from this one, with the model that each was made from.
_prepared: dict[int, tuple[ModelConfig, DAG]] = {}


def prepare_release_dag(model: ModelConfig) -> None:
    """Make a model's DAG for the processes that are forked from this one; each may take it once.

    :param model: as ``load_model`` gives it, which is the same object as long as the file is the same
    """
    made = _new_release_dag(model, None)
    # Airflow does both in each process of a task, and the first time takes much longer.
    made.params.validate()
    made.get_template_env()
    _prepared[id(model)] = model, made


def build_release_dag(model: ModelConfig, stale: Stale | None = None) -> DAG:
    """Wire one model's release.

    :param model: the model file
    :param stale: why this is an earlier version of the file, where it is
    :returns: a DAG whose id is the model's prefix; nobody else has it
    :raises slipway.errors.PermanentError: when Airflow is too old
    """
    require_airflow()
    prepared = _prepared.pop(id(model), None) if stale is None else None
    return prepared[1] if prepared else _new_release_dag(model, stale)


def _new_release_dag(model: ModelConfig, stale: Stale | None) -> DAG:
    with DAG(
        dag_id=model.prefix,
        description=f"STALE: {stale} {model.description}" if stale else model.description,
        schedule=None,
        catchup=False,
        is_paused_upon_creation=False,
        max_active_runs=MAX_OPEN_RUNS,
        default_args=_RETRIES,
        tags=[DAG_TAG, RELEASE_TAG, *([STALE_TAG] if stale else [])],
        on_failure_callback=on_failure(model),
        on_success_callback=on_success(model),
        doc_md=_documentation(model, stale),
    ) as dag:
        with _stage(1, "build", "reads the upload, trains the model and registers it"):
            source = S3VersionSensor(
                task_id="source",
                model_prefix=model.prefix,
                bucket_name=model.source.bucket,
                bucket_key=model.source.key,
                aws_conn_id=model.aws_conn_id,
                poke_interval=model.timeouts.poll_seconds,
                timeout=_SOURCE_TIMEOUT_SECONDS,
                held=str(stale) if stale else None,
                data=[one.data for one in model.inlets],
            )
            build = (
                ProcessRequestOperator(task_id="process_request", model=model),
                SlipwayTrainingOperator(
                    task_id="train",
                    model=model,
                    max_active_tis_per_dag=(
                        _PARALLEL_TRAININGS if model.execution_mode is ExecutionMode.PARALLEL else None
                    ),
                ),
                EvaluateOperator(task_id="evaluate", model=model),
                RegisterModelOperator(task_id="register", model=model),
            )
        with _stage(2, "development", "deploys and tests the development endpoint"):
            development = (
                EndpointDeployOperator(task_id="deploy_dev", model=model, environment=Environment.DEVELOPMENT),
                EndpointTestOperator(task_id="test_dev", model=model, environment=Environment.DEVELOPMENT),
                *([ReleaseStressOperator(task_id=STRESS_DEV, model=model)] if model.stress.before_production else []),
            )
        with _stage(3, "approval", "asks the model's approvers"):
            approve = HumanApprovalSensor(
                task_id="approve",
                subject=model.approval.subject,
                rules=model.approval.rules(),
                home_bucket=model.source.bucket,
                timeout_days=model.approval.timeout_days,
                strategy=model.deployment.words if model.deployment else "all at once",
                notices=Notices.of(model.approval),
                news=Notices.of_news(model),
                execution_mode=model.execution_mode,
                poll_seconds=model.timeouts.poll_seconds,
                aws_conn_id=model.aws_conn_id,
                **_APPROVAL_RETRIES,
            )
        with _stage(4, "production", "deploys and tests the production endpoint"):
            # A run is a release or a roll-back: the other way to production is skipped.
            roll_back = RollBackOperator(task_id=ROLL_BACK, model=model, trigger_rule=TriggerRule.ALL_SKIPPED)
            deploy_prd = EndpointDeployOperator(
                task_id=DEPLOY_PRD,
                model=model,
                environment=Environment.PRODUCTION,
                trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
            )
            test_prd = EndpointTestOperator(task_id="test_prd", model=model, environment=Environment.PRODUCTION)
        with _stage(5, "trial", "compares the new model with the live one, where an A/B test is on"):
            watch_trial = TrialWatchOperator(task_id="watch_trial", model=model, skips=("decide_trial", "settle_trial"))
            decide_trial = TrialDecisionSensor(task_id="decide_trial", model=model, **_APPROVAL_RETRIES)
            settle_trial = TrialSettleOperator(task_id="settle_trial", model=model)
        collect_garbage = CollectGarbageOperator(
            task_id="collect_garbage", model=model, trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS
        )
        chain(source, *build, *development, approve, deploy_prd, test_prd)
        chain(test_prd, watch_trial, decide_trial, settle_trial, collect_garbage)
        chain(source, roll_back, deploy_prd)
        # Without a trial the two tasks in between are skipped.
        chain(watch_trial, collect_garbage)
    # Set last: otherwise Airflow copies the form for every class of every task, half the time of a parse. Tasks see the
    # same, https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/params.html
    dag.params = ParamsDict(_form(model))
    return dag


def _stage(place: int, name: str, does: str) -> TaskGroup:
    """Open a group of tasks in the grid and the graph; the ids of its tasks stay as they are.

    https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/dags.html#taskgroups

    :param place: Airflow's grid sorts groups by id where the edges between their first tasks give no order
    :param name: what the group is called
    :param does: what its tasks do
    """
    return TaskGroup(f"{place}_{name}", group_display_name=name, prefix_group_id=False, tooltip=does)


def _form(model: ModelConfig) -> dict[str, Param]:
    """Build the form of "Trigger" in the UI; for an upload, the intake fills it in."""
    release, roll_back = "Release a version", "Roll production back"
    return {
        form.VERSION_ID: Param(
            None,
            type=["null", "string"],
            maxLength=1024,
            pattern=form.PATTERNS[form.VERSION_ID],
            title="Version id",
            description="The version of the zip to release, as S3 names it. Empty: the newest.",
            section=release,
        ),
        form.NEW_ATTEMPT: Param(
            False,
            type="boolean",
            title="New attempt",
            description="Release a version that has been released before: with a new training job, model package and "
            "approval, as if it were uploaded now.",
            section=release,
        ),
        form.BUCKET: Param(
            model.source.bucket,
            type="string",
            pattern=form.PATTERNS[form.BUCKET],
            title="Bucket",
            description="S3 bucket with versioning. {region} and {account} are those of the AWS connection.",
            section=release,
        ),
        form.KEY: Param(
            model.source.key,
            type="string",
            pattern=form.PATTERNS[form.KEY],
            title="Key",
            description="The zip's key, without the bucket.",
            section=release,
        ),
        ROLL_BACK_TO: Param(
            None,
            type=["null", "string"],
            pattern=form.PATTERNS[ROLL_BACK_TO],
            title="Roll back to",
            description=f"Put an earlier approved model back into production at once, without training: `{PREVIOUS}` "
            "for the one before the live model, a model package's ARN or a revision's id. Only approvers may; leave "
            "version id and new attempt as they are. Empty: this run is a release.",
            section=roll_back,
        ),
    }


def _documentation(model: ModelConfig, stale: Stale | None) -> str:
    gates = "\n".join(
        f"- `{gate.metric}`"
        + (f" at least {gate.minimum:g}" if gate.minimum is not None else "")
        + (f" at most {gate.maximum:g}" if gate.maximum is not None else "")
        for gate in model.gates
    )
    stress = "\n| stress_dev | load for the development endpoint, compared with the model file's limits |"
    stress = stress if model.stress.before_production else ""
    notice = f"\n**Stale model file.** {stale.markdown}\n" if stale else ""
    return f"""\
# {model.prefix}
{notice}
{model.description}

An upload to `s3://{model.source.bucket}/{model.source.key}` starts a release. To release a version by hand, press
Trigger and give its version id; leave it empty for the newest.

To roll production back, press Trigger and write `{PREVIOUS}`, a model package's ARN or a revision's id into "Roll back
to". Only {_people(model)} may. Nothing is trained and nobody is asked: the approval on record must be enough.

| task | does |
|---|---|
| source | pins one version of the zip |
| process_request | reads the zip and checks it against the model's policy, before anything is started |
| train | runs the SageMaker training job, created once for each version |
| evaluate | compares the metrics with the gates below |
| register | creates a model package in the Model Registry, pending approval |
| deploy_dev, test_dev | deploys the CloudFormation stack of the development endpoint, and tests it |{stress}
| approve | {_people(model)} may approve or reject, within {model.approval.timeout_days:g} days |
| roll_back | only in a roll-back, instead of all the above: chooses the model and checks that it is approved |
| deploy_prd, test_prd | deploys the CloudFormation stack of the production endpoint, and tests it |
| watch_trial, decide_trial, settle_trial | {_trial(model)} |
| collect_garbage | removes what superseded releases left; keeps {model.roll_back.keep_releases} for roll-backs |

Gates:

{gates or "- none"}
"""


def _trial(model: ModelConfig) -> str:
    if model.trial is None:
        return "nothing: the model file has no section trial; an A/B test's weights stay as deployed"
    who = _people(model) if model.trial.decide is Decider.PERSON else "the model file's rule"
    return (
        f"watches an A/B test for {model.trial.minutes:g} minutes; then {who} may promote, keep or retire the new model"
    )


def _people(model: ModelConfig) -> str:
    return ", ".join(model.approval.rules().approvers)
