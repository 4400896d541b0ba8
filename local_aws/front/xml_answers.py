"""XML answers that a parser can read, whatever text of a caller's is in them.

XML 1.0 cannot carry most control characters, by no reference either: https://www.w3.org/TR/xml/#charsets
"""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import unescape

# As bytes of UTF-8: control characters, surrogates, U+FFFE and U+FFFF; and what stands for a character by its number.
_UNREADABLE = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xed[\xa0-\xbf][\x80-\xbf]|\xef\xbf[\xbe\xbf]|&#(?:x0*(?:[0-8bcef]|1[0-9a-f])|"
    rb"0*(?:[0-8]|1[124-9]|2[0-9]|3[01]));",
    re.IGNORECASE,
)
_REPLACEMENT = "\ufffd".encode()
_KEYS = re.compile(r"<(Key|Prefix|Delimiter|KeyMarker|NextKeyMarker)>([^<]*)</\1>")
_AFTER = "</MaxKeys>"


def readable(body: bytes) -> bytes:
    """Write out of an answer what no parser takes.

    AWS leaves such characters in, and the whole answer cannot be read then. A carriage return is kept, by its number.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html#object-key-xml-related-constraints

    :param body: an answer in XML
    :returns: the same with U+FFFD in their place
    """
    return _UNREADABLE.sub(_REPLACEMENT, body).replace(b"\r", b"&#13;")


def with_encoded_keys(list_versions: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """Let ListObjectVersions heed ``encoding-type``, by which all SDKs ask for keys that any XML carries.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html

    :param list_versions: ministack's own, which gives status, headers and body for a bucket and a query
    :returns: what takes its place
    """

    def listed(bucket: str, query: Any) -> Any:
        status, headers, body = list_versions(bucket, query)
        wanted = query.get("encoding-type", [""])
        if status != 200 or (wanted if isinstance(wanted, str) else wanted[0]) != "url":
            return status, headers, body
        text = _KEYS.sub(_encoded, body.decode("utf-8", "surrogatepass"))
        text = text.replace(_AFTER, f"{_AFTER}<EncodingType>url</EncodingType>", 1)
        return status, headers, text.encode()

    return listed


def _encoded(match: re.Match[str]) -> str:
    return f"<{match[1]}>{quote(unescape(match[2]), safe='/', errors='replace')}</{match[1]}>"
