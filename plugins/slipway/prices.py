"""What an instance that serves a model costs an hour: an estimate, from a small table made by hand.

``prices.json`` has AWS's on-demand prices as public lists had them on its date, not as read from AWS's page, which
decides. ``ml.m4.xlarge`` is calculated, as docs/costs.md explains. An unknown type or region has no price.
https://aws.amazon.com/sagemaker/pricing/
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

from slipway import paths


@dataclass(frozen=True)
class Prices:
    """The table.

    :param source: AWS's page, which decides
    :param date: of the public lists that it was made from, ISO 8601
    :param an_hour: US dollars by instance type, the same in all of the regions
    """

    source: str
    date: str
    regions: tuple[str, ...]
    an_hour: dict[str, float]

    def of(self, instance_type: str, region: str) -> float | None:
        """Estimate what an instance costs an hour, in US dollars; None for an unknown type or region."""
        return self.an_hour.get(instance_type) if region in self.regions else None


@cache
def prices() -> Prices:
    """Read the table."""
    found = json.loads(paths.hosting_prices().read_text(encoding="utf-8"))
    return Prices(found["source"], found["date"], tuple(found["regions"]), found["an_hour"])
