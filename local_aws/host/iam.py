"""Who may use this AWS: IAM's users and keys, and what IAM says about a request."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from local_aws.framework.api import RequestContext
from local_aws.framework.authorization import Needed
from local_aws.host.authentication import Authentication, Caller
from local_aws.host.credentials import ADMIN_USER, AIRFLOW_USER, OPERATOR_USER, AccessKey, Credentials
from local_aws.host.current import current
from local_aws.host.enforcement import Enforcement
from local_aws.host.environment import DEFAULT_ACCOUNT
from local_aws.host.patterns import wildcard
from local_aws.host.permissions import Permissions
from local_aws.host.policies import name_statements
from local_aws.host.refusal import Refusal
from local_aws.host.requests import HttpRequest

PRIVATE_PARTS = {
    "ministack.core.iam_actions": ("access_denied_response",),
    "ministack.core.iam_evaluator": ("_fnmatch_compile", "is_root_access_key"),
    "ministack.core.responses": ("set_request_account_id",),
    "ministack.services.iam": ("_access_keys", "_gen_id", "_now", "_users"),
}

# The callers that services act as when they use the account's roles, objects, logs and metrics with their own keys.
_INSIDE = ("sagemaker.amazonaws.com", "codebuild.amazonaws.com")
_ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


@dataclass(frozen=True)
class Denial:
    """A request that IAM refuses, as the service would answer it."""

    status: int
    headers: dict[str, str]
    body: bytes


class Iam:
    """ministack's IAM.

    :param modules: ministack's modules by name
    """

    def __init__(self, modules: Mapping[str, Any]) -> None:
        self._actions = modules["ministack.core.iam_actions"]
        self._evaluator = modules["ministack.core.iam_evaluator"]
        self._responses = modules["ministack.core.responses"]
        self._accounts = modules["ministack.services.iam"]
        self._evaluator._fnmatch_compile = lru_cache(4096)(wildcard)
        # It reads the environment, which does not change, several times for each call.
        self._evaluator.is_root_access_key = lru_cache(1024)(self._evaluator.is_root_access_key)
        self.authentication = Authentication(modules, inside=_INSIDE)
        name_statements(modules)
        self.permissions = Permissions(modules, self._refused)
        Enforcement(modules, self.permissions)

    def make_users(self, credentials: Credentials) -> None:
        """Give IAM the users and keys of those who use this AWS from outside.

        Airflow's user may only assume the role that trusts it. The operator has the policy that the set-up stack makes.

        :param credentials: their keys
        """
        self._responses.set_request_account_id(DEFAULT_ACCOUNT)
        iam = self._accounts
        users: tuple[tuple[str, AccessKey, list[str]], ...] = (
            (AIRFLOW_USER, credentials.airflow, []),
            (OPERATOR_USER, credentials.operator, [f"arn:aws:iam::{DEFAULT_ACCOUNT}:policy/{OPERATOR_USER}"]),
            (ADMIN_USER, credentials.admin, [_ADMINISTRATOR]),
        )
        # An earlier version had no administrator, and let everybody do everything.
        earlier = ADMIN_USER not in iam._users
        for name, key, policies in users:
            user = iam._users.setdefault(name, {"UserId": iam._gen_id("AIDA"), "CreateDate": iam._now(), "Tags": []})
            user |= {"UserName": name, "Path": "/", "Arn": f"arn:aws:iam::{DEFAULT_ACCOUNT}:user/{name}"}
            user.setdefault("PermissionsBoundary", "")
            user.setdefault("AttachedPolicies", policies)
            if earlier:
                user["AttachedPolicies"] = policies
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

    def authorize(
        self, caller: Caller, resource: str, question: Callable[[], tuple[RequestContext, Needed]]
    ) -> Refusal | None:
        """Ask IAM about an invocation, which ministack does not see.

        :param caller: who asks
        :param resource: the endpoint
        :param question: says for whom the call acts and what it needs; made once a second
        :returns: None when it is allowed
        """

        def decide() -> Refusal | None:
            context, needed = question()
            decision = self.permissions.decide(context, caller.arn, caller.access_key_id, needed)
            if decision is None:
                return None
            current.get().decisions.append(decision.as_data())
            return decision.refusal

        return self.permissions.remembered((caller.arn, caller.access_key_id, resource), decide)

    def _refused(self, refusal: Refusal) -> None:
        """Keep a refusal for the ledger and log it; a stack's or a job's has no call that is being answered."""
        asked = current.get(None)
        if asked is not None:
            asked.refusal = refusal
