"""What must hold before an endpoint is changed: it is the one that its stack made."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from slipway.deployment.parameters import ENDPOINT_CONFIG_NAME, REVISION, SEQUENCE, TRIAL_OUTCOME
from slipway.errors import NameConflict, StackFailed, Superseded, TrialFailed
from slipway.plan import ReleasePlan
from slipway.stages import sequences
from slipway.states import TrialOutcome

log = logging.getLogger(__name__)


def check_drift(endpoint: Mapping[str, Any] | None, outputs: Mapping[str, str], stack_name: str) -> None:
    """Refuse to change an endpoint that somebody else made, or moved away from what its stack says.

    :param endpoint: what DescribeEndpoint answered; None if there is no endpoint
    :param outputs: the outputs of the stack as it is; empty for a stack that is not there
    :param stack_name: for the message
    :raises NameConflict: when the endpoint exists outside the stack
    :raises StackFailed: when it serves another configuration than the stack's
    """
    if endpoint is None:
        return
    name, wanted = endpoint["EndpointName"], outputs.get(ENDPOINT_CONFIG_NAME)
    if wanted is None:
        raise NameConflict(
            "An endpoint of this name exists outside the stack",
            resource=name,
            why=f"the stack {stack_name} has not made it",
            fix="delete it, or change endpoint_prefix in the model file and EndpointPrefix in deployment.json",
        )
    if endpoint["EndpointConfigName"] != wanted:
        raise StackFailed(
            "The endpoint has drifted from its stack",
            resource=name,
            why=f"it serves {endpoint['EndpointConfigName']}, the stack says {wanted}",
            fix=f"point it back with `aws sagemaker update-endpoint --endpoint-name {name} "
            f"--endpoint-config-name {wanted}`, or delete the endpoint; then clear this task",
        )


def check_sequence(outputs: Mapping[str, str], plan: ReleasePlan, stack_name: str) -> None:
    """Refuse to put an older release in the place of a newer one.

    A stack of the future says nothing: somebody else than Slipway has written that.

    :param outputs: the outputs of the stack as it is
    :param plan: the release
    :param stack_name: for the message
    :raises Superseded: when a newer release is deployed
    """
    deployed = outputs.get(SEQUENCE)
    if deployed and (why := sequences.fault(deployed)):
        log.error("The stack %s is replaced, for its sequence %.40r %s", stack_name, deployed, why)
    elif deployed and datetime.fromisoformat(deployed) > datetime.fromisoformat(plan.sequence):
        raise Superseded(
            "A newer release is deployed already",
            resource=stack_name,
            why=f"it was uploaded, or production rolled back, at {deployed}; this one is of {plan.sequence}",
            fix="to serve this version nevertheless, trigger it with new_attempt",
        )


def check_not_retired(outputs: Mapping[str, str], plan: ReleasePlan, stack_name: str) -> None:
    """Refuse to deploy a model again that its trial has taken away: it would get every request at once.

    :param outputs: the outputs of the stack as it is
    :param plan: the release
    :param stack_name: for the message
    :raises TrialFailed: when this release's own trial ended that way
    """
    if outputs.get(REVISION) == plan.revision_id and outputs.get(TRIAL_OUTCOME) == TrialOutcome.RETIRED:
        raise TrialFailed(
            "The trial of this release has ended: its model was retired",
            resource=stack_name,
            why="production serves the live model alone",
            fix="for another trial, trigger this version with new_attempt",
        )


def check_served(endpoint: Mapping[str, Any] | None, outputs: Mapping[str, str], stack_name: str) -> None:
    """Refuse to call a deployment done while the endpoint serves something else.

    After an alarm has rolled an update back the endpoint is InService, with the configuration before.
    https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html

    :param endpoint: what DescribeEndpoint answered; None if there is no endpoint
    :param outputs: the outputs of the stack
    :param stack_name: for the message
    :raises StackFailed: when the endpoint is missing, not InService or of another configuration
    """
    wanted = outputs.get(ENDPOINT_CONFIG_NAME)
    if endpoint is None:
        why = "there is no endpoint"
    elif endpoint["EndpointStatus"] != "InService":
        why = f"the endpoint is {endpoint['EndpointStatus']}: {endpoint.get('FailureReason', 'no reason given')}"
    elif endpoint["EndpointConfigName"] != wanted:
        why = f"the endpoint serves {endpoint['EndpointConfigName']}, the stack says {wanted}"
    else:
        return
    raise StackFailed(
        "The stack is complete, but its endpoint does not serve this release",
        resource=stack_name,
        why=why,
        fix="look at the endpoint in the SageMaker console; an alarm may have rolled it back",
    )
