"""ministack's S3: lists of versions whose keys are encoded on request, and what AWS refuses or adds.

Each change closes one of ministack's gaps. tests/local_aws/host/test_ministack_gaps.py fails when a new ministack has
closed one, so that the change here can go.
"""

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import unescape

PRIVATE_PARTS = {
    "ministack.core.responses": ("get_account_id", "get_region"),
    "ministack.services.s3": (
        "_bucket_default_sse_headers",
        "_complete_multipart_upload",
        "_error",
        "_list_object_versions",
        "_multipart_uploads",
        "_put_bucket_policy",
        "_qp",
        "_resolve_sse_write_headers",
    ),
}

_SSE = "x-amz-server-side-encryption"
_KMS_KEY = f"{_SSE}-aws-kms-key-id"
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_MIN_PART_BYTES = 5 * 1024 * 1024
_PART_NUMBER = re.compile(rb"<PartNumber>\s*(\d+)\s*</PartNumber>")

_KEYS = re.compile(r"<(Key|Prefix|Delimiter|KeyMarker|NextKeyMarker)>([^<]*)</\1>")
_AFTER = "</MaxKeys>"


def encode_listed_keys(modules: Mapping[str, Any]) -> None:
    """Make ListObjectVersions obey ``encoding-type``, which all SDKs send because XML cannot contain every key.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html

    :param modules: ministack's modules by name
    """
    objects = modules["ministack.services.s3"]
    list_versions = objects._list_object_versions

    def listed(bucket: str, query: Any) -> Any:
        status, headers, body = list_versions(bucket, query)
        wanted = query.get("encoding-type", [""])
        if status != 200 or (wanted if isinstance(wanted, str) else wanted[0]) != "url":
            return status, headers, body
        text = _KEYS.sub(_encoded, body.decode("utf-8", "surrogatepass"))
        text = text.replace(_AFTER, f"{_AFTER}<EncodingType>url</EncodingType>", 1)
        return status, headers, text.encode()

    objects._list_object_versions = listed


def encrypt_by_default(modules: Mapping[str, Any]) -> None:
    """Encrypt every new object: by S3's own keys, or for aws:kms without a key by the account's key aws/s3.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html

    :param modules: ministack's modules by name
    """
    objects, responses = modules["ministack.services.s3"], modules["ministack.core.responses"]
    resolve, default = objects._resolve_sse_write_headers, objects._bucket_default_sse_headers

    def resolved(headers: dict[str, str], bucket: str) -> Any:
        if headers.get(_SSE) == "aws:kms" and not headers.get(_KMS_KEY):
            account, region = responses.get_account_id(), responses.get_region()
            key = uuid.uuid5(uuid.NAMESPACE_URL, f"aws/s3 {account} {region}")
            headers = {**headers, _KMS_KEY: f"arn:aws:kms:{region}:{account}:key/{key}"}
        return resolve(headers, bucket)

    objects._resolve_sse_write_headers = resolved
    objects._bucket_default_sse_headers = lambda bucket: default(bucket) or {_SSE: "AES256"}


def check_requests(modules: Mapping[str, Any]) -> None:
    """Refuse policies that are none, and uploads in parts that are too small.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html

    :param modules: ministack's modules by name
    """
    objects = modules["ministack.services.s3"]
    put_policy, complete = objects._put_bucket_policy, objects._complete_multipart_upload

    def policy_put(name: str, body: bytes) -> Any:
        if wrong := policy_problem(body):
            return objects._error("MalformedPolicy", wrong, 400, f"/{name}")
        return put_policy(name, body)

    def completed(bucket: str, key: str, body: bytes, query: Any, headers: Any = None) -> Any:
        upload = objects._multipart_uploads.get(objects._qp(query, "uploadId"))
        numbers = sorted({int(number) for number in _PART_NUMBER.findall(body)})
        if upload and any(_is_small(upload["parts"].get(number)) for number in numbers[:-1]):
            return objects._error(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                400,
                f"/{bucket}/{key}",
            )
        return complete(bucket, key, body, query, headers)

    objects._put_bucket_policy = policy_put
    objects._complete_multipart_upload = completed


def _is_small(part: dict[str, Any] | None) -> bool:
    return part is not None and part["size"] < _MIN_PART_BYTES


def policy_problem(body: bytes | str) -> str | None:
    """Return what is wrong with a bucket's policy, None for one that has the form.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
    """
    try:
        policy = json.loads(body)
    except ValueError:
        return "Policies must be valid JSON and the first byte must be '{'"
    if not isinstance(policy, dict):
        return "Policies must be valid JSON and the first byte must be '{'"
    if "Statement" not in policy:
        return "Missing required field Statement"
    statements = policy["Statement"]
    for one in statements if isinstance(statements, list) else [statements]:
        if not isinstance(one, dict):
            return "Invalid policy syntax."
        if one.get("Effect") not in ("Allow", "Deny"):
            return "Missing required field Effect" if "Effect" not in one else f"Invalid effect: {one['Effect']}"
        for member in ("Principal", "Action", "Resource"):
            if member not in one and f"Not{member}" not in one:
                return f"Missing required field {member}"
    return None


def _encoded(match: re.Match[str]) -> str:
    return f"<{match[1]}>{quote(unescape(match[2]), safe='/', errors='replace')}</{match[1]}>"
