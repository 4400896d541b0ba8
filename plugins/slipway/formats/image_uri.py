"""The URI of a container image in Amazon ECR, taken apart and put together."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Self

# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_Repository.html
REPOSITORY_PATTERN = r"[a-z0-9]+(?:[._-][a-z0-9]+)*(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*)*"
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageIdentifier.html
TAG_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
DIGEST_PATTERN = r"sha256:[0-9a-f]{64}"
_URI = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.(?P<domain>amazonaws\.com(?:\.cn)?)/"
    rf"(?P<repository>{REPOSITORY_PATTERN})(?::(?P<tag>{TAG_PATTERN}))?(?:@(?P<digest>{DIGEST_PATTERN}))?",
    re.ASCII,
)


@dataclass(frozen=True)
class EcrImage:
    """An image in a private registry of ECR; with neither tag nor digest it is the repository.

    :param domain: behind the region; China's regions have their own
    :param digest: of the manifest, with ``sha256:``
    """

    account: str
    region: str
    domain: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, uri: str) -> Self | None:
        """Take a URI apart; None for an image that is not in such a registry."""
        found = _URI.fullmatch(uri)
        return cls(**found.groupdict()) if found else None

    @property
    def address(self) -> str:
        """The repository's URI."""
        return f"{self.account}.dkr.ecr.{self.region}.{self.domain}/{self.repository}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.address}{tag}{f'@{self.digest}' if self.digest else ''}"

    def at(self, *, tag: str | None = None, digest: str | None = None) -> Self:
        """Return the image of the same repository with this tag or digest."""
        return replace(self, tag=tag, digest=digest)


def registry_domain(partition: str) -> str:
    """Return the domain of a partition's registries.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html

    :param partition: such as ``aws``
    """
    return "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
