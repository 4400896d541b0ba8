"""What may be removed: never anything that an endpoint uses or a roll-back needs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.cleanup.rules import InUse, Past, needed, superseded

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = 10


def moment(day: int) -> str:
    return (START + timedelta(days=day)).isoformat()


def past(number: int, **changes) -> Past:
    fields = {
        "revision_id": f"{number:032x}",
        "sequence": moment(number),
        "goes_on": False,
        "home": f"s3://bucket/releases/m/{number:032x}/",
        "package_arn": f"package/{number}",
        "outputs": (f"s3://bucket/m/mlops-m-{number}/output/",),
    }
    return Past(**(fields | changes))


@st.composite
def histories(draw):
    """Releases of a model, what is in use, and what production has served."""
    releases = []
    for number in range(draw(st.integers(0, 8))):
        changes = {
            "sequence": draw(st.none() | st.integers(0, 2 * NOW).map(moment)),
            "goes_on": draw(st.booleans()),
            "pending": draw(st.booleans()),
        }
        if draw(st.booleans()):
            changes["package_arn"] = None
        releases.append(past(number, **changes))
    outputs = [folder for one in releases for folder in (one.home, *one.outputs)]
    urls = st.sampled_from(outputs).flatmap(
        lambda folder: st.sampled_from([folder, f"{folder}model.tar.gz", folder[:-8]])
    )
    used = draw(st.frozensets(urls, max_size=3)) if outputs else frozenset()
    packages = [one.package_arn for one in releases if one.package_arn]
    chain = draw(st.permutations(packages))
    deployed = draw(st.none() | st.integers(0, 2 * NOW).map(moment) | st.just("9999-12-31T23:59:59+00:00"))
    in_use = InUse(data_urls=used)
    return releases, in_use, chain, draw(st.permutations(packages)), draw(st.integers(1, 4)), deployed


def waits(one: Past, deployed: str | None) -> bool:
    """Whether somebody may approve a release that production would then take."""
    return one.pending and (deployed is None or deployed.startswith("9999") or str(one.sequence) >= deployed)


@settings(max_examples=300)
@given(histories())
def test_nothing_goes_that_an_endpoint_uses_or_a_roll_back_needs(history):
    releases, in_use, chain, served, keep, deployed = history
    kept = needed(chain, served, keep)
    gone = superseded(releases, moment(NOW), deployed, in_use, kept)
    for one in gone:
        assert one.package_arn not in chain[:keep]
        assert one.package_arn not in served[:keep]
        assert not any(url.startswith(folder) for url in in_use.data_urls for folder in (one.home, *one.outputs))
        assert not one.goes_on and not waits(one, deployed)
        assert one.sequence is not None and one.sequence < moment(NOW)


@settings(max_examples=300)
@given(histories())
def test_what_stays_has_a_reason(history):
    releases, in_use, chain, served, keep, deployed = history
    kept = needed(chain, served, keep)
    gone = superseded(releases, moment(NOW), deployed, in_use, kept)
    for one in releases:
        reasons = (
            one.goes_on,
            waits(one, deployed),
            one.sequence is None or one.sequence >= moment(NOW),
            one.package_arn in kept,
            any(in_use.has_below(folder) for folder in (one.home, *one.outputs)),
        )
        assert (one in gone) != any(reasons)


def test_what_nobody_has_decided_on_goes_once_production_refuses_it():
    older, newer = past(3, pending=True), past(5, pending=True)
    for deployed, gone in ((moment(5), [older]), (moment(6), [older, newer]), (moment(3), []), (None, [])):
        assert superseded([older, newer], moment(NOW), deployed, InUse(), ()) == gone
    assert superseded([replace(older, goes_on=True)], moment(NOW), moment(5), InUse(), ()) == []


def test_both_what_was_before_and_what_was_newest_is_kept():
    assert needed(["3", "2", "1"], ["6", "5", "4", "3"], 2) == {"3", "2", "6", "5"}


def test_a_folder_is_in_use_for_an_artefact_in_it_and_for_one_that_it_is_part_of():
    folder = "s3://bucket/m/job/output/"
    for url in (f"{folder}model.tar.gz", folder, "s3://bucket/m/job", "s3://bucket/m/"):
        assert InUse(data_urls=frozenset({url})).has_below(folder), url
    for url in ("s3://bucket/m/job-2/output/model.tar.gz", "s3://bucket/m/jo"):
        assert not InUse(data_urls=frozenset({url})).has_below(folder), url


PATHS = st.lists(st.sampled_from(["a", "ab", "b", ""]), max_size=4).map(lambda parts: "/".join(["s3:/", "b", *parts]))


@given(PATHS, st.frozensets(PATHS | PATHS.map("{}/".format), max_size=6))
def test_a_folder_is_in_use_as_if_each_uri_were_compared(path, urls):
    folder = f"{path}/"
    compared = any(url.startswith(folder) or folder.startswith(f"{url.rstrip('/')}/") for url in urls)
    assert InUse(data_urls=urls).has_below(folder) == compared


def test_a_resource_is_in_use_by_its_name_or_its_arn():
    in_use = InUse(names=frozenset({"one", "arn:two"}))
    assert in_use.has_name("one", "arn:one")
    assert in_use.has_name("two", "arn:two")
    assert not in_use.has_name("three", "arn:three")
