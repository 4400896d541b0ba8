"""Check that an endpoint serves the release it was deployed for, and not the release before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.errors import EndpointTestFailed


def check_config(endpoint: Mapping[str, Any], outputs: Mapping[str, str], revision_id: str) -> None:
    """Check that an endpoint runs the endpoint config that this release's stack created.

    :param endpoint: what DescribeEndpoint answered
    :param outputs: the stack's outputs, as the deployment task returned them
    :param revision_id: the release's revision
    :raises EndpointTestFailed: when the endpoint config or the revision is another one
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


def variant_serving(data_url: str, served: Mapping[str, Sequence[str]], endpoint_name: str) -> str:
    """Find the variant that serves an artefact; names and stack outputs alone do not prove it.

    :param data_url: the artefact of the registered model
    :param served: the artefacts behind each variant
    :param endpoint_name: for the message
    :raises EndpointTestFailed: when no variant serves the artefact
    """
    for variant, data_urls in served.items():
        if data_url in data_urls:
            return variant
    found = ", ".join(url for urls in served.values() for url in urls)
    raise EndpointTestFailed(
        "The endpoint does not serve the model of this release",
        resource=endpoint_name,
        why=f"it serves {found or 'no artefact'}, registered was {data_url}",
        fix="look for a newer release or a change by hand, then run the deployment again",
    )
