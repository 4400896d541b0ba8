"""What must hold before an endpoint is changed: it is the one that its stack made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.deployment.parameters import ENDPOINT_CONFIG_NAME
from slipway.errors import NameConflict, StackFailed


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
