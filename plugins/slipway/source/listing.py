"""A listing of current objects that is repeated without end, and usually shows what it showed before."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.aws.calls import aws_call
from slipway.aws.s3 import uri
from slipway.source.versions import CurrentObject, current_of

# Added to the parsed answer; no member of S3's has this name.
_DIGEST = "SlipwayDigest"
_MORE = ("IsTruncated", "NextContinuationToken")


@dataclass(frozen=True)
class _Page:
    """What a page of a listing says.

    :param more: the members by which the next page is asked for
    """

    objects: Mapping[str, CurrentObject]
    more: Mapping[str, Any]


class RepeatedListing:
    """Lists the objects below a prefix, and parses only the pages that differ from those of the last time.

    Of a page of a thousand objects botocore makes dictionaries in 70 ms of CPU; the digest takes 0.2 ms. The answer's
    body has nothing that is new each time: its request id is a header.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html

    :param client: an aiobotocore S3 client, which the caller keeps between listings
    :param bucket: the bucket
    :param prefix: key prefix
    """

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client, self._bucket, self._prefix = client, bucket, prefix
        self._pages: dict[str, _Page] = {}
        self._found: Mapping[str, CurrentObject] = {}
        # With the wildcard there, botocore calls it before its own function, which would parse the body for an error.
        # https://botocore.amazonaws.com/v1/documentation/api/latest/topics/events.html
        client.meta.events.register("before-parse.*.ListObjectsV2", self._before_parse)

    async def objects(self) -> Mapping[str, CurrentObject]:
        """Return the objects that exist now by key: the same mapping again while nothing changes.

        :raises slipway.errors.AwsError: when a call fails; one call for each 1000 objects
        """
        pages: dict[str, _Page] = {}
        with aws_call("list the objects", uri(self._bucket, self._prefix)):
            paginator = self._client.get_paginator("list_objects_v2")
            async for page in paginator.paginate(Bucket=self._bucket, Prefix=self._prefix):
                digest = page[_DIGEST]
                more = {name: page[name] for name in _MORE if name in page}
                pages[digest] = self._pages.get(digest) or _Page(current_of(page), more)
        if pages.keys() != self._pages.keys():
            self._found = {key: one for page in pages.values() for key, one in page.objects.items()}
        self._pages = pages
        return self._found

    def _before_parse(
        self, *, response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any
    ) -> None:
        """Take the body of a known page away, so that nothing is parsed."""
        # Another listing with the same client may have seen the answer first, and taken its body away.
        digest = customized_response_dict.setdefault(_DIGEST, hashlib.sha256(response_dict["body"]).hexdigest())
        if response_dict["status_code"] == 200 and (known := self._pages.get(digest)):
            response_dict["body"] = b""
            customized_response_dict.update(known.more)
