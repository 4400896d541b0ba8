"""What is in the zip of a release, beside the zip of the live one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slipway.approval.costs import VariantInstances
from slipway.board.documents import Comparison, Content
from slipway.board.results import Results
from slipway.request.contents import compare


@dataclass(frozen=True)
class LiveRelease:
    """What production serves.

    :param version: the model's version; None if production has none
    :param results: what the run has left that put it there; None where there is none, or it is not known which
    :param instances: those of production, by the survey; None while they are not known
    """

    version: str | None = None
    results: Results | None = None
    instances: Sequence[VariantInstances] | None = None


def comparison(new: Results, live: LiveRelease, *, only_changes: bool) -> Comparison:
    """Compare a release with the live one.

    :param new: what the release's tasks have left
    :param live: what production serves
    :param only_changes: whether to leave out what is the same
    """
    if new.contents is None:
        why = "Nothing is known about the zip: no task of this run has read it, or Slipway was older then."
        return Comparison(contents=[], live_version=None, same_zip=False, why_not=why)
    theirs = live.results.contents if live.results else None
    why_not = None
    if live.results is new:
        why_not = "Production serves this release."
    elif live.results is None and live.version is not None:
        why_not = (
            f"The board does not know the zip of version {live.version}: it serves beside a model on trial, or did."
        )
    elif live.results is None:
        why_not = "Production has no model to compare with."
    elif theirs is None:
        why_not = "What is in the live zip is not known: an earlier version of Slipway released it."
    found = compare(new.contents, None if why_not else theirs)
    # The same zip with another image is another model.
    same = theirs is not None and why_not is None and theirs.digest == new.contents.digest
    same = same and not any(one.differs for one in found)
    if only_changes:
        found = [] if same or why_not else [one for one in found if one.differs]
    return Comparison(
        contents=[Content(part=one.part, name=one.name, new=one.new, live=one.live) for one in found],
        live_version=None if why_not else live.version,
        same_zip=same,
        why_not=why_not,
    )
