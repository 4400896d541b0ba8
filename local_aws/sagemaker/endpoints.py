"""Endpoints: their API, and the threads that deploy their fleets.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from local_aws.compute.base import ContainerFailed
from local_aws.compute.hosting import Hosting
from local_aws.compute.update_policy import UpdatePolicy
from local_aws.framework.api import Operation, RequestContext, ServiceError
from local_aws.framework.listing import page_of
from local_aws.framework.store import Document, Scope, Store
from local_aws.sagemaker import deployment_config
from local_aws.sagemaker.endpoint_deployer import EndpointDeployer, key_of
from local_aws.sagemaker.endpoint_plan import Plan
from local_aws.sagemaker.endpoint_state import (
    DEPLOYMENT_FAILED,
    deployment_config_of,
    failed,
    in_service_again,
    new_endpoint,
    plan_update,
    plan_weights,
    weights_settled,
)
from local_aws.sagemaker.models import Models
from local_aws.sagemaker.resources import ResourceKind, invalid, now
from local_aws.sagemaker.rollback_alarms import RollbackAlarms
from local_aws.sagemaker.tags import Tags, check
from local_aws.settings import Settings

_log = logging.getLogger(__name__)

_INTERRUPTED = "InternalServerError: the local AWS went down while the endpoint was being changed."
_RECOVERED_AT_ONCE = 4
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html, EndpointStatus
_IN_PROGRESS = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


class Endpoints:
    """The endpoint operations.

    :param store: where endpoints are kept
    :param tags: of all resources
    :param models: what the variants run
    :param hosting: the fleets
    :param alarms: the alarms that roll deployments back
    :param settings: how this local AWS runs
    """

    def __init__(
        self, store: Store, tags: Tags, models: Models, hosting: Hosting, alarms: RollbackAlarms, settings: Settings
    ) -> None:
        self._kind = ResourceKind.endpoints(store)
        self._configs = ResourceKind.endpoint_configs(store)
        self._tags = tags
        self._models = models
        self._hosting = hosting
        self._alarms = alarms
        self._pace_seconds = settings.pace_seconds
        self._going_down = threading.Event()
        self._settled = threading.Condition()
        # Those of an earlier process, and which of them do not serve again yet: a change of one waits for that.
        self._former = self._kind.documents.everywhere()
        self._restoring = {key_of(scope, endpoint["EndpointName"]) for scope, _, endpoint in self._former}
        self._deployer = EndpointDeployer(hosting, alarms, self._change, self._going_down, settings.clock)

    def operations(self) -> dict[str, Operation]:
        """Return the API's operations by name."""
        return {
            "CreateEndpoint": self._create,
            "UpdateEndpoint": self._update,
            "UpdateEndpointWeightsAndCapacities": self._update_weights,
            "DescribeEndpoint": lambda context, parameters: self._kind.get(context, parameters["EndpointName"]),
            "ListEndpoints": self._list,
            "DeleteEndpoint": self._delete,
        }

    def start(self) -> None:
        """Restore the endpoints of an earlier process; return when each one serves or has failed."""
        # Model servers that all start at once would not answer in time.
        with ThreadPoolExecutor(_RECOVERED_AT_ONCE) as pool:
            for scope, _, endpoint in self._former:
                pool.submit(self._guarded, endpoint["EndpointName"], self._restore, scope, endpoint)
        self._hosting.recovered()

    def stop(self) -> None:
        """Start nothing more; the next start treats changes in progress as interrupted."""
        self._going_down.set()
        with self._settled:
            self._settled.notify_all()

    def wait_settled(self, scope: Scope, name: str, timeout_seconds: float) -> Document | None:
        """Wait until no change of an endpoint is in progress.

        :param scope: its account and region
        :param name: its name
        :param timeout_seconds: how long to wait
        :returns: its document; None when it is gone
        :raises ServiceError: it took longer, or the local AWS goes down
        """
        with self._settled:
            done = self._settled.wait_for(
                lambda: self._going_down.is_set() or not self._changing(scope, name), timeout_seconds
            )
        if self._going_down.is_set():
            raise ServiceError("ServiceUnavailable", _INTERRUPTED, 503)
        if not done:
            raise ServiceError("NotStabilized", f"Endpoint {name} did not stabilize in {timeout_seconds:.0f} seconds.")
        return self._kind.documents.get(scope, name.lower())

    def _changing(self, scope: Scope, name: str) -> bool:
        endpoint = self._kind.documents.get(scope, name.lower())
        return endpoint is not None and endpoint["EndpointStatus"] in _IN_PROGRESS

    # --- operations -------------------------------------------------------------------------------------------------

    def _create(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        check(parameters.get("Tags", []), context)
        deployment_config.check(parameters.get("DeploymentConfig", {}))
        name = parameters["EndpointName"]
        config = self._configs.get(context, parameters["EndpointConfigName"])
        arn = self._kind.arn(context, name)
        plan = Plan.of(config, self._containers(context, config))
        self._kind.create(context, name, new_endpoint(parameters, arn, plan))
        self._tags.attach(context, arn, parameters.get("Tags"))
        self._spawn(name, self._deploy, context, name, plan, None)
        return {"EndpointArn": arn}

    def _update(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        name = parameters["EndpointName"]
        endpoint = self._kind.get(context, name)
        config = self._configs.get(context, parameters["EndpointConfigName"])
        containers = self._containers(context, config)
        deployment = deployment_config_of(endpoint, parameters)
        deployment_config.check(deployment)
        self._alarms.check(context, deployment_config.alarms(deployment), Plan.of(config, containers).role_arn)
        begun: list[tuple[Plan, UpdatePolicy]] = []

        def begin(endpoint: Document) -> None:
            self._refuse_busy(context, endpoint)
            if endpoint["EndpointConfigName"] == config["EndpointConfigName"]:
                raise invalid(
                    "Cannot update endpoint with the currently in use endpoint configuration"
                    f' "{config["EndpointConfigName"]}".'
                )
            old = [variant["VariantName"] for variant in endpoint["ProductionVariants"]]
            plan = plan_update(endpoint, Plan.of(config, containers), parameters)
            new = {variant.name: variant.instance_count for variant in plan.variants}
            guarded = deployment_config.has_guardrails(config["ProductionVariants"])
            begun.append((plan, deployment_config.update_policy(deployment, old, new) if guarded else UpdatePolicy()))

        self._change(context, name, begin)
        self._spawn(endpoint["EndpointName"], self._deploy, context, endpoint["EndpointName"], *begun[0])
        return {"EndpointArn": endpoint["EndpointArn"]}

    def _update_weights(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        changes = parameters["DesiredWeightsAndCapacities"]

        def begin(endpoint: Document) -> None:
            self._refuse_busy(context, endpoint)
            plan_weights(endpoint, changes)

        endpoint = self._change(context, parameters["EndpointName"], begin)
        self._spawn(endpoint["EndpointName"], self._reweigh, context, endpoint["EndpointName"], changes)
        return {"EndpointArn": endpoint["EndpointArn"]}

    def _list(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        endpoints, token = page_of(
            self._kind.documents,
            context,
            parameters,
            name_field="EndpointName",
            sort_fields={"Name": "EndpointName", "CreationTime": "CreationTime", "Status": "EndpointStatus"},
        )
        return {"Endpoints": endpoints, "NextToken": token}

    def _delete(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        def begin(endpoint: Document) -> None:
            self._refuse_busy(context, endpoint, deleting=True)
            endpoint["EndpointStatus"] = "Deleting"

        endpoint = self._change(context, parameters["EndpointName"], begin)
        self._spawn(endpoint["EndpointName"], self._remove, context, endpoint["EndpointName"])
        return {}

    def _change(self, scope: Scope, name: str, change: Callable[[Document], None]) -> Document:
        def timed(endpoint: Document) -> None:
            change(endpoint)
            endpoint["LastModifiedTime"] = now()

        endpoint = self._kind.documents.update(scope, name.lower(), timed)
        if endpoint is None:
            raise self._kind.missing(scope, name)
        return endpoint

    def _refuse_busy(self, scope: Scope, endpoint: Document, *, deleting: bool = False) -> None:
        arn = self._kind.arn(scope, endpoint["EndpointName"])
        if endpoint["EndpointStatus"] in _IN_PROGRESS:
            raise invalid(f'Cannot update in-progress endpoint "{arn}".')
        if endpoint["EndpointStatus"] == "Failed" and not deleting:
            raise invalid(f'Cannot update failed endpoint "{arn}". DeleteEndpoint is the only operation it takes.')

    def _containers(self, scope: Scope, config: Document) -> dict[str, dict[str, Any]]:
        return {
            variant["ModelName"]: self._models.container(scope, variant["ModelName"])
            for variant in config["ProductionVariants"]
        }

    # --- work of the threads ----------------------------------------------------------------------------------------

    def _spawn(self, name: str, work: Callable[..., None], scope: Scope, *arguments: Any) -> None:
        def begin() -> None:
            with self._settled:
                self._settled.wait_for(lambda: self._going_down.is_set() or key_of(scope, name) not in self._restoring)
            work(scope, *arguments)

        threading.Thread(target=self._guarded, args=(name, begin), name=f"endpoint-{name}", daemon=True).start()

    def _guarded(self, name: str, work: Callable[..., None], *arguments: Any) -> None:
        try:
            work(*arguments)
        except Exception:
            _log.exception("The change of endpoint %s failed", name)
        finally:
            with self._settled:
                self._settled.notify_all()

    def _deploy(self, scope: Scope, name: str, plan: Plan, policy: UpdatePolicy | None) -> None:
        self._going_down.wait(self._pace_seconds)
        if policy is None:
            self._deployer.create(scope, name, plan)
        else:
            self._deployer.update(scope, name, plan, policy)

    def _reweigh(self, scope: Scope, name: str, changes: list[dict[str, Any]]) -> None:
        self._going_down.wait(self._pace_seconds)
        weights = {c["VariantName"]: c["DesiredWeight"] for c in changes if "DesiredWeight" in c}
        counts = {c["VariantName"]: c["DesiredInstanceCount"] for c in changes if "DesiredInstanceCount" in c}
        try:
            self._hosting.set_capacities(key_of(scope, name), weights, counts)
            reason = None
        except ContainerFailed as error:
            reason = str(error)
        except Exception:
            _log.exception("The change of weights and capacities of endpoint %s failed", name)
            reason = DEPLOYMENT_FAILED
        if self._going_down.is_set():
            return
        if reason is None:
            self._change(scope, name, weights_settled)
        else:
            self._change(scope, name, lambda endpoint: in_service_again(endpoint, reason))

    def _remove(self, scope: Scope, name: str) -> None:
        try:
            self._hosting.remove(key_of(scope, name))
        except Exception:
            _log.exception("The stop of the model servers of endpoint %s failed", name)
            self._change(scope, name, lambda endpoint: failed(endpoint, DEPLOYMENT_FAILED))
            return
        self._kind.documents.delete(scope, name.lower())
        self._tags.detach(scope, self._kind.arn(scope, name))

    def _restore(self, scope: Scope, endpoint: Document) -> None:
        try:
            self._recover(scope, endpoint)
        finally:
            self._restoring.discard(key_of(scope, endpoint["EndpointName"]))

    def _recover(self, scope: Scope, endpoint: Document) -> None:
        name, status = endpoint["EndpointName"], endpoint["EndpointStatus"]
        if status == "Deleting":
            self._remove(scope, name)
        elif status == "Creating":
            self._create_again(scope, endpoint)
        elif status != "Failed":
            reason = self._deployer.restart(scope, name, Plan.live(endpoint))
            if reason:
                self._change(scope, name, lambda endpoint: failed(endpoint, reason))
            elif status in _IN_PROGRESS:
                self._change(scope, name, lambda endpoint: in_service_again(endpoint, _INTERRUPTED))

    def _create_again(self, scope: Scope, endpoint: Document) -> None:
        """Create an endpoint whose creation was answered; unlike an update, it has no earlier state."""
        name = endpoint["EndpointName"]
        try:
            config = self._configs.get(scope, endpoint["EndpointConfigName"])
            plan = Plan.of(config, self._containers(scope, config))
        except ServiceError as error:
            reason = error.message
            self._change(scope, name, lambda endpoint: failed(endpoint, reason))
        else:
            self._deploy(scope, name, plan, None)
