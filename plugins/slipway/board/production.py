"""Says which models production serves, and with which shares: by the survey, or by Slipway's own deployments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from slipway.board.live import Found
from slipway.board.progress import Deployed
from slipway.board.results import Results, version_of
from slipway.formats.json_numbers import number_text


@dataclass(frozen=True)
class Production:
    """What production serves.

    :param shares: the share of the requests that each model package has; None where it is not known
    """

    shares: Mapping[str, float | None]

    def serves(self, *packages: str | None) -> bool:
        """Check whether one of these model packages is served."""
        return any(one in self.shares for one in packages if one)

    def share(self, *packages: str | None) -> float | None:
        """Return the share of the one of these model packages that is served; None if it has all, or is not known."""
        shares = [self.shares[one] for one in packages if one and one in self.shares]
        return shares[0] if shares and len(self.shares) > 1 else None

    @property
    def words(self) -> str | None:
        """The versions, with their shares if there are several: “v12 · 90 % and v13 · 10 %”; None if there are none."""
        several = len(self.shares) > 1
        named = [
            f"v{version_of(arn)}" + (f" · {percent(share)}" if several and share is not None else "")
            for arn, share in self.shares.items()
        ]
        return " and ".join(named) or None


def production(
    model: str, surveyed: Found, newest: Deployed | None, left: Mapping[int, Results], now: datetime
) -> Production:
    """Find out what production serves.

    :param model: the model
    :param surveyed: what AWS serves; it counts while it is known and not old
    :param newest: the newest deployment, until the survey has looked after it; None if there is none
    :param left: what the runs have left, with the run of that deployment
    :param now: the time of the page
    """
    own = left[newest.run].shares if newest else {}
    looked_at = surveyed.survey(now).at
    if own and newest and newest.since and looked_at and looked_at < newest.since:
        return Production(own)
    return Production(surveyed.shares_in_production(model, now) or own)


def percent(share: float) -> str:
    """Write a share of the requests."""
    return f"{number_text(round(share * 100, 1))} %"
