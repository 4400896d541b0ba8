"""Whole runs: real sending processes against a server of the test's own."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from botocore.credentials import ReadOnlyCredentials

from slipway.load.engine import Engine
from slipway.load.errors import LoadRefused
from slipway.load.phases import Arrivals, LoadStage
from slipway.load.plan import Caps, Plan
from slipway.load.rows import Row
from tests.conftest import ROOT
from tests.unit.load.endpoints import HttpEndpoint, serving

ROWS = [Row("1", "1,a"), Row("2", "2,b"), Row("0", "3,c"), Row("4", "throttle")]


def newest_child():
    return int(Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children").read_text().split()[-1])


class Access:
    """Access to the test's own server."""

    def __init__(self, endpoint):
        self.endpoint = endpoint

    def target(self, endpoint_name, variant):
        return self.endpoint.target(variant)

    def credentials(self):
        return ReadOnlyCredentials("AKIA", "secret", None)

    def instances(self, endpoint_name):
        return {"blue": 3}


def test_phases_by_several_processes_are_counted_in_full():
    told = []
    plan = Plan("e", ROWS, (LoadStage(6, 400), Arrivals(200, 1.5)), processes=2)
    with serving(HttpEndpoint()) as endpoint:
        result = Engine(plan, Access(endpoint), told.append).run()
    stage, arrivals = result.phases
    assert result.completed
    assert len(endpoint.invocations) == 700
    assert (stage.processes, stage.tally.sent, stage.tally.answered, stage.tally.right) == (2, 400, 300, 200)
    assert dict(stage.tally.errors) == {"400 ThrottlingException": 100}
    assert (arrivals.tally.sent, arrivals.tally.answered) == (300, 225)
    assert set(stage.tally.variants) == {"blue", "green"}
    assert stage.tally.latency.get_total_count() == 300
    assert sum(second.sent for second in arrivals.seconds) == 300
    assert told[-1].total.sent == 300
    assert all(
        "AWS4-HMAC-SHA256 Credential=AKIA/" in headers["Authorization"] for _, headers, _ in endpoint.invocations
    )
    report = json.loads(result.to_json())
    assert report["phases"][0]["accuracy"] == pytest.approx(2 / 3)
    assert report["phases"][1]["series"][0]["instances"] == {"blue": 3}


def test_more_rows_than_fit_do_no_harm():
    wide = [Row("1", f"1,{'x' * 678}")] * 100_000
    with serving(HttpEndpoint()) as endpoint:
        result = Engine(Plan("e", wide, (LoadStage(2, 10),)), Access(endpoint)).run()
    assert result.completed
    assert result.phases[0].tally.right == 10
    assert 20_000 < result.plan["rows"] < 30_000


def test_a_target_variant_is_asked_for():
    with serving(HttpEndpoint()) as endpoint:
        result = Engine(Plan("e", ROWS[:3], (LoadStage(2, 30),), target_variant="red"), Access(endpoint)).run()
    assert dict(result.phases[0].tally.variants) == {"red": 30}


def test_nothing_is_sent_above_a_cap():
    with serving(HttpEndpoint()) as endpoint, pytest.raises(LoadRefused, match="max_requests"):
        Engine(Plan("e", ROWS, (LoadStage(2, 30),), caps=Caps(max_requests=29)), Access(endpoint)).run()
    assert endpoint.invocations == []


def test_the_time_cap_ends_a_run_in_order():
    plan = Plan("e", ROWS[:3], (LoadStage(2, 100_000), LoadStage(2, 10)), caps=Caps(max_seconds=1.0))
    with serving(HttpEndpoint()) as endpoint:
        result = Engine(plan, Access(endpoint)).run()
    [phase] = result.phases
    assert result.ended == "the cap max_seconds of 1 s was reached"
    assert phase.tally.sent == phase.tally.answered == len(endpoint.invocations) < 100_000


def test_a_load_that_takes_as_long_as_its_cap_is_sent_to_its_end():
    with serving(HttpEndpoint()) as endpoint:
        result = Engine(Plan("e", ROWS[:3], (Arrivals(50, 1),), caps=Caps(max_seconds=1)), Access(endpoint)).run()
    assert result.completed
    assert result.phases[0].tally.answered == 50


def test_a_process_that_is_killed_ends_the_run_but_not_the_report():
    plan = Plan("e", ROWS[:3], (Arrivals(100, 600),), processes=2)
    killed = []

    def kill_one(progress):
        if progress.latest is not None and not killed:
            killed.append(newest_child())
            os.kill(killed[0], signal.SIGKILL)

    with serving(HttpEndpoint()) as endpoint:
        result = Engine(plan, Access(endpoint), kill_one).run()
    assert "ended early with status -9" in result.ended
    assert 0 < result.phases[0].tally.answered <= len(endpoint.invocations)


def test_a_process_that_breaks_ends_the_run_but_not_the_report():
    class Misled(Access):
        def target(self, endpoint_name, variant):
            return self.endpoint.target("blue–green")  # noqa: RUF001 (HTTP has no such header)

    with serving(HttpEndpoint()) as endpoint:
        result = Engine(Plan("e", ROWS[:3], (LoadStage(2, 30),), caps=Caps(max_seconds=20)), Misled(endpoint)).run()
    assert "ended early with status 1" in result.ended
    assert [phase.tally.answered for phase in result.phases] == [0]


def test_a_process_that_does_not_hear_the_order_to_stop_is_killed():
    plan = Plan("e", ROWS[:3], (Arrivals(100, 600),), processes=2, drain_seconds=0.1)
    deaf = []

    def stop(progress):
        if progress.latest is not None and not deaf:
            deaf.append(newest_child())
            os.kill(deaf[0], signal.SIGSTOP)
            engine.stop("told to")

    with serving(HttpEndpoint()) as endpoint:
        engine = Engine(plan, Access(endpoint), stop)
        # Without it a run that waits for the process would never end, nor would this test.
        rescue = threading.Timer(60, lambda: os.kill(deaf[0], signal.SIGKILL))
        rescue.start()
        result = engine.run()
        rescued = rescue.finished.is_set()
        rescue.cancel()
    assert not rescued
    assert result.ended == "told to"
    assert 0 < result.phases[0].tally.answered <= len(endpoint.invocations)


@pytest.fixture
def command(tmp_path):
    """Starts the command against an endpoint."""
    data = tmp_path / "rows.csv"
    data.write_text("1,1,a\n2,2,b\n")
    report = tmp_path / "report.json"

    def start(endpoint, *arguments):
        environment = os.environ | {"PYTHONPATH": str(ROOT / "plugins"), "AWS_ENDPOINT_URL": endpoint.url}
        process = subprocess.Popen(
            [sys.executable, "-m", "slipway.load", "e", "--data", data, "--report", report, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        return process, report

    return start


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_with_a_report_of_what_was_done(command, number):
    with serving(HttpEndpoint(held_from=40)) as endpoint:
        process, report = command(endpoint, "--rate", "100", "--seconds", "600", "--concurrency", "5")
        # The first 39 are answered, the last ones never.
        endpoint.wait_for(44)
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    document = json.loads(report.read_text())
    assert process.returncode == 1, output
    assert document["ended"] == number.name
    [phase] = document["phases"]
    assert (phase["sent"], phase["answered"], phase["errors"]) == (44, 39, {"abandoned": 5})
    assert phase["right"] == 39


def test_a_finished_command_says_where_the_report_is(command):
    with serving(HttpEndpoint()) as endpoint:
        process, report = command(endpoint, "--stages", "4:40")
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert f"Report: {report}" in output
    assert json.loads(report.read_text())["ended"] == "completed"


@pytest.mark.parametrize(("p99", "status"), [("60000", 0), ("0.001", 1)])
def test_a_command_fails_by_its_limits(command, p99, status):
    with serving(HttpEndpoint()) as endpoint:
        process, _ = command(endpoint, "--stages", "2:10", "--p99-ms", p99)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == status, output
    assert ("broken by" in output) == bool(status)
