"""The phases of a load: their names, how they are read, and how they are divided."""

import pytest

from slipway.load.errors import LoadRefused
from slipway.load.phases import Arrivals, LoadStage, parse_stages, phase_name, phase_names, phase_to_json, shares


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
@pytest.mark.parametrize("phase", [LoadStage(7, 100), Arrivals(33, 3.3, concurrency=9)])
def test_shares_are_the_whole_phase(phase, processes):
    parts = shares(phase, processes)
    numbers = sorted(number for part in parts for number in range(part.first, part.requests, part.step))
    assert numbers == list(range(phase.requests))
    assert sum(part.concurrency for part in parts) == phase.concurrency
    assert max(part.concurrency for part in parts) - min(part.concurrency for part in parts) <= 1


def test_stages_are_read_from_a_command_line():
    assert parse_stages("10:1000, 100x10000") == (LoadStage(10, 1000), LoadStage(100, 10_000))
    with pytest.raises(LoadRefused, match="'ten' is not a stage"):
        parse_stages("10:1000,ten")


def test_names_of_phases():
    assert phase_name(phase_to_json(LoadStage(1500, 10))) == "1,500 in flight"
    assert phase_name(phase_to_json(Arrivals(12.5, 60))) == "12.5/s for 60 s"
    stages = [phase_to_json(LoadStage(concurrency, 10)) for concurrency in (5, 9, 5)]
    assert phase_names(stages) == ["5 in flight (phase 1)", "9 in flight", "5 in flight (phase 3)"]


@pytest.mark.parametrize("text", ["1:" + "9" * 5000, "\u0661:\u0661", "1e3:1", "nan", ""])
def test_what_is_no_stage_is_named(text):
    with pytest.raises(LoadRefused, match="is not a stage"):
        parse_stages(text)
