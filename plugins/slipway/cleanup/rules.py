"""What of a model may go: arithmetic over what exists, what is in use and what a roll-back needs, without AWS."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice


@dataclass(frozen=True)
class Past:
    """One release that has left something in S3.

    :param sequence: its place in the order of releases, ISO 8601; None where its claim does not say
    :param goes_on: whether its run has not ended
    :param package_arn: its model package; None for a release that came to none
    :param pending: whether nobody has decided on the package
    :param home: where its documents and its copy of the model are, as an S3 URI that ends in a slash
    :param outputs: what its training jobs wrote, in the same form
    """

    revision_id: str
    sequence: str | None
    goes_on: bool
    home: str
    package_arn: str | None = None
    pending: bool = False
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class InUse:
    """What endpoints and stacks use at this moment.

    :param names: of models and endpoint configs, or their ARNs
    :param data_urls: artefacts, or folders of them, as S3 URIs
    """

    names: frozenset[str] = field(default_factory=frozenset)
    data_urls: frozenset[str] = field(default_factory=frozenset)

    def has_name(self, name: str, arn: str) -> bool:
        """:returns: whether a model or endpoint config is in use"""
        return name in self.names or arn in self.names

    def has_below(self, folder: str) -> bool:
        """:returns: whether an artefact in this folder, an S3 URI that ends in a slash, is in use"""
        return any(url.startswith(folder) or folder.startswith(f"{url.rstrip('/')}/") for url in self.data_urls)


def needed(chain: Iterable[str], deployed: Iterable[str], keep_releases: int) -> frozenset[str]:
    """Tell which packages a roll-back may want.

    Both count: after a roll-back the way further back begins at what is live, and what was left may be wanted again.

    :param chain: packages of production, the live one first, each followed by the one before it
    :param deployed: packages that production has served, the newest first
    :param keep_releases: how many of each
    :returns: ARNs
    """
    return frozenset([*islice(chain, keep_releases), *islice(deployed, keep_releases)])


def superseded(past: Sequence[Past], sequence: str, in_use: InUse, kept: Collection[str]) -> list[Past]:
    """Choose the releases that can never be deployed again and that nothing needs.

    A release that is not older than the one which collects may still come to production when its run is cleared.

    :param past: the releases that have left something
    :param sequence: the place of the release that collects
    :param in_use: what endpoints and stacks use
    :param kept: packages that a roll-back needs
    :returns: those whose documents and artefacts may go
    """
    moment = datetime.fromisoformat(sequence)
    return [
        one
        for one in past
        if one.sequence is not None
        and datetime.fromisoformat(one.sequence) < moment
        and not one.goes_on
        and not one.pending
        and one.package_arn not in kept
        and not any(in_use.has_below(folder) for folder in (one.home, *one.outputs))
    ]
