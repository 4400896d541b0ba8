"""ministack's S3: lists of versions whose keys are encoded on request."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import unescape

PRIVATE_PARTS = {"ministack.services.s3": ("_list_object_versions",)}

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


def _encoded(match: re.Match[str]) -> str:
    return f"<{match[1]}>{quote(unescape(match[2]), safe='/', errors='replace')}</{match[1]}>"
