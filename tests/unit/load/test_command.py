"""What a command line asks for."""

import pytest
from rich.console import Console

from slipway.load import command
from slipway.load.errors import LoadRefused
from slipway.load.phases import LAB_STAGES, Arrivals, LoadStage
from slipway.load.plan import Caps, Plan
from slipway.load.rows import Row
from slipway.load.slo import Slo
from tests.unit.load.test_slo import phase, run

ROWS = [Row("1", "2")]


def given(*arguments, **defaults):
    return command.parser("load", data="rows.csv", **defaults).parse_args(["iris", *arguments])


def test_a_bare_command_line_is_the_defaults():
    asked = given(caps=Caps(max_seconds=7.5), slo=Slo(p99_ms=250))
    assert command.caps_of(asked) == Caps(max_seconds=7.5)
    assert (asked.data, asked.p99_ms, asked.min_accuracy) == ("rows.csv", 250, None)
    assert command.plan_of(asked, ROWS, Caps(), answers={}) == Plan("iris", ROWS, LAB_STAGES)
    assert command.plan_of(asked, ROWS, Caps(), (LoadStage(1, 1),), answers={}).phases == (LoadStage(1, 1),)


def test_what_is_asked_for_is_planned():
    assert command.plan_of(given("--stages", "3:30"), ROWS, Caps(), answers={}).phases == (LoadStage(3, 30),)
    asked = given("--rate", "5", "--seconds", "2", "--variant", "model-b", "--max-rate-rps", "7.5")
    plan = command.plan_of(asked, ROWS, command.caps_of(asked), answers={})
    assert (plan.phases, plan.target_variant, plan.caps.max_rate_rps) == ((Arrivals(5, 2),), "model-b", 7.5)


@pytest.mark.parametrize("option", ["--rate", "--seconds", "--max-seconds", "--p99-ms", "--max-error-share"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_number_without_an_end_is_refused(option, value, capsys):
    with pytest.raises(SystemExit):
        given(option, value)
    assert f"invalid number value: '{value}'" in capsys.readouterr().err


def test_stages_that_are_none_are_refused():
    with pytest.raises(LoadRefused, match="is not a stage"):
        command.plan_of(given("--stages", "3"), ROWS, Caps(), answers={})


@pytest.mark.parametrize(
    ("arguments", "errors", "ended", "status"),
    [
        ((), 0, "completed", 0),
        ((), 1, "completed", 1),
        (("--max-error-share", "0.05"), 1, "completed", 0),
        (("--max-error-share", "0.05"), 50, "completed", 1),
        ((), 0, "SIGTERM", 1),
    ],
)
def test_the_status_says_whether_all_was_well(arguments, errors, ended, status):
    asked, result = given(*arguments), run(phase(LoadStage(2, 100), errors=errors), ended=ended)
    assert command.status(command.print_verdict(asked, result, Console(quiet=True))) == status
