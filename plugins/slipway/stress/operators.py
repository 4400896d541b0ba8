"""The tasks of a stress test: one sends what a form asks for, the other what a model file asks of its releases."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from slipway import names
from slipway.aws.identity import resolve
from slipway.errors import StressRefused
from slipway.host.links import NewerReleaseLink, run_url
from slipway.model.files import load_models
from slipway.paths import models_folder
from slipway.plan import pull_plan, result_of
from slipway.quality.served import check_config
from slipway.stages.mixin import STAGE_OF, StageMixin, stage_gate
from slipway.states import Environment
from slipway.stress.order import StressOrder
from slipway.stress.send import LoadOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.config import ModelConfig


class StressTestOperator(LoadOperator):
    """Send the load that the form of the run asks for."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Send the load.

        :param context: the task's Airflow context
        :returns: the figures, and the address of the report
        :raises StressRefused: when the form is wrong, the model file does not allow the load, or a release is testing
            its model on the endpoint
        :raises StressFailed: when a limit is broken or the report is incomplete
        :raises StressStopped: when the task is ended before all of the load is sent
        """
        order = StressOrder.of_form(context["params"], *load_models(models_folder()))
        if order.environment is Environment.DEVELOPMENT:
            self._refuse_during_release(order)
        return self.send(context, order, self.find(order))

    def _refuse_during_release(self, order: StressOrder) -> None:
        """Refuse the load while a release tests its model there: it would change what the release measures."""
        model, stage = order.model, STAGE_OF[order.environment]
        bucket = resolve(model.source.bucket, model.aws_conn_id)
        holder = stage_gate(model.aws_conn_id).holder(bucket, names.board_key(model.prefix), stage)
        if holder:
            raise StressRefused(
                "No load was sent",
                resource=order.endpoint_name,
                why=f"a release is testing its model there, {run_url(holder.dag_id, holder.run_id)}",
                fix="wait until that run has passed its tests or has ended",
            )


class ReleaseStressOperator(StageMixin, LoadOperator):
    """Send the model file's load to the development endpoint of a release, then let the next release deploy there.

    :param model: The model file's content.
    """

    operator_extra_links = (*LoadOperator.operator_extra_links, NewerReleaseLink())

    def __init__(self, *, model: ModelConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.configure_stages(model)

    @cached_property
    def order(self) -> StressOrder:
        """The load to send."""
        return StressOrder.of_model(self.model, Environment.DEVELOPMENT)

    def execute(self, context: Context) -> dict[str, Any]:
        """Check that the endpoint serves this release, and send the load.

        :param context: the task's Airflow context
        :returns: the figures, and the address of the report
        :raises slipway.errors.Superseded: when a newer release has replaced this one
        :raises slipway.errors.EndpointTestFailed: when the endpoint does not serve this release
        :raises StressFailed: when a limit is broken or the report is incomplete
        :raises StressStopped: when the task is ended before all of the load is sent
        """
        stage = STAGE_OF[Environment.DEVELOPMENT]
        self.enter_stage(context, stage)
        endpoint = self.find(self.order)
        outputs = result_of(context, "deploy_dev")["outputs"]
        check_config(endpoint, outputs, pull_plan(context).revision_id)
        found = self.send(context, self.order, endpoint)
        self.leave_stages(context, stage)
        return found
