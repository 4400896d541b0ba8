"""The rules of garbage collection: which releases may be removed. Pure functions, without calls to AWS."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import islice

from slipway.stages import sequences


@dataclass(frozen=True)
class Past:
    """One release that has left something in S3.

    :param sequence: its place in the order of releases, ISO 8601; None if its claim names none
    :param goes_on: whether its run has not ended
    :param home: the folder of its documents and its copy of the model, an S3 URI that ends in a slash
    :param package_arn: its model package; None if it registered none
    :param pending: whether nobody has decided on the package
    :param outputs: the folders that its training jobs wrote, in the same form; empty where they were not looked up
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
    """What endpoints and stacks use now.

    :param names: names or ARNs of models and endpoint configs
    :param data_urls: S3 URIs of artefacts, or of folders of them
    """

    names: frozenset[str] = field(default_factory=frozenset)
    data_urls: frozenset[str] = field(default_factory=frozenset)

    def has_name(self, name: str, arn: str) -> bool:
        """Return whether a model or endpoint config is in use."""
        return name in self.names or arn in self.names

    def has_arn(self, arn: str) -> bool:
        """Return whether a model or endpoint config may be in use, by its ARN, which has the name in small letters."""
        return _short(arn) in self._short_names

    def has_below(self, folder: str) -> bool:
        """Return whether an artefact in this folder, an S3 URI that ends in a slash, is in use."""
        first = bisect_left(self._sorted_urls, folder)
        if any(url.startswith(folder) for url in self._sorted_urls[first : first + 1]):
            return True
        return any(folder[:end] in self._folders for end, letter in enumerate(folder) if letter == "/")

    # There are thousands of names and URIs, and a collection asks about each of its resources and releases.
    @cached_property
    def _short_names(self) -> frozenset[str]:
        return frozenset(map(_short, self.names))

    @cached_property
    def _sorted_urls(self) -> list[str]:
        return sorted(self.data_urls)

    @cached_property
    def _folders(self) -> frozenset[str]:
        return frozenset(url.rstrip("/") for url in self.data_urls)


def needed(chain: Iterable[str], deployed: Iterable[str], keep_releases: int) -> frozenset[str]:
    """Return the packages that a roll-back may need.

    Both lists count: a second roll-back starts from the live package, and somebody may want to return to a newer one.

    :param chain: packages of production, the live one first, each followed by the one before it
    :param deployed: packages that production has served, the newest first
    :param keep_releases: how many of each
    :returns: ARNs
    """
    return frozenset([*islice(chain, keep_releases), *islice(deployed, keep_releases)])


def superseded(
    past: Sequence[Past], sequence: str, deployed: str | None, in_use: InUse, kept: Collection[str]
) -> list[Past]:
    """Choose the releases that cannot be deployed again and that nothing needs.

    A release that is not older than the collecting one may still be deployed when somebody clears its run. One that
    nobody has decided on may be, too, unless production serves a newer one.

    :param past: the releases that have left something in S3
    :param sequence: the sequence of the release that collects
    :param deployed: the sequence that production's stack names; None where it names none
    :param in_use: what endpoints and stacks use
    :param kept: packages that a roll-back needs
    :returns: the releases whose documents and artefacts may be removed
    """
    return [
        one
        for one in past
        if ended_before(one, sequence)
        and not _may_be_approved(one, deployed)
        and one.package_arn not in kept
        and not any(in_use.has_below(folder) for folder in (one.home, *one.outputs))
    ]


@dataclass(frozen=True)
class PastBuild:
    """One build of a model's container image that has left more than a claim.

    :param sequence: its place in the order of uploads, ISO 8601; None if its claim names none
    :param goes_on: whether its run has not ended
    :param digest: of its image; None if it has recorded none
    :param tag: of its image; None if it has recorded none
    """

    revision_id: str
    sequence: str | None
    goes_on: bool
    digest: str | None = None
    tag: str | None = None


def superseded_builds(builds: Iterable[PastBuild], sequence: str, needed: Collection[str]) -> list[PastBuild]:
    """Choose the builds whose documents nothing needs: those whose image no kept release uses.

    :param builds: those that have left something
    :param sequence: the sequence of the release that collects; newer uploads stay
    :param needed: the digests of the kept releases' images, and of the newest image
    """
    return [one for one in builds if ended_before(one, sequence) and one.digest not in needed]


def left_lists(lists: Mapping[str, str], builds: Iterable[PastBuild]) -> list[str]:
    """Choose the lists of packages that belong to no build.

    A build that has recorded nothing yet may still read its list, so all stay as long as there is one.

    :param lists: the tag of each list's image, by the list's key
    :param builds: those that stay
    :returns: keys
    """
    tags = {one.tag for one in builds}
    return [] if None in tags else [key for key, tag in lists.items() if tag not in tags]


def ended_before(one: Past | PastBuild, sequence: str) -> bool:
    """Tell whether the run has ended, and its upload is known to be older than that of the release that collects."""
    if one.sequence is None or one.goes_on:
        return False
    return datetime.fromisoformat(one.sequence) < datetime.fromisoformat(sequence)


def _may_be_approved(one: Past, deployed: str | None) -> bool:
    """Tell whether somebody may decide on a release: production refuses one that is older than what it serves."""
    return one.pending and not (one.sequence and sequences.is_older(one.sequence, deployed))


def _short(name: str) -> str:
    return name.rpartition("/")[2].lower()
