"""What a terminal shows."""

from io import StringIO

from rich.console import Console

from slipway.load.display import Display, describe_progress
from slipway.load.engine import Progress
from slipway.load.phases import Arrivals, LoadStage
from slipway.load.plan import Plan
from slipway.load.result import LoadResult, Second
from slipway.load.rows import Row
from tests.unit.load.test_result import phase, tally


def test_a_line_has_rate_latencies_errors_right_answers_shares_and_instances():
    counted = tally().settle()
    line = describe_progress(Progress(2, Arrivals(50, 60), 7.4, counted, Second.of(6, counted, {"blue": 2})))
    assert line == (
        "phase 2 (50/s for 60 s) | 7 s | 8/3000 answered | 8/s | p50 10.0 ms | p99 10.0 ms | errors 2 | "
        "correct 75.0% | blue 100% | instances blue 2"
    )


def test_a_line_of_the_first_second_says_what_is_known():
    line = describe_progress(Progress(1, LoadStage(10, 1000), 0.2, tally().settle(), None))
    assert line == "phase 1 (10 in flight) | 0 s | 8/1000 answered | errors 2 | correct 75.0% | blue 100%"


def test_a_report_names_errors_a_full_core_and_an_early_end():
    output = StringIO()
    plan = Plan("e", [Row("1", "2")])
    Display(Console(file=output, width=200)).report(
        LoadResult(plan.summary(), "2024-01-01T00:00:00+00:00", "SIGINT", (phase(tally(), cpu_share=0.95),))
    )
    shown = output.getvalue()
    assert "2 in flight: 2 times timeout" in shown
    assert "used 95% of its core" in shown
    assert "Not all of the load was sent: SIGINT" in shown
