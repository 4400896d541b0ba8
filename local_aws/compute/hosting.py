"""Endpoints: variants, their instances and the requests that go to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from local_aws.compute.base import Compute, ComputeSettings, EndpointKey, InvokeResult, VariantSpec


class Hosting:
    """All endpoints of the local AWS."""

    def __init__(self, settings: ComputeSettings, compute: Compute) -> None: ...

    def start(self) -> None:
        """Start watching instances and putting metrics; call it once, before anything is deployed."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop every model server and the background threads."""
        raise NotImplementedError

    def deploy(self, key: EndpointKey, variants: Sequence[VariantSpec]) -> None:
        """Create or replace an endpoint's fleets, blue/green; worker threads only, blocks until the switch is made.

        :raises ContainerFailed: a new fleet did not become healthy; the old one goes on serving
        """
        raise NotImplementedError

    def set_capacities(self, key: EndpointKey, weights: Mapping[str, float], counts: Mapping[str, int]) -> None:
        """Change weights and instance counts of named variants; worker threads only, blocks until it is done.

        :raises ContainerFailed: a new instance did not become healthy; nothing was changed
        """
        raise NotImplementedError

    def remove(self, key: EndpointKey) -> None:
        """Stop the endpoint's model servers after their requests in flight; worker threads only. Missing is fine."""
        raise NotImplementedError

    def running_instances(self, key: EndpointKey) -> dict[str, int]:
        """Return the number of healthy instances by variant; any thread."""
        raise NotImplementedError

    async def invoke(
        self, key: EndpointKey, body: bytes, headers: Mapping[str, str], target_variant: str | None = None
    ) -> InvokeResult:
        """Answer InvokeEndpoint; from the event loop only. Errors are results too, in AWS's form.

        :param headers: the caller's; Content-Type, Accept and X-Amzn-SageMaker-* reach the container
        :param target_variant: TargetVariant of the request, None to choose by weight
        """
        raise NotImplementedError
