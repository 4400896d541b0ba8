"""Makes XML answers readable for parsers, whatever text of a caller they contain.

XML 1.0 cannot contain most control characters, not even as references: https://www.w3.org/TR/xml/#charsets
"""

import re

# As bytes of UTF-8: control characters, surrogates, U+FFFE and U+FFFF, and references to control characters.
_UNREADABLE = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xed[\xa0-\xbf][\x80-\xbf]|\xef\xbf[\xbe\xbf]|&#(?:x0*(?:[0-8bcef]|1[0-9a-f])|"
    rb"0*(?:[0-8]|1[124-9]|2[0-9]|3[01]));",
    re.IGNORECASE,
)
_REPLACEMENT = "\ufffd".encode()


def readable(body: bytes) -> bytes:
    """Replace what no parser accepts in an answer.

    AWS leaves such characters in, and its answers cannot be read then. A carriage return is kept as a reference.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html#object-key-xml-related-constraints

    :param body: an answer in XML
    :returns: the same with U+FFFD in their place
    """
    return _UNREADABLE.sub(_REPLACEMENT, body).replace(b"\r", b"&#13;")
