"""The list of endpoints: one call a look, however many there are, and the whole list once an hour."""

from datetime import UTC, datetime, timedelta

import pytest

from slipway.aws import endpoints
from slipway.aws.endpoints import LISTED_EVERY, PAGE_SIZE, EndpointList, ListedEndpoint

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


class Clock(datetime):
    """A clock that a test sets."""

    shows = NOON

    @classmethod
    def now(cls, tz=None):
        return cls.shows


class SageMaker:
    """So many endpoints; it notes what is asked."""

    def __init__(self, count: int) -> None:
        self.there = {f"e{number:03}": NOON - timedelta(days=1) for number in range(count)}
        self.whole: list[bool] = []

    def endpoints(self, modified_after=None):
        self.whole.append(modified_after is None)
        return [
            ListedEndpoint(name, name, "InService", NOON.isoformat(), at.isoformat())
            for name, at in self.there.items()
            if modified_after is None or at >= modified_after
        ]


@pytest.fixture(autouse=True)
def clock(monkeypatch) -> type[Clock]:
    Clock.shows = NOON
    monkeypatch.setattr(endpoints, "datetime", Clock)
    return Clock


def test_a_page_is_listed_whole():
    sagemaker = SageMaker(PAGE_SIZE - 1)
    listed = EndpointList(sagemaker)
    listed.read()
    del sagemaker.there["e001"]
    assert "e001" not in {one.name for one in listed.read()}
    assert sagemaker.whole == [True, True]


def test_of_more_only_what_changed_is_listed_until_an_hour_has_passed(clock):
    sagemaker = SageMaker(2000)
    listed = EndpointList(sagemaker)
    assert len(listed.read()) == 2000
    clock.shows += timedelta(minutes=5)
    sagemaker.there["e001"] = sagemaker.there["new"] = clock.shows - timedelta(minutes=1)
    del sagemaker.there["e002"]
    found = {one.name: one.modified for one in listed.read()}
    assert len(found) == 2001
    assert found["e001"] == found["new"] == (clock.shows - timedelta(minutes=1)).isoformat()
    assert sagemaker.whole == [True, False]
    listed.forget("e003")
    assert "e003" not in {one.name for one in listed.read()}
    clock.shows += LISTED_EVERY
    assert "e002" not in {one.name for one in listed.read()}
    assert sagemaker.whole == [True, False, False, True]
