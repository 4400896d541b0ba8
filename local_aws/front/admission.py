"""Decides which requests are let in, before any service reads them."""

from dataclasses import replace
from functools import lru_cache

from local_aws.front.asgi import AsgiScope, Receive, body_of, http_request, replayed
from local_aws.front.error_answers import ErrorAnswer, error_answer
from local_aws.front.strangers import reason_to_refuse
from local_aws.host.authentication import Claim
from local_aws.host.current import Current, current
from local_aws.host.gateway import Gateway
from local_aws.host.requests import HttpRequest
from local_aws.host.services import SERVICES
from local_aws.host.signed_heads import Unauthenticated

# Except for S3, a signature covers the body, so the whole body is read to check it. No other call needs more.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
_MAX_BODY_BYTES = 16 * 1024 * 1024
_PAGE = "docs/local-aws.md"


class NotAdmitted(Exception):
    """A request that is not let in.

    :param answer: what its sender gets
    """

    def __init__(self, answer: ErrorAnswer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Admission:
    """Decides whether a request is let in.

    :param gateway: ministack
    :param hosts: the names under which requests may address this local AWS
    """

    def __init__(self, gateway: Gateway, hosts: frozenset[str]) -> None:
        self._gateway = gateway
        self._hosts = hosts
        # The clients of a load send hundreds of equal heads.
        self._why_refused = lru_cache(1024)(self._reason_to_refuse)

    def refuse_stranger(self, scope: AsgiScope) -> None:
        """Refuse a request that a web page sent or that is for a foreign host name.

        :param scope: of any request
        :raises NotAdmitted: it is such a request
        """
        path = scope["path"]
        why = self._why_refused(scope["method"], path, scope["query_string"], tuple(scope["headers"]))
        if why is not None:
            # The request is not routed, because ministack would read it for that.
            service = "" if path == "/" or path.startswith(("/_", "/endpoints/", "/service/")) else "s3"
            raise NotAdmitted(error_answer(service, http_request(scope), "AccessDenied", why, 403))

    async def admit(self, scope: AsgiScope, receive: Receive) -> Receive | None:
        """Let in an AWS call whose sender is known, and make the sender the current caller.

        :param scope: of the call
        :param receive: gives its body
        :returns: gives the body, which has been read, once more; None when the client has gone
        :raises NotAdmitted: it is not signed by a known key, or for a service that is not here
        """
        request = http_request(scope)
        claim = self._claimed(scope, request)
        try:
            if claim.proved_by_head:
                self._gateway.iam.authentication.prove(claim, None)
        except Unauthenticated as error:
            raise self._unknown(request, error, claim.service) from None
        body = await body_of(receive, None if claim.service == "s3" else _MAX_BODY_BYTES)
        if body is None:
            return None
        if claim.service != "s3" and len(body) > _MAX_BODY_BYTES:
            why = f"The request is longer than {_MAX_BODY_BYTES} bytes."
            raise NotAdmitted(error_answer("", request, "RequestEntityTooLarge", why, 413))
        self._let_in(claim, replace(request, body=body))
        return replayed([{"type": "http.request", "body": body, "more_body": False}], receive)

    def admit_whole(self, scope: AsgiScope, request: HttpRequest) -> None:
        """Let in a request whose body has been read, as `admit` does.

        :param scope: of the call
        :param request: the same, with its body
        :raises NotAdmitted: as `admit`
        """
        self._let_in(self._claimed(scope, request), request)

    def _reason_to_refuse(
        self, method: str, path: str, query: bytes, headers: tuple[tuple[bytes, bytes], ...]
    ) -> str | None:
        return reason_to_refuse(method, path, query, headers, self._hosts)

    def _claimed(self, scope: AsgiScope, request: HttpRequest) -> Claim:
        try:
            return self._gateway.iam.authentication.claim(
                scope["method"], scope["raw_path"].decode("latin-1"), scope["query_string"], scope["headers"]
            )
        except Unauthenticated as error:
            raise self._unknown(request, error) from None

    def _let_in(self, claim: Claim, request: HttpRequest) -> None:
        try:
            caller = self._gateway.iam.authentication.prove(claim, request.body)
        except Unauthenticated as error:
            raise self._unknown(request, error, claim.service) from None
        service = self._gateway.requests.service_of(request)
        if service not in SERVICES:
            why = f"The local AWS has no {service or claim.service}. {_PAGE} lists the services it has."
            raise NotAdmitted(error_answer(service, request, "UnknownOperationException", why, 400))
        if service != claim.service:
            raise self._unknown(
                request,
                Unauthenticated(
                    "SignatureDoesNotMatch", f"Credential should be scoped to correct service: '{service}'."
                ),
                service,
            )
        current.set(Current(request, caller))

    def _unknown(self, request: HttpRequest, error: Unauthenticated, service: str = "") -> NotAdmitted:
        if service not in SERVICES:
            form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
            # Only the body of an unsigned form names its service, so all such forms get the same answer.
            service = (
                "sts" if form and "authorization" not in request.headers else self._gateway.requests.service_of(request)
            )
        if error.status is not None:
            return NotAdmitted(error_answer(service, request, error.code, error.message, error.status))
        denial = self._gateway.iam.denial(service, request, error.code, error.message)
        return NotAdmitted(ErrorAnswer(denial.status, denial.headers, b"" if request.method == "HEAD" else denial.body))
