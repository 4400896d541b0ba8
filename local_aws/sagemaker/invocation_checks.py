"""What InvokeEndpoint refuses in a request's headers, before a model is asked.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

from __future__ import annotations

from collections.abc import Mapping

from local_aws.compute.base import InvokeResult
from local_aws.compute.invocation import error

_PREFIX = "x-amzn-sagemaker-"
# The members of the request that are headers, and their longest values.
_LIMITS = {
    "content-type": ("contentType", 1024),
    "accept": ("accept", 1024),
    f"{_PREFIX}custom-attributes": ("customAttributes", 1024),
    f"{_PREFIX}target-variant": ("targetVariant", 63),
    f"{_PREFIX}inference-id": ("inferenceId", 64),
}
# What endpoints of other kinds take: none of them can be made here.
_OTHER_KINDS = {
    f"{_PREFIX}target-model": ("TargetModel", "a multi-model endpoint"),
    f"{_PREFIX}target-container-hostname": ("TargetContainerHostname", "a multi-container endpoint"),
    f"{_PREFIX}inference-component": ("InferenceComponentName", "an endpoint with inference components"),
    f"{_PREFIX}enable-explanations": ("EnableExplanations", "an endpoint with an explainer"),
    f"{_PREFIX}session-id": ("SessionId", "an endpoint with stateful sessions"),
}


def refusal(endpoint_name: str, headers: Mapping[str, str]) -> InvokeResult | None:
    """Return the answer to a request that InvokeEndpoint refuses for its headers.

    :param endpoint_name: the endpoint
    :param headers: the caller's, names in lower case
    :returns: a ValidationError; None for a request that may reach the model
    """
    for name, (member, longest) in _LIMITS.items():
        value = headers.get(name)
        if value is None:
            continue
        constraint = None
        if len(value) > longest:
            constraint = f"have length less than or equal to {longest}"
        elif not value.isascii():
            constraint = "satisfy regular expression pattern: \\p{ASCII}*"
        if constraint:
            return error(
                "ValidationError",
                f"1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must "
                f"{constraint}",
            )
    for name, (member, kind) in _OTHER_KINDS.items():
        if name in headers:
            return error("ValidationError", f"{member} is for {kind}; endpoint {endpoint_name} is none.")
    return None
