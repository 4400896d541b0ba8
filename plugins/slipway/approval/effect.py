"""What the answers to the approval do, in the same sentences on Airflow's screen and on the board."""

from __future__ import annotations

from slipway.formats.json_numbers import number_text


def approve_does(
    version: str | None,
    live_version: str | None,
    *,
    share: float | None = None,
    strategy: str = "",
    costs: str = "",
) -> str:
    """Say what production gets when a release is approved, and what it costs before and after.

    :param version: the number of the release's model package
    :param live_version: that of the live one; None if production has no model
    :param share: the release's share of the requests in an A/B test; None for all
    :param strategy: how the update moves the requests, see Guardrails.words; empty if it is not known
    :param costs: a sentence, see costs.costs_say
    """
    new, live = named(version, "The new model"), named(live_version, "the live model")
    if live_version and share is not None:
        told = f"{new} gets {number_text(share * 100)} % of production's requests as model-b, beside {live}"
    elif live_version:
        how = f", {strategy}" if strategy else ""
        told = f"{new} takes the place of {live} in production, for all requests{how}"
    else:
        told = f"{new} becomes the first model in production and gets all requests"
    return " ".join(filter(None, (f"{told}.", costs)))


def reject_does(live_version: str | None) -> str:
    """Say what a rejection does."""
    stays = f"keeps {named(live_version, 'what it serves')}" if live_version else "stays empty"
    return f"This release ends, and production {stays}."


def named(version: str | None, otherwise: str) -> str:
    """Name a version in a sentence, or use other words, whose first letter says whether they begin it."""
    if version is None:
        return otherwise
    return f"{'Version' if otherwise[:1].isupper() else 'version'} {version}"
