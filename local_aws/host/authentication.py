"""Finds out who sent a request: checks its signature with the keys that this local AWS has issued.

Signature Version 4 is accepted, in the header or in a signed address; versions 2 and 4A are refused.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

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
        "parse_header_signature",
        "parse_query_signature",
    ),
}

# "The request must reach Amazon S3 within 15 minutes of the time stamp":
# https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
_SKEW = timedelta(minutes=15)
# https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
_LONGEST_EXPIRY_SECONDS = 7 * 24 * 3600
_UNSIGNED = "UNSIGNED-PAYLOAD"
# What S3 accepts as x-amz-content-sha256 besides a hash.
_CHUNKED = ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")
_NOT_HASHED = (_UNSIGNED, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", *_CHUNKED)
_HASH = re.compile(r"[0-9a-f]{64}")
_ALGORITHM = "AWS4-HMAC-SHA256"


class Unauthenticated(Exception):
    """A request without a valid signature of a known key.

    :param code: ministack's name for the failure; AWS's own where a status is given
    :param message: AWS's text
    :param status: of HTTP, where the code is AWS's own
    """

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


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


@dataclass(frozen=True, eq=False)
class _Head:
    """What a request's head says, all that depends on neither the time nor the keys; two are equal if they are one."""

    method: str
    raw_path: str
    raw_query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    signature: Any
    signed: datetime
    expires_seconds: int | None
    presigned: bool
    payload_hash: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class Claim:
    """What a request says about itself and its sender, before its signature is checked."""

    head: _Head
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
    :param inside: the caller that the keys of twelve digits stand for; only this process has their secret
    """

    def __init__(self, modules: Mapping[str, Any], inside: str) -> None:
        self._sigv4 = modules["ministack.core.sigv4"]
        self._iam = modules["ministack.core.iam_evaluator"]
        self._responses = modules["ministack.core.responses"]
        self._inside = inside
        # The clients of a load send hundreds of equal requests. Each one's time, key and signature are checked.
        self._head = lru_cache(1024)(self._read)
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
        _check_time(head)
        return Claim(head, self._credential(head.signature.access_key_id, head.token))

    def _read(self, method: str, raw_path: str, raw_query: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> _Head:
        """Read a request's head.

        :raises Unauthenticated: it is unsigned, or signed in a form that AWS refuses
        """
        fields = _fields(headers)
        query = parse_qs(raw_query.decode("latin-1"), keep_blank_values=True)
        presigned = self._is_presigned(fields, query)
        signature = (
            self._sigv4.parse_query_signature(query) if presigned else self._sigv4.parse_header_signature(fields)
        )
        if isinstance(signature, tuple):
            raise Unauthenticated(*signature)
        self._check_headers(signature, fields)
        signed = _signed_at(signature)
        expires_seconds = _expires_seconds(signature, query) if presigned else None
        payload_hash = "" if presigned and signature.service == "s3" else fields.get("x-amz-content-sha256", "")
        _check_payload_hash(signature, payload_hash, presigned)
        token = query.get("X-Amz-Security-Token", [""])[0] if presigned else fields.get("x-amz-security-token", "")
        return _Head(
            method, raw_path, raw_query, headers, signature, signed, expires_seconds, presigned, payload_hash, token
        )

    def prove(self, claim: Claim, body: bytes | None) -> Caller:
        """Check a request's signature.

        :param claim: what it claims
        :param body: the whole body; None if it has not been read and the signature does not need it
        :returns: who sent it
        :raises Unauthenticated: the signature was not made with the key's secret, or not for this request
        """
        signature = claim.head.signature
        payload = claim.head.payload_hash or (_UNSIGNED if body is None else hashlib.sha256(body).hexdigest())
        expected, key = self._expected(claim.credential.secret_access_key, claim.head, payload)
        if signature.date_stamp != signature.amz_date[:8]:
            raise Unauthenticated("CredentialDateMismatch", "Date in Credential scope does not match the request's.")
        if not hmac.compare_digest(expected.encode(), signature.signature.encode()):
            raise Unauthenticated("SignatureDoesNotMatch", self._sigv4.SIGNATURE_MISMATCH)
        if body is not None:
            self._check_body(claim, body, expected, key)
        arn = claim.credential.principal_arn
        if claim.credential.principal_type == "Root":
            arn = self._inside
        return Caller(arn, claim.credential.principal_id, claim.service, claim.credential.access_key_id)

    def _is_presigned(self, fields: dict[str, str], query: dict[str, list[str]]) -> bool:
        """Tell whether the address is signed, rather than the header.

        :raises Unauthenticated: neither is signed, or both, or in another way
        """
        authorization, algorithm = fields.get("authorization", ""), query.get("X-Amz-Algorithm", [""])[0]
        if authorization and (algorithm or "X-Amz-Signature" in query):
            raise Unauthenticated("InvalidArgument", "Only one auth mechanism allowed.", 400)
        if authorization.startswith(f"{_ALGORITHM} "):
            return False
        if algorithm == _ALGORITHM:
            return True
        if authorization or algorithm or "AWSAccessKeyId" in query:
            raise Unauthenticated("UnsupportedSignature", "The request signature does not conform to AWS standards.")
        raise Unauthenticated("MissingAuthenticationToken", "Request is missing Authentication Token")

    def _check_headers(self, signature: Any, fields: dict[str, str]) -> None:
        """Refuse unsigned headers that change the request.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
        """
        signed = set(signature.signed_headers.split(";"))
        unsigned = sorted(name for name in fields if name.startswith("x-amz-") and name not in signed)
        if "host" not in signed or unsigned:
            raise Unauthenticated("SignatureDoesNotMatch", "'Host' and all 'X-Amz-' headers must be signed.")

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

    def _signature(self, secret: str, head: _Head, payload_hash: str) -> tuple[str, bytes]:
        """Sign a request as its sender should have; return the signature, and the key for its chunks."""
        query = parse_qs(head.raw_query.decode("latin-1"), keep_blank_values=True)
        fields = {**_fields(head.headers), "x-amz-content-sha256": payload_hash}
        signature = head.signature
        _, to_sign = self._sigv4.header_signing_documents(
            signature, head.method, head.raw_path, query, fields, b"", presigned=head.presigned
        )
        key = self._sigv4._cached_signing_key(secret, signature.date_stamp, signature.region, signature.service)
        return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest(), key

    def _check_body(self, claim: Claim, body: bytes, expected: str, key: bytes) -> None:
        payload_hash = claim.head.payload_hash
        if _HASH.fullmatch(payload_hash) and hashlib.sha256(body).hexdigest() != payload_hash:
            raise Unauthenticated(
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                400,
            )
        if payload_hash in _CHUNKED and not self._sigv4._chunk_signatures_match(
            body, expected, claim.head.signature, key
        ):
            raise Unauthenticated("SignatureDoesNotMatch", self._sigv4.SIGNATURE_MISMATCH)


def _fields(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers as they are signed: the values of one name joined."""
    fields: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1").lower()
        try:
            value = raw_value.decode()
        except UnicodeDecodeError:
            value = raw_value.decode("latin-1")
        fields[name] = f"{fields[name]},{value}" if name in fields else value
    return fields


def _signed_at(signature: Any) -> datetime:
    try:
        return datetime.strptime(signature.amz_date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Unauthenticated("IncompleteSignature", "X-Amz-Date must be as 20240131T235959Z.") from None


def _expires_seconds(signature: Any, query: dict[str, list[str]]) -> int | None:
    """Read how long a signed address is valid; None where it does not say so and need not."""
    expires = query.get("X-Amz-Expires", [""])[0]
    if not expires and signature.service != "s3":
        return None
    if expires.isascii() and expires.isdigit() and 0 < int(expires) <= _LONGEST_EXPIRY_SECONDS:
        return int(expires)
    why = f"X-Amz-Expires must be a number of seconds, {_LONGEST_EXPIRY_SECONDS} at most."
    raise Unauthenticated("AuthorizationQueryParametersError", why, 400)


def _check_time(head: _Head) -> None:
    """Refuse a request that was signed too long ago, or for the future."""
    signed, now, amz_date = head.signed, datetime.now(UTC), head.signature.amz_date
    if head.expires_seconds is not None:
        if now > signed + timedelta(seconds=head.expires_seconds):
            raise Unauthenticated("RequestExpired", "Request has expired")
    elif signed < now - _SKEW:
        raise Unauthenticated("RequestTimeTooSkewed", f"Signature expired: {amz_date} is too long ago.")
    if signed > now + _SKEW:
        raise Unauthenticated("RequestTimeTooSkewed", f"Signature not yet current: {amz_date} is still later.")


def _check_payload_hash(signature: Any, payload_hash: str, presigned: bool) -> None:
    if signature.service == "s3":
        if presigned or _HASH.fullmatch(payload_hash) or payload_hash in _NOT_HASHED:
            return
        if not payload_hash:
            missing = "Missing required header for this request: x-amz-content-sha256"
            raise Unauthenticated("InvalidRequest", missing, 400)
    elif not payload_hash or _HASH.fullmatch(payload_hash):
        return
    raise Unauthenticated("SignatureDoesNotMatch", "x-amz-content-sha256 must be the body's hash.")
