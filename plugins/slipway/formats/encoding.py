"""Texts of one AWS API in the fields of the next: encoded within the field's alphabet, and read back unchanged.

SageMaker takes any line as the name of a metric, Airflow nearly any text as a run id. Tags and the metadata of a model
package take letters, digits, spaces and ``_.:/=+-@``. So ``error (%)`` is kept as ``error =28=25=29``. A text of ASCII
letters, digits, spaces and ``_.:/+-@`` stays as it is.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Tag.html
TAG_VALUE_MAX_CHARS = 256
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
METADATA_KEY_MAX_CHARS = 128
METADATA_VALUE_MAX_CHARS = 256

# What tags and metadata allow, without =, which begins an escape.
_PLAIN = "_.:/+-@ "


def encoded(text: str) -> str:
    """Write a text in the alphabet of tags and metadata, with = in place of the % of URLs."""
    # Python's quote never escapes ~, which neither tags nor metadata allow.
    return quote(text, safe=_PLAIN, errors="surrogatepass").replace("~", "%7E").replace("%", "=")


def decoded(value: str) -> str:
    """Read what ``encoded`` wrote; what it cannot have written was never encoded, and is read as it is."""
    try:
        text = unquote(value.replace("%", "%25").replace("=", "%"), errors="surrogatepass")
    except UnicodeDecodeError:
        return value
    return text if encoded(text) == value else value


def fits(text: str, max_chars: int) -> bool:
    """Tell whether a field of a number of characters can keep a text so that it reads back."""
    return 0 < len(encoded(text)) <= max_chars
