"""What processes record is added up by the receiver and sent before they end; while it is off, nothing happens."""

import os
import subprocess
import sys

import pytest

from slipway.metrics import record as recording
from slipway.metrics.catalogue import AWS_REQUESTS, LIVE_COST, ORPHANED_JOBS, STAGE_DURATION
from slipway.metrics.record import flush, record
from tests.otlp import receiver

STAGE = {"model": "iris-model", "stage": "train", "outcome": "success"}


@pytest.fixture
def received(monkeypatch):
    """A receiver, to which this process sends."""
    with receiver() as (found, port):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setattr(recording, "enabled", lambda: True)
        recording._forget()
        yield found
        if recording._Process.provider:
            recording._Process.provider.shutdown()
        recording._forget()


def test_values_arrive_with_their_labels_when_they_are_flushed(received):
    record(STAGE_DURATION, 12.5, **STAGE)
    record(STAGE_DURATION, 4000, **STAGE)
    record(LIVE_COST, 0.28, model="iris-model", environment="production")
    record(LIVE_COST, 0.14, model="iris-model", environment="production")
    flush()
    assert received.values(STAGE_DURATION) == {("iris-model", "train", "success"): 2}
    assert received.values(LIVE_COST) == {("iris-model", "production"): 0.14}
    assert received.problems == []


def test_what_was_sent_is_not_sent_again(received):
    for _ in range(3):
        record(ORPHANED_JOBS, 1, model="iris-model", kind="training")
        flush()
    assert received.values(ORPHANED_JOBS) == {("iris-model", "training"): 3}


def test_a_process_sends_one_request_however_much_it_has_recorded_and_only_what_is_new(received):
    sent = []
    for count in (2, 20):
        for number in range(count):
            record(ORPHANED_JOBS, 1, model=f"model-{number}", kind="training")
            record(STAGE_DURATION, 1, **STAGE | {"model": f"model-{number}"})
        flush()
        sent.append((received.requests, received.points))
    assert sent == [(1, 2 * 2), (2, 2 * 2 + 2 * 20)]
    record(ORPHANED_JOBS, 1, model="model-0", kind="training")
    flush()
    assert (received.requests, received.points) == (3, sent[-1][1] + 1)


def test_nothing_is_sent_where_nothing_was_recorded(received):
    flush()
    assert received.requests == 0


def test_forked_processes_send_their_own_values_and_not_those_of_their_parent(received):
    record(ORPHANED_JOBS, 1, model="parent", kind="training")
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            record(ORPHANED_JOBS, 1, model="child", kind="training")
            flush()
            os._exit(0)
        os.waitpid(pid, 0)
    flush()
    assert received.values(ORPHANED_JOBS) == {("parent", "training"): 1, ("child", "training"): 2}


def test_labels_that_are_missing_or_too_many_are_a_mistake(received):
    with pytest.raises(ValueError, match=r"has the labels \('model', 'stage', 'outcome'\)"):
        record(STAGE_DURATION, 1, model="iris-model", run_id="manual__1")


def test_a_receiver_that_does_not_answer_fails_nothing(received, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    record(ORPHANED_JOBS, 1, model="iris-model", kind="training")
    flush()
    assert received.requests == 0


def test_airflows_older_options_say_where_to(received, monkeypatch):
    port = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"].rpartition(":")[2]
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
    monkeypatch.setenv("AIRFLOW__METRICS__OTEL_HOST", "127.0.0.1")
    monkeypatch.setenv("AIRFLOW__METRICS__OTEL_PORT", port)
    record(ORPHANED_JOBS, 1, model="iris-model", kind="training")
    flush()
    assert received.values(ORPHANED_JOBS) == {("iris-model", "training"): 1}


def test_off_records_nothing_and_imports_no_sdk():
    code = (
        "import sys; from slipway.metrics.record import enabled, flush, record; "
        "from slipway.metrics.catalogue import ORPHANED_JOBS; import slipway.host.task_errors, slipway.aws.session; "
        "record(ORPHANED_JOBS, 1, model='m'); flush(); "
        "assert not enabled(); assert 'opentelemetry.sdk.metrics' not in sys.modules; "
        "assert not any(name.startswith('opentelemetry.exporter') for name in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": "plugins", "AIRFLOW__METRICS__OTEL_ON": "False"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class TestRequestsToAws:
    """Counted by botocore's event for each answer."""

    @pytest.fixture
    def s3(self, received, monkeypatch):
        """A client whose answers come from a local server that throttles twice, then has no such key."""
        import botocore.session

        from slipway.aws import request_metrics

        monkeypatch.setattr(request_metrics, "enabled", lambda: True)
        session = botocore.session.Session()
        session.set_credentials("none", "none")
        request_metrics.count_requests(session)
        return session

    @pytest.mark.parametrize(
        ("statuses", "codes", "wanted"),
        [
            ([503, 503, 200], ["SlowDown", "SlowDown", ""], {("throttled", "SlowDown"): 2, ("ok", ""): 1}),
            ([404], ["NoSuchKey"], {("error", "NoSuchKey"): 1}),
        ],
    )
    def test_each_attempt_counts_by_its_outcome(self, received, s3, statuses, codes, wanted):
        from botocore.awsrequest import AWSResponse
        from botocore.exceptions import ClientError

        answers = iter(zip(statuses, codes, strict=True))

        def answer(request, **_):
            status, code = next(answers)
            body = f"<Error><Code>{code}</Code></Error>" if code else ""

            class Raw:
                def stream(self, *_, **__):
                    yield body.encode()

            return AWSResponse(request.url, status, {}, Raw())

        client = s3.create_client("s3", region_name="us-west-2")
        client.meta.events.register("before-send", answer)
        try:
            client.get_object_tagging(Bucket="bucket", Key="key")
        except ClientError as error:
            assert error.response["Error"]["Code"] == "NoSuchKey"
        flush()
        found = received.values(AWS_REQUESTS)
        assert {key[2:]: value for key, value in found.items()} == wanted
        assert {key[:2] for key in found} == {("s3", "GetObjectTagging")}
