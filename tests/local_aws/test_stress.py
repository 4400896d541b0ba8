"""A stress test as its task does it: an endpoint of the local AWS, limits kept and broken, and a task that is ended."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from slipway import names
from slipway.aws.documents import S3Documents
from slipway.errors import StressFailed, StressRefused
from slipway.host import runs
from slipway.stages.gate import StageGate, Ticket
from slipway.states import BoardStage, ExecutionMode
from slipway.stress import report_files
from slipway.stress.link import StressReportLink
from slipway.stress.report_hook import StressReportHook
from tests.local_aws import sagemaker_cases as cases
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.stress_support import ROOT, SLO, stress_task, write_model
from tests.unit.stages.test_board import entry
from tools.settings import Settings
from tools.stress import send

pytestmark = pytest.mark.local_aws

PREFIX = "stressed"
FORM = {"model": PREFIX, "environment": "dev", "watch_seconds": 0}


@pytest.fixture(scope="module")
def endpoint(local_aws):
    """The development endpoint of a model."""
    model = cases.create_model(local_aws, cases.model_data(local_aws))
    config = cases.create_config(local_aws, cases.variant(model, "model-a"))
    sagemaker = local_aws.client("sagemaker")
    sagemaker.create_endpoint(EndpointName=f"{PREFIX}-development", EndpointConfigName=config)
    assert cases.wait_for_endpoint(local_aws, f"{PREFIX}-development")["EndpointStatus"] == "InService"
    cases.upload(local_aws, PREFIX)
    yield f"{PREFIX}-development"
    sagemaker.delete_endpoint(EndpointName=f"{PREFIX}-development")


@pytest.fixture
def model_file(local_aws, endpoint, tmp_path, monkeypatch):
    """Writes the model's file with a stress section."""
    lead_hooks_to(local_aws.endpoint_url, monkeypatch)
    monkeypatch.setenv("SLIPWAY_INCLUDE_FOLDER", str(tmp_path))
    data = f"s3://{cases.BUCKET}/{PREFIX}/input/validation/"

    def write(**stress):
        write_model(tmp_path, PREFIX, data, **{"allowed": True, "slo": SLO, **stress})

    return write


def sent(aws, endpoint):
    return len(aws.ledger(operation="InvokeEndpoint", resource=endpoint))


def report(aws, run_id):
    key = f"stress/{PREFIX}/{run_id}/report.json"
    return json.loads(aws.client("s3").get_object(Bucket=cases.BUCKET, Key=key)["Body"].read())


def test_a_load_within_its_limits_passes_and_leaves_a_report_that_a_browser_opens(local_aws, endpoint, model_file):
    model_file(stages=[{"concurrency": 4, "requests": 200}])
    before = sent(local_aws, endpoint)
    operator, context, pushed = stress_task(FORM, "manual__2026-05-01T12:00:00+00:00")
    summary = operator.execute(context)
    assert sent(local_aws, endpoint) - before == summary["sent"] == summary["answered"] == 200
    assert (summary["passed"], summary["accuracy"], summary["variants"]) == (True, 1.0, {"model-a": 200})
    assert summary["report"].endswith(f"/stress/{PREFIX}/manual__2026-05-01T12-00-00-00-00/report.html")
    found = report(local_aws, "manual__2026-05-01T12-00-00-00-00")
    assert (found["load"]["phases"][0]["sent"], found["verdict"]["passed"]) == (200, True)
    assert found["endpoint"]["name"] == endpoint
    kept = pushed[StressReportLink.key]
    address = StressReportHook().address(kept["bucket"], kept["key"])
    with urllib.request.urlopen(address) as answer:  # noqa: S310 - the local AWS
        assert answer.headers["Content-Type"].startswith("text/html")
        assert endpoint in answer.read().decode()
    assert "local" not in json.dumps([summary, pushed])


def test_a_limit_that_cannot_be_kept_fails_and_says_by_how_much(local_aws, endpoint, model_file):
    model_file()
    operator, context, _ = stress_task(FORM | {"stages": "2:40", "p99_ms": 0.001}, "impossible")
    with pytest.raises(StressFailed) as failed:
        operator.execute(context)
    found = report(local_aws, "impossible")
    [broken] = [limit for limit in found["verdict"]["limits"] if not limit["passed"]]
    measured = found["load"]["phases"][0]["latency_ms"]["p99"]
    assert (broken["name"], broken["allowed"], broken["measured"]) == ("p99_ms", 0.001, measured)
    assert f"p99_ms is 0.001, measured {measured:.4g} (2 in flight), broken by" in str(failed.value)
    assert f"s3://{cases.BUCKET}/stress/{PREFIX}/impossible/report.html" in str(failed.value)


@pytest.mark.parametrize(
    ("stress", "form", "said"),
    [
        ({"allowed": False}, {}, "does not allow it"),
        ({}, {"model": None, "endpoint": "somebody-elses"}, "no model file has an endpoint of this name"),
        ({}, {"environment": "prd"}, "it does not exist"),
        ({"caps": {"max_requests": 39}, "stages": [{"concurrency": 1, "requests": 1}]}, {}, "max_requests is 39"),
    ],
)
def test_nothing_is_sent_that_the_model_file_does_not_allow(local_aws, endpoint, model_file, stress, form, said):
    model_file(**stress)
    before = sent(local_aws, endpoint)
    operator, context, _ = stress_task(FORM | {"stages": "2:40"} | form, "refused")
    with pytest.raises(StressRefused, match=said):
        operator.execute(context)
    assert sent(local_aws, endpoint) == before


@pytest.fixture
def release(model_file, monkeypatch):
    """A release that holds the development endpoint; yields the runs that Airflow says are going on."""
    going_on = {"run1"}
    monkeypatch.setattr(runs, "goes_on", lambda dag_id, run_id: run_id in going_on)
    gate = StageGate(S3Documents(), runs.goes_on)
    ticket = Ticket(cases.BUCKET, names.board_key(PREFIX), BoardStage.DEV, ExecutionMode.SUPERSEDED, entry(1))
    gate.enter(ticket)
    yield going_on
    gate.leave(ticket)


def test_an_endpoint_that_a_release_is_testing_is_not_loaded_until_its_run_has_ended(
    local_aws, endpoint, model_file, release
):
    model_file(stages=[{"concurrency": 1, "requests": 3}])
    before = sent(local_aws, endpoint)
    operator, context, _ = stress_task(FORM, "waits")
    with pytest.raises(StressRefused, match=r"a release is testing its model there, .*/dags/iris-model/runs/run1"):
        operator.execute(context)
    assert sent(local_aws, endpoint) == before
    release.clear()
    assert operator.execute(context)["sent"] == sent(local_aws, endpoint) - before == 3


@pytest.mark.parametrize(
    ("options", "stress", "status", "said"),
    [
        ((), {}, 0, "p99_ms is 60000, measured"),
        (("--p99-ms", "0.001"), {}, 1, "broken by"),
        (("--max-requests", "39"), {}, 4, "max_requests is 39, asked is 40"),
        (("--max-requests", "100"), {"caps": {"max_requests": 39}}, 4, "max_requests is 39, asked is 40"),
        ((), {"allowed": False}, 4, "does not allow it"),
    ],
)
def test_make_stress_has_the_same_permission_the_same_limits_and_the_same_report(
    local_aws, endpoint, model_file, tmp_path, capsys, options, stress, status, said
):
    model_file(**{"stages": [{"concurrency": 1, "requests": 1}], **stress})
    settings, before = Settings(tmp_path / "home"), sent(local_aws, endpoint)
    assert send(settings, endpoint, ["--stages", "2:40", "--watch", "0", *options]) == status
    assert said in capsys.readouterr().err
    written = sorted(path.name for path in tmp_path.glob("home/stress/*/*"))
    assert written == ([] if status == 4 else ["report.html", "report.json"])
    assert sent(local_aws, endpoint) - before == (0 if status == 4 else 40)
    for path in tmp_path.glob("home/stress/*/report.json"):
        assert json.loads(path.read_text())["endpoint"]["name"] == endpoint


def test_make_stress_loads_only_the_endpoint_whose_model_file_allows_it(
    local_aws, endpoint, model_file, tmp_path, capsys
):
    model_file()
    with pytest.raises(SystemExit) as refused:
        send(Settings(tmp_path / "home"), endpoint, ["--stages", "2:40", "--watch", "0", "somebody-elses"])
    assert refused.value.code == 2
    assert "unrecognized arguments: somebody-elses" in capsys.readouterr().err


def test_make_stress_has_written_its_report_before_it_asks_cloudwatch(
    local_aws, endpoint, model_file, tmp_path, monkeypatch
):
    def broken(*_, **__):
        raise RuntimeError("broken")

    model_file(watch_seconds=0)
    monkeypatch.setattr(report_files, "evidence", broken)
    with pytest.raises(RuntimeError):
        send(Settings(tmp_path / "home"), endpoint, ["--stages", "2:40"])
    [document] = tmp_path.glob("home/stress/*/report.json")
    assert json.loads(document.read_text())["load"]["phases"][0]["sent"] == 40
    assert endpoint in document.with_name("report.html").read_text()


def test_a_task_that_is_ended_stops_its_load_and_still_leaves_its_report(local_aws, endpoint, model_file):
    model_file(rate_rps=50, duration_seconds=600)
    before = sent(local_aws, endpoint)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.local_aws.stress_support", "ended", json.dumps(FORM)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "plugins")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    while not re.search(r"phase 1 .* answered \|", lines[-1] if lines else ""):
        lines.append(process.stdout.readline())
        assert process.poll() is None, "".join(lines)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    found = report(local_aws, "ended")
    [phase] = found["load"]["phases"]
    assert found["load"]["ended"] == "the task was ended"
    assert not found["verdict"]["passed"]
    assert 0 < phase["sent"] == sent(local_aws, endpoint) - before < 30_000
    assert local_aws.client("s3").head_object(Bucket=cases.BUCKET, Key=f"stress/{PREFIX}/ended/report.html")
    assert process.returncode == 1
    assert "StressStopped" in output and "s3://" in output
    # Its sending processes have ended with it, and send nothing more.
    assert sent(local_aws, endpoint) - before == phase["sent"]
