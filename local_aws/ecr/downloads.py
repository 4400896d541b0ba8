"""Addresses of layers that need no other signature than their own, as the presigned ones of AWS.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetDownloadUrlForLayer.html
"""

import hashlib
import hmac
import time
from collections.abc import Mapping
from pathlib import Path

from local_aws.ecr.blobs import Blobs
from local_aws.ecr.names import family
from local_aws.framework.service_parts import DOWNLOADS_PATH
from local_aws.framework.store import Scope

_GOOD_SECONDS = 3600


class Downloads:
    """Makes the addresses, and finds what they are of.

    :param endpoint_url: of this local AWS
    :param secret: what the addresses are signed with; they are good as long as it is
    :param blobs: the layers
    """

    def __init__(self, endpoint_url: str, secret: str, blobs: Blobs) -> None:
        self._endpoint_url = endpoint_url
        self._secret = secret.encode()
        self._blobs = blobs

    def url(self, scope: Scope, repository: str, digest: str) -> str:
        """Return the address of a layer, good for an hour.

        :param scope: account and region
        :param repository: its name
        :param digest: of the layer
        """
        path = f"{DOWNLOADS_PATH}{scope.region}/{scope.account_id}/{family(repository)}{digest}"
        expires = str(int(time.time()) + _GOOD_SECONDS)
        return f"{self._endpoint_url}{path}?expires={expires}&signature={self._signature(path, expires)}"

    def find(self, path: str, query: Mapping[str, str]) -> Path | None:
        """Return the file of an address; None for one that was not made here, or too long ago.

        :param path: decoded
        :param query: the last value of each key
        """
        expires = query.get("expires", "")
        parts = path.removeprefix(DOWNLOADS_PATH).split("/")
        signed = hmac.compare_digest(self._signature(path, expires).encode(), query.get("signature", "").encode())
        if not signed or int(expires) < time.time() or len(parts) != 4:
            return None
        region, account, name, digest = parts
        return self._blobs.find(Scope(account, region), name.replace(":", "/"), digest)

    def _signature(self, path: str, expires: str) -> str:
        return hmac.new(self._secret, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()
