"""What an instance that serves a model costs an hour: a small table, made by hand from AWS's page of prices.

``prices.json`` names the page, the date and the regions. It has only types whose price is confirmed, so an unknown type
or region has no price instead of a wrong one.
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

    :param source: the page that it was made from
    :param date: of that page, ISO 8601
    :param an_hour: US dollars by instance type, the same in all of the regions
    """

    source: str
    date: str
    regions: tuple[str, ...]
    an_hour: dict[str, float]

    def of(self, instance_type: str, region: str) -> float | None:
        """Return what an instance costs an hour, in US dollars; None if that is not known."""
        return self.an_hour.get(instance_type) if region in self.regions else None


@cache
def prices() -> Prices:
    """Read the table."""
    found = json.loads(paths.hosting_prices().read_text(encoding="utf-8"))
    return Prices(found["source"], found["date"], tuple(found["regions"]), found["an_hour"])
