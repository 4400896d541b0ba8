"""Which services are open: those in SERVICES and those added here; all others of ministack are closed."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from local_aws.framework.api import JsonService
from local_aws.host.current import current
from local_aws.host.permissions import Permissions
from local_aws.host.requests import Requests, other_invocation

PRIVATE_PARTS = {
    "ministack.app": (
        "SERVICE_HANDLERS",
        "SERVICE_REGISTRY",
        "_handle_post_body_shortcuts",
        "_handle_pre_body_request",
        "_handle_s3_vhost_request",
        "_handle_special_data_plane_request",
        "_state_map",
        "_with_data_plane_headers",
    ),
    "ministack.core.iam_actions": ("SERVICE_TO_IAM_NAMESPACE",),
    "ministack.core.router": ("SERVICE_PATTERNS",),
    "ministack.services.cloudformation.provisioners": (
        "_RESOURCE_HANDLERS",
        "_custom_resource_create",
        "_custom_resource_delete",
        "_custom_resource_update",
    ),
}

# The services that docs/local-aws.md names. ministack has sixty more, and some of them run the caller's programs.
SERVICES = frozenset(
    {
        "application-autoscaling",
        "cloudformation",
        "codebuild",
        "ecr",
        "iam",
        "kms",
        "logs",
        "monitoring",
        "s3",
        "sagemaker",
        "sns",
        "sqs",
        "sts",
        "tagging",
    }
)
# What ministack calls a service that boto3 calls something else.
_NAMES_IN_HOST = {"resourcegroupstaggingapi": "tagging"}
# Where a stack's wait condition is signalled. The address contains a secret, as AWS's presigned one does.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-waitcondition.html
SIGNALS_PATH = "/_ministack/cfn-signal/"
# The resource types of these services, and those that belong to no service.
_TYPES = re.compile(
    r"AWS::(ApplicationAutoScaling|CDK|CloudFormation|CloudWatch|CodeBuild|ECR|IAM|KMS|Logs|S3|SageMaker|SNS|SQS)::\w+"
)
_NO_CUSTOM_RESOURCES = (
    "A custom resource is made by a Lambda function, and the local AWS has no Lambda: see docs/local-aws.md."
)


class Services:
    """ministack's services, without those that are closed.

    :param modules: ministack's modules by name
    :param requests: says for whom a request acts
    :param permissions: evaluates policies
    """

    def __init__(self, modules: Mapping[str, Any], requests: Requests, permissions: Permissions) -> None:
        self._app = modules["ministack.app"]
        self._iam_actions = modules["ministack.core.iam_actions"]
        self._router = modules["ministack.core.router"]
        self._provisioners = modules["ministack.services.cloudformation.provisioners"]
        self._requests = requests
        self._permissions = permissions
        self._close_others()
        self._close_pages()
        self._close_resource_types()

    def add(self, service: JsonService) -> None:
        """Route a service's requests to it; the service itself asks IAM about each call, also about those of stacks.

        :param service: the service
        """
        name = _NAMES_IN_HOST.get(service.service_name, service.service_name)
        service.guard = self._permissions

        async def handle(
            method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, list[str]]
        ) -> tuple[int, dict[str, str], bytes]:
            context = self._requests.context(current.get().caller)
            target = headers.get("x-amz-target") or other_invocation(path) or ""
            answered = await asyncio.to_thread(service.handle, context, target, body)
            current.get().decisions.extend(context.decisions)
            return answered

        self._app.SERVICE_HANDLERS[name] = handle
        # What ministack has of it itself is neither asked nor kept.
        module = self._app.SERVICE_REGISTRY.get(name, {}).get("module")
        for key in [key for key, of in self._app._state_map.items() if of == module]:
            del self._app._state_map[key]
        self._router.SERVICE_PATTERNS[name] = {"target_prefixes": [f"{service.target_prefix}."]}
        self._iam_actions.SERVICE_TO_IAM_NAMESPACE.pop(name, None)

    def _close_others(self) -> None:
        """Remove the services that are not in SERVICES.

        Requests for them are refused before they come here, but stacks and services also call each other.
        """
        app = self._app
        for name in set(app.SERVICE_HANDLERS) - SERVICES:
            del app.SERVICE_HANDLERS[name]
        modules = {app.SERVICE_REGISTRY[name]["module"] for name in SERVICES & set(app.SERVICE_REGISTRY)}
        # The state that an earlier version saved of the others is not loaded, such as functions that a topic calls.
        for key in [key for key, module in app._state_map.items() if module not in modules]:
            del app._state_map[key]

    def _close_pages(self) -> None:
        """Remove ministack's own pages; signals to wait conditions and S3's host names stay."""
        app = self._app
        signals, in_host = app._handle_post_body_shortcuts, app._handle_s3_vhost_request

        async def no_page(*_: Any) -> None:
            return None

        async def only_signals(method: str, path: str, *rest: Any) -> Any:
            return await signals(method, path, *rest) if path.startswith(SIGNALS_PATH) else None

        async def only_s3(
            method: str, path: str, headers: Any, body: bytes, query: Any, request_id: str, **_: Any
        ) -> Any:
            answered = await in_host(headers.get("host", ""), path, method, headers, body, query)
            return app._with_data_plane_headers(answered, request_id, include_s3_id=True) if answered else None

        app._handle_pre_body_request = no_page
        app._handle_post_body_shortcuts = only_signals
        app._handle_special_data_plane_request = only_s3

    def _close_resource_types(self) -> None:
        types = self._provisioners._RESOURCE_HANDLERS
        for name in [name for name in types if not _TYPES.fullmatch(name)]:
            del types[name]

        def refuse(*_: Any, **__: Any) -> Any:
            raise ValueError(_NO_CUSTOM_RESOURCES)

        types["AWS::CloudFormation::CustomResource"] = {"create": refuse}
        self._provisioners._custom_resource_create = self._provisioners._custom_resource_update = refuse
        # A stack of an earlier version can still be deleted.
        self._provisioners._custom_resource_delete = lambda *_, **__: None
