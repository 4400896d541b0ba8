"""What ECR says of images: DescribeImages, ListImages, and the token for docker.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html
"""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

from local_aws.ecr.errors import invalid
from local_aws.ecr.images import Images
from local_aws.ecr.pages import DEFAULT_SIZE
from local_aws.ecr.repositories import Repositories
from local_aws.framework.api import Operation, RequestContext
from local_aws.framework.store import Document, Scope

# "The authorization token is valid for 12 hours":
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
_TOKEN_SECONDS = 12 * 3600
# Scope, repository, digest: what DescribeImages says of the image's scan.
ScanSummary = Callable[[Scope, str, str], dict[str, Any]]
_TAGS_FIRST, _UNTAGGED = "t", "u"


class Descriptions:
    """The operations that read images.

    :param repositories: those that exist
    :param images: those that exist
    :param scan_summary: reads scans
    """

    def __init__(self, repositories: Repositories, images: Images, scan_summary: ScanSummary) -> None:
        self._repositories = repositories
        self._images = images
        self._scan_summary = scan_summary

    def operations(self) -> dict[str, Operation]:
        """Return the API's operations by name."""
        return {
            "DescribeImages": self._describe,
            "ListImages": self._list,
            "GetAuthorizationToken": _authorization_token,
        }

    def _describe(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        name = self._repositories.get(context, parameters)["repositoryName"]
        token = None
        if identifiers := parameters.get("imageIds"):
            found = [self._images.get(context, name, identifier) for identifier in identifiers]
        else:
            found, token = self._images.page(context, name, parameters, _status(parameters))
        return {"imageDetails": [self._described(context, name, image) for image in found], "nextToken": token}

    def _described(self, context: RequestContext, repository: str, image: Document) -> dict[str, Any]:
        scanned = self._scan_summary(context, repository, image["imageDigest"])
        described = {**image, **scanned, "registryId": context.account_id, "repositoryName": repository}
        return {**described, "imageTags": image["imageTags"] or None, "imageStatus": "ACTIVE"}

    def _list(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        """List an entry for each tag, then one for each image without a tag."""
        name = self._repositories.get(context, parameters)["repositoryName"]
        status, size = _status(parameters), parameters.get("maxResults", DEFAULT_SIZE)
        part, _, token = str(parameters.get("nextToken", "")).partition(".")
        if part not in ("", _TAGS_FIRST, _UNTAGGED):
            raise invalid("Invalid parameter at 'nextToken' failed to satisfy constraint: 'Invalid token'")
        found: list[dict[str, str]] = []
        if status != "UNTAGGED" and part != _UNTAGGED:
            found, after = self._images.tags_page(context, name, _page(size, token))
            if after is not None or status == "TAGGED":
                return {"imageIds": found, "nextToken": f"{_TAGS_FIRST}.{after}" if after else None}
            if len(found) == size:
                return {"imageIds": found, "nextToken": f"{_UNTAGGED}."}
            token = ""
        if status == "TAGGED":
            return {"imageIds": found}
        untagged, after = self._images.page(context, name, _page(size - len(found), token), "UNTAGGED")
        found += [{"imageDigest": image["imageDigest"]} for image in untagged]
        return {"imageIds": found, "nextToken": f"{_UNTAGGED}.{after}" if after else None}


def _page(size: int, token: str) -> dict[str, Any]:
    return {"maxResults": size, **({"nextToken": token} if token else {})}


def _status(parameters: dict[str, Any]) -> str:
    return str(parameters.get("filter", {}).get("tagStatus", "ANY"))


def _authorization_token(context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """Make the password of `docker login`. Nothing here takes it: layers and images go through ECR's API."""
    expires = time.time() + _TOKEN_SECONDS
    password = base64.b64encode(json.dumps({"caller": context.caller, "expiration": int(expires)}).encode()).decode()
    registry = f"https://{context.account_id}.dkr.ecr.{context.region}.amazonaws.com"
    token = base64.b64encode(f"AWS:{password}".encode()).decode()
    data = {"authorizationToken": token, "expiresAt": expires, "proxyEndpoint": registry}
    ids = parameters.get("registryIds")
    proxies = [f"https://{one}.dkr.ecr.{context.region}.amazonaws.com" for one in ids] if ids else [registry]
    return {"authorizationData": [{**data, "proxyEndpoint": proxy} for proxy in proxies]}
