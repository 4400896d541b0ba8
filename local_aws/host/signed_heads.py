"""Reads what the head of a request says of its signature: all that depends on neither the time nor the keys.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

PRIVATE_PARTS = {"ministack.core.sigv4": ("parse_header_signature", "parse_query_signature")}

# "The request must reach Amazon S3 within 15 minutes of the time stamp":
# https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
_SKEW = timedelta(minutes=15)
# https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
_LONGEST_EXPIRY_SECONDS = 7 * 24 * 3600
UNSIGNED = "UNSIGNED-PAYLOAD"
# What S3 accepts as x-amz-content-sha256 besides a hash.
CHUNKED = ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")
_NOT_HASHED = (UNSIGNED, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", *CHUNKED)
HASH = re.compile(r"[0-9a-f]{64}")
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


@dataclass(frozen=True, eq=False)
class SignedHead:
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

    def check_time(self) -> None:
        """Refuse a request that was signed too long ago, or for the future.

        :raises Unauthenticated: it is one
        """
        signed, now, amz_date = self.signed, datetime.now(UTC), self.signature.amz_date
        if self.expires_seconds is not None:
            if now > signed + timedelta(seconds=self.expires_seconds):
                raise Unauthenticated("RequestExpired", "Request has expired")
        elif signed < now - _SKEW:
            raise Unauthenticated("RequestTimeTooSkewed", f"Signature expired: {amz_date} is too long ago.")
        if signed > now + _SKEW:
            raise Unauthenticated("RequestTimeTooSkewed", f"Signature not yet current: {amz_date} is still later.")


class SignedHeads:
    """Reads heads.

    :param sigv4: ministack's module
    """

    def __init__(self, sigv4: Any) -> None:
        self._sigv4 = sigv4

    def read(
        self, method: str, raw_path: str, raw_query: bytes, headers: tuple[tuple[bytes, bytes], ...]
    ) -> SignedHead:
        """Read a request's head.

        :param method: of HTTP
        :param raw_path: as it was sent
        :param raw_query: as it was sent
        :param headers: names and values as they were sent
        :raises Unauthenticated: it is unsigned, or signed in a form that AWS refuses
        """
        fields = fields_of(headers)
        query = parse_qs(raw_query.decode("latin-1"), keep_blank_values=True)
        presigned = _is_presigned(fields, query)
        signature = (
            self._sigv4.parse_query_signature(query) if presigned else self._sigv4.parse_header_signature(fields)
        )
        if isinstance(signature, tuple):
            raise Unauthenticated(*signature)
        _check_headers(signature, fields)
        signed = _signed_at(signature)
        expires_seconds = _expires_seconds(signature, query) if presigned else None
        payload_hash = "" if presigned and signature.service == "s3" else fields.get("x-amz-content-sha256", "")
        _check_payload_hash(signature, payload_hash, presigned)
        token = query.get("X-Amz-Security-Token", [""])[0] if presigned else fields.get("x-amz-security-token", "")
        return SignedHead(
            method, raw_path, raw_query, headers, signature, signed, expires_seconds, presigned, payload_hash, token
        )


def _is_presigned(fields: dict[str, str], query: dict[str, list[str]]) -> bool:
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


def _check_headers(signature: Any, fields: dict[str, str]) -> None:
    """Refuse unsigned headers that change the request.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    signed = set(signature.signed_headers.split(";"))
    unsigned = sorted(name for name in fields if name.startswith("x-amz-") and name not in signed)
    if "host" not in signed or unsigned:
        raise Unauthenticated("SignatureDoesNotMatch", "'Host' and all 'X-Amz-' headers must be signed.")


def fields_of(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
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


def _check_payload_hash(signature: Any, payload_hash: str, presigned: bool) -> None:
    if signature.service == "s3":
        if presigned or HASH.fullmatch(payload_hash) or payload_hash in _NOT_HASHED:
            return
        if not payload_hash:
            missing = "Missing required header for this request: x-amz-content-sha256"
            raise Unauthenticated("InvalidRequest", missing, 400)
    elif not payload_hash or HASH.fullmatch(payload_hash):
        return
    raise Unauthenticated("SignatureDoesNotMatch", "x-amz-content-sha256 must be the body's hash.")
