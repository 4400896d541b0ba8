"""Check the training job's final metrics against the gates, and show them beside the live model's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from slipway.aws.clients import client
from slipway.aws.cloudformation import CloudFormationHook
from slipway.aws.s3 import S3Hook
from slipway.deployment.history import live_arn
from slipway.errors import GateFailed
from slipway.formats.json_numbers import json_value, number_of, number_text
from slipway.host.task_errors import TaskErrors
from slipway.plan import ReleasePlan, pull_plan, result_of
from slipway.quality.gates import GateResult, judge_metrics
from slipway.registry.finding import package_of_artefact
from slipway.registry.hook import ModelRegistryHook
from slipway.registry.metadata import REVISION, metrics_of
from slipway.states import Environment

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.config import ModelConfig


class EvaluateOperator(TaskErrors):
    """Stop the release when a final metric is outside its gate.

    :param model: The model file's content.
    """

    registry = client(ModelRegistryHook)
    cloudformation = client(CloudFormationHook)
    s3 = client(S3Hook)

    def __init__(self, *, model: ModelConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.aws_conn_id = model.aws_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Check the metrics and look up the live model's.

        :param context: The task's Airflow context.
        :returns: The metrics, the gates with their results, and the live model with its metrics.
        :raises slipway.errors.GateFailed: Naming every gate that failed and the metric's value.
        """
        trained = result_of(context, "train")
        metrics = {name: number_of(value) for name, value in trained["metrics"].items()}
        gates = judge_metrics(self.model.gates, metrics)
        live = self._live(pull_plan(context))
        for gate in gates:
            self.log.info("%s", gate)
        for name, value in (live or {}).get("metrics", {}).items():
            here = number_text(metrics[name]) if name in metrics else "not reported"
            self.log.info("%s is %s here and %s in the live model", name, here, number_text(value))
        if failed := [gate for gate in gates if not gate.passed]:
            raise GateFailed(
                "The model does not pass its gates",
                resource=self.model.prefix,
                why="; ".join(map(str, failed)) + self._reported(failed, metrics),
                fix="train a better model, or change gates in the model file, and upload the zip again; a metric of an "
                "image of your own is defined by metrics in the model file",
            )
        return json_value({"metrics": metrics, "gates": [asdict(gate) for gate in gates], "live": live})

    def _live(self, plan: ReleasePlan) -> dict[str, Any] | None:
        """Return the model that production serves now, or None where that is this release's own."""
        stack = self.cloudformation.describe_stack(plan.stack(Environment.PRODUCTION))
        arn = live_arn(
            stack.outputs if stack else {},
            judged=self.model.trial is not None,
            of_artefact=lambda url: package_of_artefact(plan.model_package_group, url, self.registry, self.s3),
        )
        package = self.registry.describe_model_package(arn) if arn else None
        if package is None or package.get("CustomerMetadataProperties", {}).get(REVISION) == plan.revision_id:
            return None
        return {"model_package_arn": arn, "metrics": metrics_of(package)}

    @staticmethod
    def _reported(failed: Iterable[GateResult], metrics: Mapping[str, float]) -> str:
        if all(gate.value is not None for gate in failed):
            return ""
        return f" (the training job reported {', '.join(sorted(metrics)) or 'no metric at all'})"
