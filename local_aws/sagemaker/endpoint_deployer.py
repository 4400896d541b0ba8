"""Deploys endpoints' fleets, and writes the progress to the endpoints' documents.

https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from local_aws.compute.base import ContainerFailed, EndpointKey
from local_aws.compute.endpoint_update import Interrupted
from local_aws.compute.hosting import Hosting
from local_aws.compute.rolling_update import RollbackFailed
from local_aws.compute.update_policy import RolledBack, UpdatePolicy, UpdateStage
from local_aws.framework.store import Document, Scope
from local_aws.sagemaker.endpoint_plan import Plan
from local_aws.sagemaker.endpoint_state import (
    DEPLOYMENT_FAILED,
    deployed,
    failed,
    in_service_again,
    progressed,
    rollback_failed,
)
from local_aws.sagemaker.rollback_alarms import RollbackAlarms
from local_aws.settings import Clock

# Scope, endpoint name, and what changes its document.
Change = Callable[[Scope, str, Callable[[Document], None]], object]

_log = logging.getLogger(__name__)


class EndpointDeployer:
    """Deploys plans; every method blocks, so call it in a worker thread.

    :param hosting: the fleets
    :param alarms: the alarms that roll a deployment back
    :param change: changes an endpoint's document
    :param going_down: set when the local AWS stops; nothing is written afterwards, and the next start restores what was
        live
    :param clock: how fast waits pass
    """

    def __init__(
        self, hosting: Hosting, alarms: RollbackAlarms, change: Change, going_down: threading.Event, clock: Clock
    ) -> None:
        self._hosting = hosting
        self._alarms = alarms
        self._change = change
        self._going_down = going_down
        self._clock = clock

    def create(self, scope: Scope, name: str, plan: Plan) -> None:
        """Start a new endpoint.

        :param scope: its account and region
        :param name: its name
        :param plan: what it is to be
        """
        try:
            pinned = self._pinned(scope, name, plan)
        except ContainerFailed as error:
            text = str(error)
            self._end(scope, name, lambda endpoint: failed(endpoint, text))
            return
        reason = self.restart(scope, name, pinned)
        self._end(scope, name, lambda endpoint: failed(endpoint, reason) if reason else deployed(endpoint, pinned))

    def _pinned(self, scope: Scope, name: str, plan: Plan) -> Plan:
        key = key_of(scope, name)
        return plan.pinned(lambda variant: self._hosting.resolve(key, variant))

    def restart(self, scope: Scope, name: str, plan: Plan) -> str | None:
        """Start an endpoint's fleets without a change of its document.

        :param scope: its account and region
        :param name: its name
        :param plan: what it is
        :returns: why that failed; None when it serves
        """
        try:
            self._hosting.deploy(key_of(scope, name), plan.specs())
        except ContainerFailed as error:
            return str(error)
        except Exception:
            _log.exception("The start of endpoint %s failed", name)
            return DEPLOYMENT_FAILED
        return None

    def update(self, scope: Scope, name: str, plan: Plan, policy: UpdatePolicy) -> None:
        """Update an endpoint that serves to another plan, or back to its own.

        :param scope: its account and region
        :param name: its name
        :param plan: what it is to become
        :param policy: in which steps
        """
        watch = _Watch(self, scope, name, policy, plan.role_arn)
        try:
            plan = self._pinned(scope, name, plan)
            self._hosting.update(key_of(scope, name), plan.specs(), policy, watch, self._clock)
        except Interrupted:
            return
        except RollbackFailed as error:
            reason = str(error)
            self._end(scope, name, lambda endpoint: rollback_failed(endpoint, reason))
        except (ContainerFailed, RolledBack) as error:
            reason = str(error)
            self._end(scope, name, lambda endpoint: in_service_again(endpoint, reason))
        except Exception:
            _log.exception("The deployment of endpoint %s failed", name)
            self._end(scope, name, lambda endpoint: in_service_again(endpoint, DEPLOYMENT_FAILED))
        else:
            self._end(scope, name, lambda endpoint: deployed(endpoint, plan))

    def _end(self, scope: Scope, name: str, change: Callable[[Document], None]) -> None:
        if not self._going_down.is_set():
            self._change(scope, name, change)


@dataclass(frozen=True)
class _Watch:
    """Watches one deployment: it writes its stages and checks its alarms."""

    deployer: EndpointDeployer
    scope: Scope
    name: str
    policy: UpdatePolicy
    role_arn: str

    def report(self, stage: UpdateStage) -> None:
        self.deployer._end(self.scope, self.name, lambda endpoint: progressed(endpoint, stage))

    def tripped(self) -> str | None:
        return self.deployer._alarms.tripped(self.scope, self.policy.alarms, self.role_arn)

    def wait(self, seconds: float) -> bool:
        return self.deployer._going_down.wait(seconds)


def key_of(scope: Scope, name: str) -> EndpointKey:
    """Return an endpoint's key in the compute.

    :param scope: its account and region
    :param name: its name
    """
    return EndpointKey(scope.account_id, scope.region, name)
