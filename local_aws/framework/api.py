"""The API of an added service: AWS JSON 1.1 requests, checked operations, and AWS's errors.

https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
"""

import json
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ServiceModel

from local_aws.framework.authorization import PASSED_TO, Guard, Needed
from local_aws.framework.disk import UNAVAILABLE, UNAVAILABLE_STATUS, DiskFull, answering
from local_aws.framework.store import Scope
from local_aws.framework.validation import Validator, WrongType, project

Operation = Callable[["RequestContext", dict[str, Any]], dict[str, Any]]
# Context, service, operation, parameters, and the error code or None.
Recorder = Callable[["RequestContext", str, str, dict[str, Any], str | None], None]
# Context, operation, parameters, which have not been checked.
Needs = Callable[["RequestContext", str, dict[str, Any]], list[Needed]]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RequestContext(Scope):
    """Who asks, and for which account and region.

    :param caller: ARN of who asks; the name of a service that acts for someone
    :param principal_id: IAM's unique id of the caller
    :param access_key_id: what the caller signed with; empty when no request was signed
    :param principal: ARN of the user or role session whose permissions count, where that is not the caller
    :param via: the service that acts for the caller, such as CloudFormation; empty for the caller's own calls
    :param request_id: names the call in logs, and in the ledger when it did not come by HTTP
    :param decisions: what IAM has said about the call, for the ledger
    """

    caller: str = "local"
    principal_id: str = ""
    access_key_id: str = ""
    principal: str = ""
    via: str = ""
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    decisions: list[dict[str, Any]] = field(default_factory=list, compare=False)


class ServiceError(Exception):
    """An error as AWS answers it.

    :param code: such as ``ValidationException``
    :param message: AWS's text
    :param status: of HTTP
    :param members: further members of the error, such as ModelError's OriginalStatusCode
    """

    def __init__(self, code: str, message: str, status: int = 400, **members: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members = members


@cache
def service_model(service_name: str) -> ServiceModel:
    """Load botocore's model of a service.

    :param service_name: boto3's name for it
    :returns: the model, loaded once
    """
    return botocore.session.get_session().get_service_model(service_name)


# A role that was handed over and cannot be assumed → the error.
RoleRefusal = Callable[[Needed], ServiceError]


class JsonService:
    """One AWS service that speaks JSON 1.1.

    :param service_name: boto3's name for it
    :param operations: what it can do, by operation name; each runs in a worker thread
    :param invalid: the code of its errors about a request that its model does not allow
    :param role_refusal: its error for a role that it cannot assume, SageMaker's unless given
    """

    def __init__(
        self,
        service_name: str,
        operations: dict[str, Operation],
        *,
        invalid: str = "ValidationException",
        role_refusal: RoleRefusal | None = None,
    ) -> None:
        self.service_name = service_name
        self._invalid = invalid
        self._role_refusal = role_refusal or _could_not_assume
        self.operations = operations
        # Gets every call made inside the process; the HTTP front records the others.
        self.recorder: Recorder | None = None
        # What callers need for an operation, and who asks IAM for it; the host sets the second.
        self.needs: Needs | None = None
        self.guard: Guard | None = None
        self._before: dict[str, Callable[[RequestContext, dict[str, Any]], None]] = {}
        self._afterwards: dict[str, Callable[[RequestContext, dict[str, Any]], None]] = {}
        self._model = service_model(service_name)
        unknown = operations.keys() - set(self._model.operation_names)
        if unknown:
            raise ValueError(f"{service_name} has no operation {', '.join(sorted(unknown))}")

    @property
    def target_prefix(self) -> str:
        """What the ``X-Amz-Target`` header of its requests begins with."""
        return self._model.metadata["targetPrefix"]

    def before(self, operation: str, act: Callable[[RequestContext, dict[str, Any]], None]) -> None:
        """Let another service refuse an operation of this one.

        :param operation: such as ``UpdateEndpoint``
        :param act: is given who asks and the request, before the operation; raises ServiceError to refuse
        """
        self._before[operation] = act

    def after(self, operation: str, act: Callable[[RequestContext, dict[str, Any]], None]) -> None:
        """Let another service act after an operation of this one.

        :param operation: such as ``DeleteEndpoint``
        :param act: is given who asked and the request, after the operation and before its answer
        """
        self._afterwards[operation] = act

    def call(self, context: RequestContext, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Perform an operation for another part of the local AWS, such as CloudFormation.

        :param context: who asks
        :param operation: such as ``CreateModel``
        :param parameters: the request; operations see times as epoch seconds
        :returns: the answer, with times as epoch seconds
        :raises ServiceError: the operation is missing or refuses, or the request violates the service's model
        """
        # A context is used for several calls, and each has its own line in the ledger.
        context = replace(context, decisions=[])
        error_code: str | None = "InternalFailure"
        try:
            answer = self._answer(context, operation, parameters)
            error_code = None
            return answer
        except ServiceError as error:
            error_code = error.code
            raise
        finally:
            if self.recorder is not None:
                self.recorder(context, self.service_name, operation, parameters, error_code)

    def handle(self, context: RequestContext, target: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Answer one HTTP request.

        :param context: who asks
        :param target: the ``X-Amz-Target`` header, such as ``SageMaker.CreateModel``
        :param body: the JSON document
        :returns: status, headers and body; AWS's errors are answers too, never exceptions
        """
        operation = target.rpartition(".")[2]
        answering.set(True)
        try:
            # Before the body is read, which another operation may have in another form.
            self._require(operation)
            status, answer = 200, self._answer(context, operation, _decoded(body))
        except ServiceError as error:
            status, answer = error.status, {"__type": error.code, "message": error.message, **error.members}
        except DiskFull as full:
            status, answer = UNAVAILABLE_STATUS, {"__type": UNAVAILABLE, "message": str(full)}
        except Exception:
            _log.exception("%s.%s failed (request %s)", self.service_name, operation, context.request_id)
            status, answer = 500, {"__type": "InternalFailure", "message": "The request failed inside the local AWS."}
        return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()

    def _answer(self, context: RequestContext, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._require(operation)
        model = self._model.operation_model(operation)
        needed = self.needs(context, operation, parameters) if self.needs and self.guard else []
        if self.guard:
            self.guard.authorize(context, needed)
        request = self._checked(model.input_shape, parameters)
        if self.guard and (untrusted := self.guard.untrusted(context, needed)):
            raise self._role_refusal(untrusted)
        if act := self._before.get(operation):
            act(context, request)
        result = self.operations[operation](context, request)
        if act := self._afterwards.get(operation):
            act(context, request)
        return project(model.output_shape, result)

    def _require(self, operation: str) -> None:
        if operation not in self.operations:
            raise ServiceError(
                "UnknownOperationException", f"The operation {operation} of {self.service_name} is not available here."
            )

    def _checked(self, shape: Any, parameters: dict[str, Any]) -> dict[str, Any]:
        if shape is None:
            return {}
        validator = Validator()
        try:
            converted = validator.check(shape, parameters)
        except WrongType as error:
            raise ServiceError("SerializationException", str(error)) from error
        count = len(validator.failures)
        if count:
            errors = "error" if count == 1 else "errors"
            raise ServiceError(self._invalid, f"{count} validation {errors} detected: {'; '.join(validator.failures)}")
        return converted


def _could_not_assume(role: Needed) -> ServiceError:
    """Word the refusal of a role as SageMaker does.

    https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html
    """
    return ServiceError(
        "ValidationException",
        f"Could not assume role {role.resource}. Please ensure that the role exists and allows principal "
        f"'{role.keys[PASSED_TO]}' to assume the role.",
    )


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        parameters = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise ServiceError("SerializationException", f"The request is not JSON: {error}") from error
    if not isinstance(parameters, dict):
        raise ServiceError("SerializationException", "The request is not a JSON object.")
    return parameters
