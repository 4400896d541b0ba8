"""Finds out who sent a request: checks its signature with the keys that this local AWS has issued.

Signature Version 4 is accepted, in the header or in a signed address; versions 2 and 4A are refused.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

from local_aws.host.signed_heads import CHUNKED, HASH, UNSIGNED, SignedHead, SignedHeads, Unauthenticated, fields_of

PRIVATE_PARTS = {
    "ministack.core.iam_evaluator": (
        "AmbiguousAccessKeyError",
        "CredentialResolutionError",
        "_unknown_access_key",
        "find_iam_access_key_account",
        "resolve_credential",
    ),
    "ministack.core.responses": ("_account_from_sts_session",),
    "ministack.core.sigv4": (
        "SIGNATURE_MISMATCH",
        "_cached_signing_key",
        "_chunk_signatures_match",
        "header_signing_documents",
    ),
}


@dataclass(frozen=True)
class Caller:
    """Who signed a request.

    :param arn: of the IAM user or the role's session; a service's name for AWS's own services
    :param principal_id: IAM's unique id of it
    :param service: the service that the signature is for
    :param access_key_id: the key that it was signed with
    """

    arn: str
    principal_id: str
    service: str
    access_key_id: str


@dataclass(frozen=True)
class Claim:
    """What a request says about itself and its sender, before its signature is checked."""

    head: SignedHead
    credential: Any = field(repr=False)

    @property
    def service(self) -> str:
        """The service that the signature is for."""
        service: str = self.head.signature.service
        return service

    @property
    def proved_by_head(self) -> bool:
        """Tell whether the signature can be checked without the body."""
        return bool(self.head.payload_hash) or (self.head.presigned and self.service == "s3")


class Authentication:
    """Checks signatures.

    :param modules: ministack's modules by name
    :param inside: the callers that the keys of twelve digits stand for, of which only this process has the secret: the
        one that a request's User-Agent names, else the first
    """

    def __init__(self, modules: Mapping[str, Any], inside: Sequence[str]) -> None:
        self._sigv4 = modules["ministack.core.sigv4"]
        self._iam = modules["ministack.core.iam_evaluator"]
        self._responses = modules["ministack.core.responses"]
        self._inside = inside
        # The clients of a load send hundreds of equal requests. Each one's time, key and signature are checked.
        self._head = lru_cache(1024)(SignedHeads(self._sigv4).read)
        self._expected = lru_cache(1024)(self._signature)
        # IAM never gives an id out again, so a key's account stays the same; whether it is good is asked each time.
        self._account = lru_cache(1024)(self._find_account)

    def claim(self, method: str, raw_path: str, raw_query: bytes, headers: Iterable[tuple[bytes, bytes]]) -> Claim:
        """Read who a request says it is from, and refuse what is wrong even without a signature check.

        :param method: of HTTP
        :param raw_path: as it was sent
        :param raw_query: as it was sent
        :param headers: names and values as they were sent
        :returns: what `prove` checks
        :raises Unauthenticated: it is unsigned, too old, or signed with an unknown key
        """
        head = self._head(method, raw_path, raw_query, tuple(headers))
        head.check_time()
        return Claim(head, self._credential(head.signature.access_key_id, head.token))

    def prove(self, claim: Claim, body: bytes | None) -> Caller:
        """Check a request's signature.

        :param claim: what it claims
        :param body: the whole body; None if it has not been read and the signature does not need it
        :returns: who sent it
        :raises Unauthenticated: the signature was not made with the key's secret, or not for this request
        """
        signature = claim.head.signature
        payload = claim.head.payload_hash or (UNSIGNED if body is None else hashlib.sha256(body).hexdigest())
        expected, key = self._expected(claim.credential.secret_access_key, claim.head, payload)
        if signature.date_stamp != signature.amz_date[:8]:
            raise Unauthenticated("CredentialDateMismatch", "Date in Credential scope does not match the request's.")
        if not hmac.compare_digest(expected.encode(), signature.signature.encode()):
            raise Unauthenticated("SignatureDoesNotMatch", self._sigv4.SIGNATURE_MISMATCH)
        if body is not None:
            self._check_body(claim, body, expected, key)
        arn = claim.credential.principal_arn
        if claim.credential.principal_type == "Root":
            agent = fields_of(claim.head.headers).get("user-agent", "")
            arn = next((name for name in self._inside if name in agent), self._inside[0])
        return Caller(arn, claim.credential.principal_id, claim.service, claim.credential.access_key_id)

    def _credential(self, access_key_id: str, token: str) -> Any:
        found = self._iam.resolve_credential(access_key_id, self._account(access_key_id), token)
        if isinstance(found, self._iam.CredentialResolutionError):
            raise Unauthenticated(found.code, found.message)
        return found

    def _find_account(self, access_key_id: str) -> str:
        """Name the account of a key.

        :raises Unauthenticated: nobody has the key
        """
        account: str | None = self._responses._account_from_sts_session(access_key_id)
        try:
            account = account or self._iam.find_iam_access_key_account(access_key_id)
        except self._iam.AmbiguousAccessKeyError:
            account = None
        if re.fullmatch(r"[0-9]{12}", access_key_id):
            account = access_key_id
        if account is None:
            unknown = self._iam._unknown_access_key()
            raise Unauthenticated(unknown.code, unknown.message)
        return account

    def _signature(self, secret: str, head: SignedHead, payload_hash: str) -> tuple[str, bytes]:
        """Sign a request as its sender should have; return the signature, and the key for its chunks."""
        query = parse_qs(head.raw_query.decode("latin-1"), keep_blank_values=True)
        fields = {**fields_of(head.headers), "x-amz-content-sha256": payload_hash}
        signature = head.signature
        _, to_sign = self._sigv4.header_signing_documents(
            signature, head.method, head.raw_path, query, fields, b"", presigned=head.presigned
        )
        key = self._sigv4._cached_signing_key(secret, signature.date_stamp, signature.region, signature.service)
        return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest(), key

    def _check_body(self, claim: Claim, body: bytes, expected: str, key: bytes) -> None:
        payload_hash = claim.head.payload_hash
        if HASH.fullmatch(payload_hash) and hashlib.sha256(body).hexdigest() != payload_hash:
            raise Unauthenticated(
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                400,
            )
        if payload_hash in CHUNKED and not self._sigv4._chunk_signatures_match(
            body, expected, claim.head.signature, key
        ):
            raise Unauthenticated("SignatureDoesNotMatch", self._sigv4.SIGNATURE_MISMATCH)
