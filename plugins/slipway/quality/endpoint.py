"""Trying an endpoint out: that it serves this release, how well and how fast it answers, and how the live one does."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator

from slipway.aws.clients import client
from slipway.aws.identity import resolve
from slipway.aws.links import EndpointLink
from slipway.aws.sagemaker import SageMakerHook
from slipway.deployment.parameters import candidate
from slipway.deployment.wait import EndpointInServiceTrigger
from slipway.errors import AwsError, EndpointTestFailed
from slipway.host.links import NewerReleaseLink
from slipway.load.rows import Row
from slipway.names import LIVE_VARIANT
from slipway.plan import ReleasePlan, pull_package_arn, pull_plan
from slipway.quality import champion, golden
from slipway.quality.held_out import HeldOutHook
from slipway.quality.scoring import Prediction, Score
from slipway.registry.hook import ModelRegistryHook
from slipway.stages.mixin import STAGE_OF, StageMixin
from slipway.states import ON_THE_WAY, SERVING, EndpointStatus, Environment, ExecutionMode
from slipway.waiting.results import WaitOutcome, WaitResult

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.config import ModelConfig


class EndpointTestOperator(StageMixin, BaseOperator):
    """Checks that an environment's endpoint serves this release and holds its answers against the gates.

    The environment is this release's until it has passed: the next one would change what is being tried.

    In development the model also has to stand up to the live one, which answers the same rows in production. That is
    not for an earlier task: before there is an endpoint, nothing can invoke the new model.

    InService alone says little: after a roll-back the endpoint is InService with the model before.
    https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html

    :param model: The model file's content.
    :param environment: The environment whose endpoint is tried.
    """

    operator_extra_links = (EndpointLink(), NewerReleaseLink())
    hook = client(SageMakerHook)
    held_out = client(HeldOutHook)
    registry = client(ModelRegistryHook)

    def __init__(self, *, model: ModelConfig, environment: Environment, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.environment = environment
        self.configure_stages(model)

    def execute(self, context: Context) -> dict[str, Any]:
        """Wait for the endpoint, check what it serves, and invoke it with held-out rows and the golden set.

        :param context: The task's Airflow context.
        :returns: Rows, right answers, accuracy against its gate, latencies, the variants that answered, and in
            development how the live model did.
        :raises slipway.errors.GateFailed: When the model does not stand up to the live one.
        :raises slipway.errors.Superseded: When a newer release has taken this one's place.
        :raises slipway.errors.EndpointTestFailed: Saying what is wrong and by how much.
        """
        self.enter_stage(context, STAGE_OF[self.environment])
        return self._test(context, deadline=time.time() + self.model.timeouts.stack_seconds)

    def resume(self, context: Context, event: dict[str, Any] | None, deadline: float) -> dict[str, Any]:
        """Go on when the endpoint has settled.

        :param context: The task's Airflow context.
        :param event: How the wait ended.
        :param deadline: When to give up waiting, in seconds since the epoch.
        :returns: As execute.
        """
        result = WaitResult.from_event(event)
        name = pull_plan(context).endpoint(self.environment)
        if result.outcome is WaitOutcome.REFUSED:
            raise AwsError("Cannot watch the endpoint", resource=name, why=result.reason)
        if result.outcome is WaitOutcome.TIMEOUT:
            raise EndpointTestFailed(
                f"The endpoint was not InService within {self.model.timeouts.stack_seconds} s",
                resource=name,
                why=f"it is {result.status or 'unknown'} {result.reason}".rstrip(),
            )
        return self._test(context, deadline=deadline)

    def _test(self, context: Context, *, deadline: float) -> dict[str, Any]:
        plan, ti = pull_plan(context), context["ti"]
        name = plan.endpoint(self.environment)
        endpoint = self.hook.describe_endpoint(name)
        if endpoint is None:
            raise EndpointTestFailed("The endpoint does not exist", resource=name, fix="run the deployment again")
        status = EndpointStatus(endpoint["EndpointStatus"])
        if status in ON_THE_WAY:
            self._wait(name, deadline)
        if status is not EndpointStatus.IN_SERVICE:
            raise EndpointTestFailed(
                f"The endpoint is {status}", resource=name, why=endpoint.get("FailureReason"), fix="deploy again"
            )
        outputs = ti.xcom_pull(task_ids=f"deploy_{self.environment.short}")["outputs"]
        registered = self._data_url(plan)
        EndpointLink.persist_for(endpoint["EndpointArn"], context, self, endpoint_name=name)
        check_config(endpoint, outputs, plan.revision_id)
        ours = self._variant_of(endpoint, registered)
        test = self.model.test
        rows = self.held_out.rows(resolve(test.data, self.model.aws_conn_id), test.max_rows)
        self.log.info("Invoking %s with %d held-out rows", name, len(rows))
        score = self._ask(name, rows)
        result = self._judge(name, score) | self._try_golden_set(name, ours)
        if self.environment is Environment.DEVELOPMENT:
            if len(score.variants) > 1:
                score = self._ask(name, rows, ours)
            result["champion"] = self._compare(context, rows, score, registered)
        if not self._keeps_stage:
            self.leave_stages(context, STAGE_OF[self.environment])
        return result

    def _data_url(self, plan: ReleasePlan) -> str:
        """The artefact that has to be served: that of the release's package, or of the one production went back to."""
        group, revision_id, digest = plan.model_package_group, plan.revision_id, plan.digest
        package = self.hook.find_model_package(group, revision_id=revision_id, digest=digest)
        if package is None:
            raise EndpointTestFailed("The model package of this release is gone", resource=group, why=revision_id)
        return candidate(package).model.data_url

    @property
    def _keeps_stage(self) -> bool:
        """A stress test is of what was tested; and under QUEUED production is left when the trial has ended."""
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

    def _variant_of(self, endpoint: Mapping[str, Any], registered: str) -> str:
        """Look behind names and outputs: one of the models that are served has to be the registered one."""
        served = self._served(endpoint)
        for variant, data_urls in served.items():
            if registered in data_urls:
                return variant
        found = ", ".join(url for urls in served.values() for url in urls)
        raise EndpointTestFailed(
            "The endpoint does not serve the model of this release",
            resource=endpoint["EndpointName"],
            why=f"it serves {found or 'nothing that can be found'}, registered was {registered}",
            fix="look for a newer release or a change by hand, then run the deployment again",
        )

    def _served(self, endpoint: Mapping[str, Any]) -> dict[str, list[str]]:
        """The artefacts behind each variant of an endpoint."""
        config = self.hook.describe_endpoint_config(endpoint["EndpointConfigName"]) or {}
        served = {}
        for variant in config.get("ProductionVariants", []):
            model = self.hook.describe_model(variant["ModelName"]) or {}
            containers = [model.get("PrimaryContainer", {}), *model.get("Containers", [])]
            served[variant["VariantName"]] = [item["ModelDataUrl"] for item in containers if "ModelDataUrl" in item]
        return served

    def _try_golden_set(self, name: str, variant: str) -> dict[str, Any]:
        if self.model.golden is None:
            return {}
        place = resolve(self.model.golden.data, self.model.aws_conn_id)
        rows = self.held_out.rows(place, golden.MAX_ROWS + 1)
        if len(rows) > golden.MAX_ROWS:
            raise EndpointTestFailed(
                f"The golden set has more than {golden.MAX_ROWS} rows", resource=place, fix="keep the telling ones"
            )
        golden.check(self._ask(name, rows, variant).answers, self.model.golden.tolerance, name)
        return {"golden_rows": len(rows)}

    def _compare(self, context: Context, rows: Sequence[Row], score: Score, registered: str) -> dict[str, Any] | None:
        """Have the live model answer the same rows; None where there is no rule or no other model is live."""
        plan, rule = pull_plan(context), self.model.champion
        name = plan.endpoint(Environment.PRODUCTION)
        if rule is None or not self._has_champion(name, registered):
            return None
        try:
            live = self._ask(name, rows, LIVE_VARIANT)
        except EndpointTestFailed as error:
            self.log.warning("The live model is no rival: %s", error)
            live = None
        found = champion.compare(rule, score, live, regression=self.model.test.rmse_maximum is not None)
        self.log.info("Beside the live model: %s", found.to_xcom())
        self.registry.record_test(pull_package_arn(context), found.record(), digest=plan.digest)
        found.check(plan.prefix)
        return found.to_xcom()

    def _has_champion(self, name: str, registered: str) -> bool:
        endpoint = self.hook.describe_endpoint(name)
        if endpoint is None or EndpointStatus(endpoint["EndpointStatus"]) not in SERVING:
            self.log.info("Nothing is live in production: there is nothing to compare with")
            return False
        live = self._served(endpoint).get(LIVE_VARIANT, [])
        if not live or registered in live:
            self.log.info("No other model is live in production: there is nothing to compare with")
            return False
        return True

    def _ask(self, name: str, rows: Sequence[Row], variant: str | None = None) -> Score:
        return Score([self._invoke(name, row, variant) for row in rows])

    def _invoke(self, name: str, row: Row, variant: str | None) -> Prediction:
        try:
            answer = self.hook.invoke_endpoint(name, row.features.encode(), target_variant=variant)
        except AwsError as error:
            if error.code != "ModelError":
                raise
            raise EndpointTestFailed("The model failed on a held-out row", resource=name, why=error.why) from error
        return Prediction(row.label, answer.body.decode().strip(), answer.variant or "", answer.latency_ms)

    def _judge(self, name: str, score: Score) -> dict[str, Any]:
        test = self.model.test
        latency_ms = {"p50": score.latency_ms(50), "p99": score.latency_ms(99)}
        result: dict[str, Any] = {
            "endpoint_name": name,
            "rows": len(score.answers),
            "latency_ms": latency_ms,
            "variants": score.variants,
        }
        misses = []
        if test.rmse_maximum is not None:
            result |= {"rmse": score.rmse, "rmse_maximum": test.rmse_maximum}
            if not score.rmse <= test.rmse_maximum:
                misses.append(
                    f"rmse {score.rmse:.4g} is {score.rmse - test.rmse_maximum:.4g} above {test.rmse_maximum:g}"
                )
        if test.accuracy_minimum is not None:
            result |= {"correct": score.correct, "accuracy": score.accuracy, "accuracy_minimum": test.accuracy_minimum}
            if score.accuracy < test.accuracy_minimum:
                misses.append(
                    f"accuracy {score.accuracy:.4f} ({score.correct} of {len(score.answers)}) is"
                    f" {test.accuracy_minimum - score.accuracy:.4f} below {test.accuracy_minimum:g}"
                )
        limit_ms = test.latency_p99_maximum_ms
        if limit_ms is not None and latency_ms["p99"] > limit_ms:
            misses.append(
                f"p99 latency {latency_ms['p99']:.1f} ms is {latency_ms['p99'] - limit_ms:.1f} ms above {limit_ms:g}"
            )
        self.log.info("%s", result)
        if misses:
            raise EndpointTestFailed("The endpoint misses its gates", resource=name, why="; ".join(misses))
        return result


def check_config(endpoint: Mapping[str, Any], outputs: Mapping[str, str], revision_id: str) -> None:
    """Compare what an endpoint runs with what this release's stack put there.

    :param endpoint: What DescribeEndpoint answered.
    :param outputs: The stack's outputs, as the deployment left them.
    :param revision_id: The release's revision.
    :raises slipway.errors.EndpointTestFailed: When the endpoint config or the revision is another one.
    """
    live, ours = endpoint["EndpointConfigName"], outputs["EndpointConfigName"]
    if live != ours:
        raise EndpointTestFailed(
            "The endpoint is InService, but not with the endpoint config of this release",
            resource=endpoint["EndpointName"],
            why=f"it runs {live}, this release's is {ours}",
            fix="look for a roll-back in the stack's events, or for a newer release",
        )
    if outputs["Revision"] != revision_id:
        raise EndpointTestFailed(
            "The stack serves another revision",
            resource=endpoint["EndpointName"],
            why=f"it is {outputs['Revision']}, this release is {revision_id}",
            fix="run the deployment again",
        )
