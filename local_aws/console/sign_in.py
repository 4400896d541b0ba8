"""Who may look: whoever has the access key of a person, by HTTP's basic authentication.

The browser keeps it for this port alone; a cookie would also be sent to whatever else listens on this machine.
https://www.rfc-editor.org/rfc/rfc7617
"""

import base64
import binascii
import hmac
from collections.abc import Iterable

from local_aws.host.credentials import AccessKey

CHALLENGE = {"www-authenticate": 'Basic realm="The local AWS", charset="UTF-8"'}


def is_signed_in(headers: Iterable[tuple[bytes, bytes]], keys: Iterable[AccessKey]) -> bool:
    """Tell whether a request has one of some access keys as its user and password.

    :param headers: as they were sent
    :param keys: those that are let in
    """
    scheme, _, encoded = dict(headers).get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"basic":
        return False
    try:
        given = base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        return False
    wanted = [f"{key.access_key_id}:{key.secret_access_key}".encode() for key in keys]
    # All are compared, so that the time tells nothing.
    return any([hmac.compare_digest(given, one) for one in wanted])  # noqa: C419
