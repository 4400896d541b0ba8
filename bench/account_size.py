"""How much there is in an account."""

from __future__ import annotations

from dataclasses import dataclass

PREFIX = "iris-model"
# The number before that of the first real release, so that those of a history are older.
LAST_VERSION = 9000


@dataclass(frozen=True)
class Size:
    """How much there is beside one release of the iris model.

    :param releases: of the iris model: packages and claims
    :param zips: versions of the iris model's zip
    :param models: other models, each with two endpoints and a package that waits for its approval
    :param zips_each: versions of the zip of each
    :param days: of metrics of the iris model's production endpoint
    """

    releases: int
    zips: int
    models: int
    zips_each: int
    days: float = 0

    @classmethod
    def aged(cls, scale: float) -> Size:
        """Return a part of 100 000 versions of zips, 10 000 packages, 2 000 endpoints and 1 000 models, all in all."""
        models = max(1, round(1000 * scale) - 1)
        return cls(round(LAST_VERSION * scale), round(10_089 * scale), models, 90, 365 * scale)

    @classmethod
    def fresh(cls) -> Size:
        """Return an account with a second model, and no history."""
        return cls(0, 0, 1, 1)
