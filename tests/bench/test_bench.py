"""The benchmark's arithmetic: bounds, runs out of Airflow's event log, and what is scaled."""

import pytest

from bench.__main__ import parse
from bench.figures import Figures
from bench.load import CEILING, LAB, MODEL, OURS
from bench.load import part as load_part
from bench.parsing import MODELS, Loaded, Parsed
from bench.parsing import part as parsing_part
from bench.probe import Probe
from bench.releases import part as releases_part
from bench.report import Bound
from bench.runs import RunCost, covered, slot_seconds, waits
from bench.waiting import per_hour


def event(second, task_id, name):
    return {"when": f"2026-01-01T00:00:{second:02}Z", "task_id": task_id, "event": name}


EVENTS = [
    event(0, "train", "running"),
    event(2, "train", "deferred"),
    event(3, "other", "running"),
    event(20, "train", "running"),
    event(21, "train", "success"),
    event(23, "other", "failed"),
    event(30, "never", "success"),
]


def test_a_worker_is_held_between_start_and_end_or_deferral_of_a_task():
    assert slot_seconds(EVENTS) == 2 + 1 + 20
    assert waits(EVENTS) == {"train": 1}


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [([], 0), ([(1, 3), (2, 4)], 3), ([(2, 3), (0, 9)], 9), ([(-5, 1), (9, 20)], 2), ([(20, 30)], 0), ([(4, 2)], 0)],
)
def test_spans_count_once_and_within_the_run_only(spans, seconds):
    assert covered(spans, (0, 10)) == seconds


def test_overhead_is_what_neither_aws_nor_a_person_took():
    assert RunCost(100.0, 60.0, 15.0, 8.0).overhead_seconds == 25.0


@pytest.mark.parametrize(("value", "sign", "kept"), [(2, 1, True), (1.9, 1, False), (2, -1, True), (2.1, -1, False)])
def test_a_bound_is_kept_at_its_limit(value, sign, kept):
    assert Bound("x", value, 2.0, sign).kept is kept


def test_polls_are_scaled_to_an_hour():
    assert per_hour(calls=40, polls=20, poll_seconds=10) == 720


def figures(rps, p99_ms=10.0, gateway_us=100.0):
    return Figures(rps, 1000, 5.0, p99_ms, 50.0, gateway_us, 200.0)


def test_loads_ratios_are_medians_of_the_rounds_own():
    rounds = [
        {LAB: figures(100), OURS: figures(ours), CEILING: figures(1000), MODEL: figures(1500)}
        for ours in (500, 900, 950)
    ]
    part = load_part(rounds)
    assert [bound.value for bound in part.bounds] == pytest.approx([9, 1, 0.9, 2 / 3, 0.5])
    assert part.kept
    assert not load_part([{**rounds[0], OURS: figures(890)}]).kept


def test_a_releases_ratio_is_the_median_of_the_rounds_own():
    empty = RunCost(20.0, 5.0, 5.0, 1.0, slept_seconds=12.0)
    rounds = [(RunCost(seconds, 3.0, 5.0, 8.0, noticed_seconds=4.0), empty) for seconds in (38.0, 20.0, 28.0)]
    part = releases_part(rounds, RunCost(130.0, 1.0, 3.0, 120.0))
    assert [bound.value for bound in part.bounds] == [2.0, 8.0]
    # The time from the upload to the run's start has its own column, empty when no upload starts the run.
    assert [row[1:3] for row in part.rows] == [("4.0", "28.0"), ("", "20.0"), ("", "130.0")]
    assert not part.kept
    # 20 s of overhead beside 10 s, which include the empty DAG's extra waits, and beside 8 s without any sleep.
    assert part.figures["ratio_with_sleep_taken_off"] == 2.5
    assert "as a release does" in part.notes[0] and part.notes[0].endswith("the ratio is 2.50")


def test_a_task_transition_is_a_process_and_what_its_worker_does():
    ours = RunCost(20.0, 5.0, 5.0, 1.0, processes={"train": [0.2, 0.1], "evaluate": [0.1]}, supervisor_seconds=0.2)
    empty = RunCost(20.0, 5.0, 5.0, 1.0, processes={"train": [0.05, 0.05]}, supervisor_seconds=0.1)
    assert (ours.transition_seconds, empty.transition_seconds) == pytest.approx((0.2, 0.1))
    said = releases_part([(ours, empty)], empty).notes[1]
    assert "200 ms, of the empty DAG 100;" in said and said.endswith("train 200 and 100, evaluate 100")


def parsed(models, ms_each):
    return Parsed(models, 0.5, 1.0, models * ms_each / 1000, 1.0, 0.1, 15 * models)


@pytest.mark.parametrize(("few", "many", "kept"), [(8, 9, True), (4, 9, False), (20, 11, False)])
def test_many_models_may_cost_no_more_each_than_few(few, many, kept):
    ours = {models: parsed(models, many if models == MODELS[-1] else few) for models in MODELS}
    part = parsing_part(ours, ours, {"airflow": Loaded(2.0, 100.0), "plugin": Loaded(1.07, 50.2)})
    assert part.kept is kept
    assert part.notes[0].endswith("Airflow 2.00 s, 100 MiB; Slipway's plugin 1.07 s, 50 MiB")


def test_the_plugin_is_measured_by_itself_after_airflow(tmp_path):
    with Probe("bench.parse_probe", tmp_path / "airflow") as probe:
        loaded = probe.ask({})
    assert loaded.keys() == {"airflow", "plugin"}
    assert all(figure > 0 for cost in loaded.values() for figure in cost)


def test_parts_are_chosen_by_letter_and_two_share_one_measurement():
    assert parse(["--only", "e,b,a"]).only == ["load", "waiting"]
    assert parse([]).only == ["load", "parsing", "releases", "waiting", "age", "openloop"]
    with pytest.raises(SystemExit):
        parse(["--only", "z"])
