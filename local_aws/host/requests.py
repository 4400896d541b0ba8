"""What a request is for: the service, the account and the region."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from local_aws.framework import forms
from local_aws.framework.api import RequestContext
from local_aws.framework.store import Scope
from local_aws.host.authentication import Caller

PRIVATE_PARTS = {
    "ministack.app": ("AUTH", "_extract_s3_vhost_bucket", "_request_account_scope", "_routing_params", "parse_qs"),
    "ministack.core.responses": (
        "get_account_id",
        "get_region",
        "set_request_account_id",
        "set_request_region",
    ),
    "ministack.services.cloudformation": ("parse_qs",),
    "ministack.core.router": ("_is_aws_service_name", "detect_service", "extract_access_key_id", "extract_region"),
}

# The path of an endpoint's invocation, which differs from SageMaker's other calls.
INVOCATION = re.compile(r"/endpoints/([^/]+)/invocations")
# The other operations of sagemaker-runtime, by the end of their path.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations_Amazon_SageMaker_Runtime.html
_OTHER_INVOCATION = re.compile(r"/endpoints(?:/.*)?/([^/]+)")
_RUNTIME_OPERATIONS = {
    "async-invocations": "InvokeEndpointAsync",
    "invocations-bidirectional-stream": "InvokeEndpointWithBidirectionalStream",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}
# SageMaker's services beside its own and its runtime sign as `sagemaker` too, and only their paths tell them apart.
_OTHER_SERVICES = {
    "BatchGetMetrics": "sagemaker-metrics",
    "BatchGetRecord": "sagemaker-featurestore-runtime",
    "BatchPutMetrics": "sagemaker-metrics",
    "FeatureGroup": "sagemaker-featurestore-runtime",
    "GetDeployments": "sagemaker-edge",
    "GetDeviceRegistration": "sagemaker-edge",
    "SendHeartbeat": "sagemaker-edge",
    "human-loops": "sagemaker-a2i-runtime",
}


def other_invocation(path: str) -> str | None:
    """Return the operation of sagemaker-runtime, beside InvokeEndpoint, that a path is for; None for other paths.

    :param path: of the request
    :returns: the operation's name; for a path that no known operation has, its last part
    """
    found = _OTHER_INVOCATION.fullmatch(path)
    return _RUNTIME_OPERATIONS.get(found[1], found[1]) if found else None


@dataclass(frozen=True)
class HttpRequest:
    """What is known of a request before it is answered.

    :param method: of HTTP
    :param path: without the query, not decoded further than ASGI does
    :param headers: names in lower case
    :param query: every value of each key; blank values too
    :param body: empty where it is not needed to tell operations apart
    """

    method: str
    path: str
    headers: dict[str, str]
    query: dict[str, list[str]]
    body: bytes = b""


class Requests:
    """Reads requests as ministack does.

    :param modules: ministack's modules by name
    """

    def __init__(self, modules: Mapping[str, Any]) -> None:
        self._app = modules["ministack.app"]
        self._responses = modules["ministack.core.responses"]
        self._router = modules["ministack.core.router"]
        # ministack would read every model of botocore to tell, for seconds in which nobody else is answered.
        self._router._is_aws_service_name = lambda name: True
        for reader in (self._app, modules["ministack.services.cloudformation"]):
            reader.parse_qs = forms.parse_qs
        # The clients of a load send hundreds of requests with the same signature.
        self._signed_by = lru_cache(1024)(self._read_signature)
        # Of keys that were let in; IAM never gives an id out again.
        self._account_scope = lru_cache(1024)(self._app._request_account_scope)

    def routed(self, request: HttpRequest) -> tuple[str, HttpRequest]:
        """Name the service a request is for.

        :param request: the request
        :returns: ministack's name for the service, and the request; S3's with the bucket in the path, not the host
        """
        parameters = self._app._routing_params(
            request.method, request.path, request.headers, request.body, request.query
        )
        service = self._router.detect_service(request.method, request.path, request.headers, parameters)
        bucket = self._app._extract_s3_vhost_bucket(request.headers.get("host", ""))
        if service == "s3" and bucket:
            return service, replace(request, path=f"/{bucket}{request.path}")
        return service, request

    def service_of(self, request: HttpRequest) -> str:
        """Name the service that would get a request.

        :param request: the request, with its body
        :returns: ministack's name for it
        """
        if INVOCATION.fullmatch(request.path):
            return "sagemaker"
        service = self.routed(request)[0]
        if service == "sagemaker" and "x-amz-target" not in request.headers:
            return _OTHER_SERVICES.get(request.path.split("/")[1], service)
        return service

    def scope_of(self, request: HttpRequest) -> Scope:
        """Name the account and region a request is for, and make them the current ones.

        :param request: the request
        :returns: the scope; the default account for a key that names none
        """
        if request.query:
            key, region = self.access_key_of(request), self.region_of(request)
        else:
            key, region = self._signed_by(request.headers.get("authorization", ""))
        self._responses.set_request_account_id(self._account_scope(key) if self._app.AUTH and key else key)
        self._responses.set_request_region(region)
        return Scope(self._responses.get_account_id(), self._responses.get_region())

    def _read_signature(self, authorization: str) -> tuple[str, str]:
        """Read access key, empty where there is none, and region of a request without a query."""
        headers = {"authorization": authorization}
        return self._router.extract_access_key_id(headers, {}), self._router.extract_region(headers, {})

    def access_key_of(self, request: HttpRequest) -> str:
        """Return the access key that a request is signed with, empty where there is none."""
        key: str = self._router.extract_access_key_id(request.headers, request.query)
        return key

    def region_of(self, request: HttpRequest) -> str:
        """Return the region that a request is signed for, else the default one."""
        region: str = self._router.extract_region(request.headers, request.query)
        return region

    def context(self, caller: Caller) -> RequestContext:
        """Say for whom the current request acts.

        :param caller: who signed it
        """
        account, region = self._responses.get_account_id(), self._responses.get_region()
        return RequestContext(account, region, caller.arn, caller.principal_id, caller.access_key_id)
