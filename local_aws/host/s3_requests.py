"""Requests that S3 refuses, and ministack accepts.

Each check is one of ministack's gaps. tests/local_aws/host/test_ministack_gaps.py fails when a new ministack has closed
one, so that the check here can go.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

PRIVATE_PARTS = {
    "ministack.services.s3": (
        "_complete_multipart_upload",
        "_copy_object",
        "_create_multipart_upload",
        "_delete_objects",
        "_error",
        "_list_object_versions",
        "_list_objects_v1",
        "_list_objects_v2",
        "_put_bucket_tagging",
        "_put_object",
        "_qp",
    ),
}

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_LONGEST_KEY_BYTES = 1024
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
_MOST_METADATA_BYTES = 2048
_METADATA = "x-amz-meta-"
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
_MOST_DELETED = 1000
_PART_NUMBER = re.compile(rb"<PartNumber>\s*(\d+)\s*</PartNumber>")
_OBJECT = re.compile(rb"<Object>")
_TAG_KEY = re.compile(rb"<Key>([^<]*)</Key>")
# What makes a copy onto the object itself legal.
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
_CHANGES = ("x-amz-storage-class", "x-amz-website-redirect-location", "x-amz-server-side-encryption")
_MALFORMED = (
    "MalformedXML",
    "The XML you provided was not well-formed or did not validate against our published schema",
)

# Code and text of a refusal; https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
Problem = tuple[str, str]


def refuse_requests(modules: Mapping[str, Any]) -> None:
    """Refuse long keys and metadata, lists of parts and of deletions that are wrong, and tokens that are none.

    :param modules: ministack's modules by name
    """
    objects = modules["ministack.services.s3"]

    def checked(name: str, problem: Callable[..., Problem | None]) -> None:
        handle = getattr(objects, name)

        def called(bucket: str, *arguments: Any, **keywords: Any) -> Any:
            if found := problem(bucket, *arguments, **keywords):
                return objects._error(*found, 400, f"/{bucket}")
            return handle(bucket, *arguments, **keywords)

        setattr(objects, name, called)

    def listed(bucket: str, query: Any) -> Problem | None:
        return _list_problem(objects._qp(query, "max-keys", "1000"), objects._qp(query, "continuation-token", ""))

    checked("_put_object", lambda _, key, body, headers: _object_problem(key, headers))
    checked("_create_multipart_upload", lambda _, key, headers: _object_problem(key, headers))
    checked("_copy_object", _copy_problem)
    checked("_complete_multipart_upload", lambda _, key, body, *rest: _parts_problem(body))
    checked("_delete_objects", lambda _, body, *rest: _deletion_problem(body))
    checked("_put_bucket_tagging", lambda _, body: _tags_problem(body))
    checked("_list_object_versions", listed)
    checked("_list_objects_v1", listed)
    checked("_list_objects_v2", listed)


def _object_problem(key: str, headers: Mapping[str, str]) -> Problem | None:
    if len(key.encode("utf-8", "surrogatepass")) > _LONGEST_KEY_BYTES:
        return "KeyTooLongError", "Your key is too long"
    own = {name[len(_METADATA) :]: value for name, value in headers.items() if name.lower().startswith(_METADATA)}
    if sum(len(name.encode()) + len(value.encode()) for name, value in own.items()) > _MOST_METADATA_BYTES:
        return "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size"
    return None


def _copy_problem(bucket: str, key: str, headers: Mapping[str, str]) -> Problem | None:
    source = unquote(headers.get("x-amz-copy-source", "")).lstrip("/")
    replaced = headers.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE"
    if source == f"{bucket}/{key}" and not replaced and not any(name in headers for name in _CHANGES):
        return (
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes.",
        )
    return _object_problem(key, headers)


def _parts_problem(body: bytes) -> Problem | None:
    numbers = [int(number) for number in _PART_NUMBER.findall(body)]
    if not numbers:
        return _MALFORMED
    if numbers != sorted(set(numbers)):
        return (
            "InvalidPartOrder",
            "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
        )
    return None


def _deletion_problem(body: bytes) -> Problem | None:
    return None if 0 < len(_OBJECT.findall(body)) <= _MOST_DELETED else _MALFORMED


def _tags_problem(body: bytes) -> Problem | None:
    keys = _TAG_KEY.findall(body)
    if len(keys) != len(set(keys)):
        return "InvalidTag", "Cannot provide multiple Tags with the same key"
    return None


def _list_problem(most: str, token: str) -> Problem | None:
    if not re.fullmatch(r"\d{1,10}", most):
        return "InvalidArgument", "Argument maxKeys must be an integer between 0 and 2147483647"
    try:
        base64.b64decode(token, validate=True).decode()
    except ValueError:
        return "InvalidArgument", "The continuation token provided is incorrect"
    return None
