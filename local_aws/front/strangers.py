"""Finds requests that a web page sent or that are for a foreign host name. They are refused before they are read.

A browser lets a page send requests to the loopback, and a page's owner can let a host name of theirs resolve to
127.0.0.1. But a page cannot remove the headers that browsers add to its requests:
https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site
https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Origin
"""

import re
from collections.abc import Iterable, Mapping

from local_aws.front.paths import is_console

# Headers that must not come twice, because two readers might use different ones.
_SINGLE = (
    b"host",
    b"sec-fetch-site",
    b"authorization",
    b"content-length",
    b"x-amz-content-sha256",
    b"x-amz-date",
    b"x-amz-target",
)
_OVERRIDES = (b"x-http-method-override", b"x-http-method", b"x-method-override")
# Requests with any of these headers are not plain, whatever the value.
TELLTALE = frozenset({b"origin", b"sec-fetch-site", *_OVERRIDES})
# Where the endpoint is http://localhost:4566, boto3 puts the bucket before the name. No page can own a name below
# localhost: https://www.rfc-editor.org/rfc/rfc6761.html#section-6.3
_BUCKET_HOST = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]\.localhost")
_PORT = re.compile(r":[0-9]*$")
_SIGNED_FOR_S3 = re.compile(rb"(?:^|&)X-Amz-Credential=[^&]*(?:%2F|/)s3(?:%2F|/)aws4_request(?:&|$)", re.IGNORECASE)


def reason_to_refuse(
    method: str, path: str, query: bytes, headers: Iterable[tuple[bytes, bytes]], hosts: frozenset[str]
) -> str | None:
    """Return why a request must be refused as a web page's or a foreign name's.

    :param method: of HTTP
    :param path: decoded
    :param query: as it was sent
    :param headers: all of the request's, as they were sent
    :param hosts: the names under which this local AWS may be addressed
    :returns: what is wrong and what to do; None when nothing is
    """
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        name = name.lower()
        if name in found and name in _SINGLE:
            return f"The request has the header {_shown(name)} twice. Send it once."
        found[name] = value
    return _foreign_name(found, hosts) or _web_page(method, path, query, found) or _override(found)


def _foreign_name(headers: Mapping[bytes, bytes], hosts: frozenset[str]) -> str | None:
    host = headers.get(b"host", b"").decode("latin-1").lower()
    name = _PORT.sub("", host)
    if name in hosts or _BUCKET_HOST.fullmatch(name):
        return None
    return (
        f"The request is for the host {_shown(host.encode())!r}, and this local AWS answers to "
        f"{', '.join(sorted(hosts))} only. Use one of these names in AWS_ENDPOINT_URL, or start it with --host NAME."
    )


def _web_page(method: str, path: str, query: bytes, headers: Mapping[bytes, bytes]) -> str | None:
    if b"origin" in headers:
        return (
            f"The request comes from a web page (Origin: {_shown(headers[b'origin'])}), and no web page may use the "
            "local AWS. No setting allows one: use an AWS client, such as boto3 or the AWS CLI."
        )
    site = headers.get(b"sec-fetch-site", b"none")
    if site in (b"none", b"same-origin") or _opened_report(method, path, query, headers):
        return None
    if _opened_console(method, path, headers):
        return None
    return (
        f"The request comes from a web page (Sec-Fetch-Site: {_shown(site)}), and no web page may use the local AWS. "
        "No setting allows one: open the address by itself, or use an AWS client."
    )


def _opened_console(method: str, path: str, headers: Mapping[bytes, bytes]) -> bool:
    """Tell whether a person follows a link to the console, such as Airflow's.

    A page cannot follow one by itself, and learns nothing of what is shown: the pages read only, need a key, open in no
    frame and cut the connection to the page that opened them.
    https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Sec-Fetch-User
    """
    return method == "GET" and is_console(path) and _is_opened(headers) and headers.get(b"sec-fetch-user") == b"?1"


def _is_opened(headers: Mapping[bytes, bytes]) -> bool:
    return headers.get(b"sec-fetch-mode") == b"navigate" and headers.get(b"sec-fetch-dest") == b"document"


def _opened_report(method: str, path: str, query: bytes, headers: Mapping[bytes, bytes]) -> bool:
    """Tell whether a person opens a signed link to an object, such as Airflow's links to reports of stress tests.

    The link's signature is checked like any other. Paths that need no signature are not objects.
    """
    return (
        _is_opened(headers)
        and method == "GET"
        and not path.startswith("/_")
        and _SIGNED_FOR_S3.search(query) is not None
    )


def _override(headers: Mapping[bytes, bytes]) -> str | None:
    for name in _OVERRIDES:
        if name in headers:
            return f"The request has the header {_shown(name)}, which AWS does not know. Send the method itself."
    return None


def _shown(value: bytes) -> str:
    """Return a header's value for a message, shortened and in printable ASCII."""
    text = value.decode("latin-1")[:200]
    return "".join(char if " " <= char <= "~" else "?" for char in text)
