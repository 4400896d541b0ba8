"""Who may use this AWS: IAM's users and keys, and what IAM says about a request."""

import uuid
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from local_aws.host.authentication import Authentication, Caller
from local_aws.host.credentials import AIRFLOW_USER, OPERATOR_USER, Credentials
from local_aws.host.environment import DEFAULT_ACCOUNT
from local_aws.host.patterns import wildcard
from local_aws.host.requests import HttpRequest, Requests

PRIVATE_PARTS = {
    "ministack.app": ("AUTH",),
    "ministack.core.iam_actions": ("access_denied_response",),
    "ministack.core.iam_evaluator": (
        "AuthError",
        "_fnmatch_compile",
        "enforce",
        "pin_request_caller",
        "pin_request_origin",
        "pin_signed_body",
        "pin_signed_request",
    ),
    "ministack.core.responses": ("set_request_account_id",),
    "ministack.services.iam": ("_access_keys", "_gen_id", "_now", "_users"),
}

# The caller that SageMaker acts as when it uses the account's objects, logs and metrics with its own keys.
_INSIDE = "sagemaker.amazonaws.com"


@dataclass(frozen=True)
class Denial:
    """A request that IAM refuses, as the service would answer it."""

    status: int
    headers: dict[str, str]
    body: bytes


class Iam:
    """ministack's IAM.

    :param modules: ministack's modules by name
    :param requests: reads requests
    """

    def __init__(self, modules: Mapping[str, Any], requests: Requests) -> None:
        self._app = modules["ministack.app"]
        self._actions = modules["ministack.core.iam_actions"]
        self._evaluator = modules["ministack.core.iam_evaluator"]
        self._responses = modules["ministack.core.responses"]
        self._accounts = modules["ministack.services.iam"]
        self._requests = requests
        self._evaluator._fnmatch_compile = lru_cache(4096)(wildcard)
        # Who has signed the current request.
        self.caller: ContextVar[Caller] = ContextVar("local_aws.caller")
        self.authentication = Authentication(modules, inside=_INSIDE)

    def make_users(self, credentials: Credentials) -> None:
        """Give IAM the users and keys of those who use this AWS from outside.

        :param credentials: their keys
        """
        self._responses.set_request_account_id(DEFAULT_ACCOUNT)
        iam = self._accounts
        for name, key in ((AIRFLOW_USER, credentials.airflow), (OPERATOR_USER, credentials.operator)):
            user = iam._users.setdefault(name, {"UserId": iam._gen_id("AIDA"), "CreateDate": iam._now(), "Tags": []})
            user |= {"UserName": name, "Path": "/", "Arn": f"arn:aws:iam::{DEFAULT_ACCOUNT}:user/{name}"}
            user.setdefault("PermissionsBoundary", "")
            user.setdefault("AttachedPolicies", ["arn:aws:iam::aws:policy/AdministratorAccess"])
            for former in [former for former, kept in iam._access_keys.items() if kept["UserName"] == name]:
                del iam._access_keys[former]
            iam._access_keys[key.access_key_id] = {
                "UserName": name,
                "AccessKeyId": key.access_key_id,
                "SecretAccessKey": key.secret_access_key,
                "Status": "Active",
                "CreateDate": iam._now(),
            }

    def denial(self, service: str, request: HttpRequest, code: str, message: str) -> Denial:
        """Word a failed authentication as a service does.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html
        https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
        https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html

        :param service: ministack's name for it
        :param request: the request
        :param code: ministack's name for the failure
        :param message: AWS's text
        :returns: the answer
        """
        request_id = str(uuid.uuid4())
        status, headers, body = self._actions.access_denied_response(
            service, "", "", request_id, error_code=code, message=message, headers=request.headers
        )
        found = {name.lower(): value for name, value in headers.items()}
        return Denial(status, {**found, "x-amzn-requestid": request_id, "x-amz-request-id": request_id}, body)

    def authorize(self, request: HttpRequest, raw: dict[str, Any], action: str, arn: str) -> Denial | None:
        """Ask IAM about a request that ministack does not see; allows everything unless AUTH=true.

        :param request: the request, with its body; `Requests.scope_of` has been called for it
        :param raw: its ASGI scope
        :param action: such as ``sagemaker:InvokeEndpoint``
        :param arn: the resource
        :returns: None when it is allowed
        """
        if not self._app.AUTH:
            return None
        service = action.partition(":")[0]
        client = (raw.get("client") or ("127.0.0.1",))[0]
        self._evaluator.pin_request_origin(client, raw.get("scheme") == "https")
        raw_path = (raw.get("raw_path") or request.path.encode()).decode("latin-1")
        self._evaluator.pin_signed_request(request.method, raw_path, request.query, raw["headers"])
        self._evaluator.pin_signed_body(request.body)
        self._evaluator.pin_request_caller(request.headers, request.query)
        key, region = self._requests.access_key_of(request), self._requests.region_of(request)
        denied = self._evaluator.enforce(key, action, service, region, resource_arn=arn)
        if denied is None:
            return None
        if isinstance(denied, self._evaluator.AuthError):
            answer = self._actions.access_denied_response(
                service, action, "", "", error_code=denied.code, message=denied.message, headers=request.headers
            )
        else:
            answer = self._actions.access_denied_response(
                service,
                action,
                denied.principal_arn,
                "",
                headers=request.headers,
                resource_arn=arn,
                explicit_deny=denied.decision == "Deny",
            )
        return Denial(*answer)
