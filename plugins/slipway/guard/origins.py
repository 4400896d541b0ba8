"""Which web pages may change something: those of the server itself, and those that Airflow's settings allow.

A browser adds cookies to requests that other sites' pages send. It also adds headers that no page can write: ``Origin``
(https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Origin) and, over https and to localhost,
``Sec-Fetch-Site`` (https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site). The rules are
those of https://pkg.go.dev/net/http#CrossOriginProtection, with the hosts that proxies write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow.configuration import conf
from starlette._utils import get_route_path
from starlette.datastructures import Headers

from slipway.validation import shown_name

if TYPE_CHECKING:
    from starlette.types import Scope

# With Amazon's auth manager, a page of IAM Identity Center ends a login, by an answer that it has signed.
# https://airflow.apache.org/docs/apache-airflow-providers-amazon/stable/auth-manager/index.html
_LOGIN_CALLBACK = "/auth/login_callback"
_PORTS = {"http": 80, "https": 443}
Place = tuple[str, int | None]


def foreign_page(scope: Scope) -> str | None:
    """Say why a web page may not send a request that changes something.

    :param scope: the request's ASGI scope
    :returns: the reason; None for a page of this server's or of an allowed site, and for what is no browser
    """
    headers = Headers(raw=scope["headers"])
    site = headers.get("sec-fetch-site")
    # The browser knows which address it has asked, whatever proxies have made of it.
    if site == "same-origin" or get_route_path(scope) == _LOGIN_CALLBACK:
        return None
    origins = headers.getlist("origin")
    if not origins:
        return _refusal("another site") if site in ("cross-site", "same-site") else None
    foreign = [one for one in origins if not _is_own(one, headers)]
    return _refusal(shown_name(foreign[0])) if foreign else None


def _is_own(origin: str, headers: Headers) -> bool:
    """Tell whether a page comes from this server, by any of its names, or from a site that the settings allow."""
    if origin in conf.getlist("api", "access_control_allow_origins"):
        return True
    scheme, place = _parts(origin)
    if place is None:
        return False
    if (scheme, place) == _parts(conf.get("api", "base_url", fallback="")):
        return True
    # A proxy may end TLS and not say so: the scheme is not compared with that of the connection.
    return place in {_parts(f"{scheme}://{host}")[1] for host in _hosts(headers)}


def _hosts(headers: Headers) -> set[str]:
    """Return what the request and the proxies before this server call its host; a page can write none of them."""
    forwarded = {one.strip() for one in headers.get("x-forwarded-host", "").split(",")}
    port = headers.get("x-forwarded-port", "").strip()
    return {headers.get("host", "")} | forwarded | {f"{host}:{port}" for host in forwarded if host and port}


def _parts(url: str) -> tuple[str, Place | None]:
    """Return scheme, and host with port, of a URL; no host where it has none, as ``null`` has."""
    try:
        found = urlsplit(url)
        place = (found.hostname, found.port or _PORTS.get(found.scheme)) if found.hostname else None
    except ValueError:
        return "", None
    return found.scheme, place


def _refusal(who: str) -> str:
    return (
        f"A page of {who} may not change anything here: use Airflow's own pages. If this was one of them, an "
        "administrator sets [api] base_url to the address that people open. To allow another site, add it to "
        "[api] access_control_allow_origins."
    )
