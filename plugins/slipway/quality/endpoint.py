"""Test an endpoint: whether it serves this release, how well and how fast it answers, and how the live model does."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator

from slipway.assets.endpoint import live_alias
from slipway.assets.live import announce
from slipway.aws.clients import client
from slipway.aws.identity import resolve
from slipway.aws.links import EndpointLink
from slipway.aws.s3 import S3Hook
from slipway.aws.sagemaker import SageMakerHook
from slipway.deployment import drift
from slipway.deployment.parameters import candidate
from slipway.deployment.wait import EndpointInServiceTrigger
from slipway.errors import AwsError, EndpointTestFailed
from slipway.host.links import NewerReleaseLink
from slipway.load.answers import Answers
from slipway.load.rows import Row
from slipway.names import LIVE_VARIANT
from slipway.plan import TESTED_AT, ReleasePlan, named_package_arn, pull_package_arn, pull_plan, result_of
from slipway.quality import champion, golden
from slipway.quality.gates import judge_answers
from slipway.quality.held_out import HeldOutHook, check_labels
from slipway.quality.invocations import LightInvocationHook
from slipway.quality.scoring import Prediction, Score
from slipway.quality.served import Containers, answers_of, check_config, containers, data_urls, variant_serving
from slipway.registry.hook import ModelRegistryHook
from slipway.stages.mixin import STAGE_OF, StageMixin
from slipway.states import ON_THE_WAY, SERVING, EndpointStatus, Environment, ExecutionMode
from slipway.waiting.results import WaitOutcome, WaitResult

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.config import ModelConfig


class EndpointTestOperator(StageMixin, BaseOperator):
    """Check that an environment's endpoint serves this release, and check its answers against the gates.

    The release keeps the environment until it has passed: the next release would change what is being tested.

    In development the model is also compared with the live model, which answers the same rows in production. An
    earlier task cannot do that: it has no endpoint to invoke the new model with.

    InService is not enough: after a roll-back the endpoint is InService with the previous model.
    https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html

    :param model: The model file's content.
    :param environment: The environment whose endpoint is tested.
    """

    operator_extra_links = (EndpointLink(), NewerReleaseLink())
    hook = client(SageMakerHook)
    light = client(LightInvocationHook)
    held_out = client(HeldOutHook)
    registry = client(ModelRegistryHook)
    s3 = client(S3Hook)
    compare_stack = staticmethod(drift.of_stack)

    def __init__(self, *, model: ModelConfig, environment: Environment, **kwargs: Any) -> None:
        if environment is Environment.PRODUCTION:
            # Not among its inlets: see host.assets.
            kwargs = {"outlets": [live_alias(model.prefix)], **kwargs}
        super().__init__(**kwargs)
        self.model = model
        self.environment = environment
        self.configure_stages(model)

    def execute(self, context: Context) -> dict[str, Any]:
        """Wait for the endpoint, check what it serves, and invoke it with the held-out rows and the golden set.

        :param context: The task's Airflow context.
        :returns: The number of rows, the accuracy or rmse with its gate, latencies, the variants that answered, and in
            development the comparison with the live model.
        :raises slipway.errors.GateFailed: When the model breaks the champion rule.
        :raises slipway.errors.Superseded: When a newer release has replaced this one.
        :raises slipway.errors.EndpointTestFailed: Saying what is wrong and by how much.
        """
        self.enter_stage(context, STAGE_OF[self.environment])
        return self._test(context, deadline=time.time() + self.model.timeouts.stack_seconds)

    def resume(self, context: Context, event: dict[str, Any] | None, deadline: float) -> dict[str, Any]:
        """Continue when the endpoint has settled.

        :param context: The task's Airflow context.
        :param event: How the wait ended.
        :param deadline: When to give up waiting, in seconds since the epoch.
        :returns: As execute.
        """
        result = WaitResult.from_event(event)
        name = pull_plan(context).endpoint(self.environment)
        if result.outcome is WaitOutcome.REFUSED:
            raise result.refused("Cannot wait for the endpoint", name)
        if result.outcome is WaitOutcome.TIMEOUT:
            raise EndpointTestFailed(
                f"The endpoint was not InService within {self.model.timeouts.stack_seconds} s",
                resource=name,
                why=f"it is {result.status or 'unknown'} {result.reason}".rstrip(),
                fix="wait until it is InService in the SageMaker console, then clear this task; "
                f"if its update fails, {self._deploy_again}",
            )
        return self._test(context, deadline=deadline)

    def _test(self, context: Context, *, deadline: float) -> dict[str, Any]:
        plan = pull_plan(context)
        name = plan.endpoint(self.environment)
        endpoint = self.hook.describe_endpoint(name)
        if endpoint is None:
            raise EndpointTestFailed(
                "The endpoint does not exist",
                resource=name,
                why="somebody has deleted it since it was deployed",
                fix=self._deploy_again,
            )
        status = EndpointStatus(endpoint["EndpointStatus"])
        if status in ON_THE_WAY:
            self._wait(name, deadline)
        if status is not EndpointStatus.IN_SERVICE:
            raise EndpointTestFailed(
                f"The endpoint is {status}",
                resource=name,
                why=endpoint.get("FailureReason") or "SageMaker gives no reason",
                fix=f"fix what the reason names, then {self._deploy_again}",
            )
        deployed = result_of(context, f"deploy_{self.environment.short}")
        outputs = deployed["outputs"]
        registered = self._data_url(context, plan)
        EndpointLink.keep_for(endpoint["EndpointArn"], self, self.model.aws_conn_id, endpoint_name=name)
        check_config(endpoint, outputs, plan.revision_id)
        served = containers(self.hook, endpoint)
        ours = variant_serving(registered, data_urls(served), name)
        answers = answers_of(served, self.s3)
        test = self.model.test
        place = resolve(test.data, self.model.aws_conn_id)
        rows = self.held_out.rows(place, test.max_rows)
        check_labels(rows, answers.values(), place)
        self.log.info("Invoking %s with %d held-out rows", name, len(rows))
        score = self._ask(name, rows, answers)
        figures, misses = judge_answers(test, score)
        result = {"endpoint_name": name, **figures}
        self.log.info("%s", result)
        if misses:
            raise EndpointTestFailed(
                "The endpoint misses its gates",
                resource=name,
                why="; ".join(misses),
                fix="train a better model, or correct the rows, or test in the model file, and upload the zip again",
            )
        result |= self._test_golden_set(name, answers, ours)
        if self.environment is Environment.DEVELOPMENT:
            if len(score.variants) > 1:
                score = self._ask(name, rows, answers, ours)
            result["champion"] = self._compare(context, rows, score, registered)
            result["production_drift"] = self._production_drift(plan)
        if self.environment is Environment.PRODUCTION:
            result[TESTED_AT] = datetime.now(UTC).isoformat()
            place, change = endpoint["EndpointArn"].split(":")[3:5], "rolled back" if plan.rolls_back else "released"
            announce(context, plan, place, deployed, result, change=change, judged=self.model.trial is not None)
        if not self._keeps_stage:
            self.leave_stages(context, STAGE_OF[self.environment])
        return result

    def _data_url(self, context: Context, plan: ReleasePlan) -> str:
        """Return the artefact of the release's model package, or of the package that production is rolled back to."""
        package = self.registry.find_model_package(plan, named=named_package_arn(context, plan))
        if package is None:
            raise EndpointTestFailed(
                "The model package of this release no longer exists",
                resource=plan.model_package_group,
                why=f"no package has revision {plan.revision_id} and digest {plan.digest}",
                fix="start a roll-back to a release whose package exists"
                if plan.rolls_back
                else "clear the task register and what follows; the new package needs an approval again",
            )
        return candidate(package).model.data_url

    @property
    def _deploy_again(self) -> str:
        return f"clear deploy_{self.environment.short} and what follows"

    @property
    def _keeps_stage(self) -> bool:
        """Whether a later task leaves the stage: the stress test, or under QUEUED the end of the trial."""
        if self.environment is Environment.DEVELOPMENT:
            return self.model.stress.before_production
        queued = self.execution_mode is ExecutionMode.QUEUED
        return queued and self.model.trial is not None

    def _wait(self, name: str, deadline: float) -> NoReturn:
        self.defer(
            trigger=EndpointInServiceTrigger(
                endpoint_name=name,
                deadline=deadline,
                poll_seconds=self.model.timeouts.poll_seconds,
                aws_conn_id=self.model.aws_conn_id,
            ),
            method_name="resume",
            kwargs={"deadline": deadline},
        )

    def _test_golden_set(self, name: str, answers: Mapping[str, Answers], variant: str) -> dict[str, Any]:
        if self.model.golden is None:
            return {}
        place = resolve(self.model.golden.data, self.model.aws_conn_id)
        rows = self.held_out.rows(place, golden.MAX_ROWS + 1)
        if len(rows) > golden.MAX_ROWS:
            raise EndpointTestFailed(
                f"The golden set has more than {golden.MAX_ROWS} rows",
                resource=place,
                why="a person must be able to check it row by row",
                fix="keep the most important rows, then clear this task",
            )
        check_labels(rows, answers.values(), place)
        golden.check(self._ask(name, rows, answers, variant).answers, self.model.golden.tolerance, name)
        return {"golden_rows": len(rows)}

    def _compare(self, context: Context, rows: Sequence[Row], score: Score, registered: str) -> dict[str, Any] | None:
        """Compare with the live model on the same rows; None without a rule or without another live model."""
        plan, rule = pull_plan(context), self.model.champion
        name = plan.endpoint(Environment.PRODUCTION)
        served = {} if rule is None else self._champion(name, registered)
        if rule is None or not served:
            return None
        regression = self.model.test.rmse_maximum is not None
        try:
            live = self._ask(name, rows, answers_of(served, self.s3), LIVE_VARIANT)
            live.check(regression=regression)
        except EndpointTestFailed as error:
            self.log.warning("The live model failed, so every candidate is better: %s", error.problem)
            live = None
        found = champion.compare(rule, score, live, regression=regression)
        self.log.info("Comparison with the live model: %s", found.to_xcom())
        self.registry.record_test(pull_package_arn(context), found.record(), digest=plan.digest)
        found.check(plan.prefix)
        return found.to_xcom()

    def _production_drift(self, plan: ReleasePlan) -> list[dict[str, str]] | None:
        """Return how production differs from its stack, for the approvers; None where that cannot be told."""
        try:
            found = self.compare_stack(plan.stack(Environment.PRODUCTION), self.model.aws_conn_id)
        except AwsError as error:
            # deploy_prd compares again, and must be able to.
            self.log.warning("Cannot compare production with its stack: %s", error.problem)
            return None
        for one in found or ():
            self.log.warning("Production differs from its stack: %s: %s", one, one.remedy)
        return None if found is None else [one.to_xcom() for one in found]

    def _champion(self, name: str, registered: str) -> dict[str, Containers]:
        """Return the containers of production if another model is live there; otherwise nothing."""
        endpoint = self.hook.describe_endpoint(name)
        if endpoint is None or EndpointStatus(endpoint["EndpointStatus"]) not in SERVING:
            self.log.info("Nothing is live in production, so the model is not compared")
            return {}
        served = containers(self.hook, endpoint)
        live = data_urls(served).get(LIVE_VARIANT, [])
        if not live or registered in live:
            self.log.info("No other model is live in production, so the model is not compared")
            return {}
        return served

    def _ask(self, name: str, rows: Sequence[Row], answers: Mapping[str, Answers], variant: str | None = None) -> Score:
        return Score([self._invoke(name, row, answers, variant) for row in rows])

    def _invoke(self, name: str, row: Row, answers: Mapping[str, Answers], variant: str | None) -> Prediction:
        try:
            body = row.features.encode()
            answer = self.light.invoke(name, body, target_variant=variant) or self.hook.invoke_endpoint(
                name, body, target_variant=variant
            )
        except AwsError as error:
            if error.code != "ModelError":
                raise
            raise EndpointTestFailed(
                "The model failed on a held-out row",
                resource=name,
                why=error.why,
                fix=f"read its error in CloudWatch Logs, group /aws/sagemaker/Endpoints/{name}; then correct the rows "
                "of test or golden in the model file and clear this task, or train a model that takes them",
            ) from error
        by = answer.variant or variant or ""
        text = answer.body.decode(errors="replace").strip()
        return Prediction(row.label, text, by, answer.latency_ms, answers.get(by, Answers.UNKNOWN))
