"""Data capture: what the files in S3 contain of an endpoint's requests."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from local_aws.compute.base import CaptureSpec, EndpointKey, InvokeResult
from local_aws.compute.capture import DataCapture
from tests.local_aws.sagemaker_cases import (
    BUCKET,
    ROWS,
    create_config,
    create_model,
    lend_model_data,
    predict,
    unique,
    variant,
    wait_for_endpoint,
)
from tests.local_aws.server import eventually
from tests.local_aws.signing import compute_settings

pytestmark = pytest.mark.local_aws
ENCODINGS = {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]}


@pytest.fixture(scope="module")
def model(fast_aws, local_aws):
    return create_model(fast_aws, lend_model_data(local_aws, fast_aws))


@pytest.fixture(scope="module")
def endpoint(fast_aws, model):
    """An endpoint that captures all requests, and the destination."""
    name, prefix = unique("captured"), unique("monitoring")
    config = create_config(
        fast_aws,
        variant(model),
        DataCaptureConfig=capture(f"s3://{BUCKET}/{prefix}/", CaptureContentTypeHeader=ENCODINGS),
    )
    fast_aws.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=config)
    described = wait_for_endpoint(fast_aws, name)
    assert described["DataCaptureConfig"]["CaptureStatus"] == "Started"
    return name, prefix


def capture(url, *modes, percentage=100, **more):
    return {
        "InitialSamplingPercentage": percentage,
        "DestinationS3Uri": url,
        "CaptureOptions": [{"CaptureMode": mode} for mode in modes or ("Input", "Output")],
        **more,
    }


def captured(aws, prefix, count):
    """Wait until so many records are in S3; return them and the keys of their objects."""
    s3 = aws.client("s3")

    def look():
        keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]
        bodies = [s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode() for key in keys]
        return [json.loads(line) for body in bodies for line in body.splitlines()], keys

    return eventually(look, lambda seen: len(seen[0]) >= count)


def test_requests_are_captured_in_sagemakers_layout(fast_aws, endpoint):
    name, prefix = endpoint
    before = datetime.now(UTC)
    predict(fast_aws, name, ROWS[1], InferenceId="order-7")
    fast_aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=name, Body=ROWS[2], ContentType="text/csv", Accept="application/json"
    )
    records, keys = captured(fast_aws, f"{prefix}/", 2)
    hours = {f"{before + timedelta(hours=more):%Y/%m/%d/%H}" for more in (0, 1)}
    for key in keys:
        match = re.fullmatch(rf"{prefix}/{name}/model-a/(\d{{4}}/\d\d/\d\d/\d\d)/[0-9a-f-]+\.jsonl", key)
        assert match, key
        assert match[1] in hours
    first, second = sorted(records, key=lambda record: record["captureData"]["endpointInput"]["data"], reverse=True)
    assert first["captureData"] == {
        "endpointInput": {"observedContentType": "text/csv", "mode": "INPUT", "data": ROWS[1], "encoding": "CSV"},
        "endpointOutput": {
            "observedContentType": "text/csv; charset=utf-8",
            "mode": "OUTPUT",
            "data": "1.0\n",
            "encoding": "CSV",
        },
    }
    assert first["eventVersion"] == "0"
    metadata = first["eventMetadata"]
    assert metadata["inferenceId"] == "order-7"
    assert datetime.fromisoformat(metadata["inferenceTime"]) >= before.replace(microsecond=0)
    assert second["captureData"]["endpointOutput"]["encoding"] == "JSON"
    assert json.loads(second["captureData"]["endpointOutput"]["data"]) == {"predictions": [{"score": 2.0}]}
    assert "inferenceId" not in second["eventMetadata"]
    assert metadata["eventId"] != second["eventMetadata"]["eventId"]


def test_what_is_captured_changes_with_the_configuration(fast_aws, endpoint, model):
    name, _ = endpoint
    sagemaker, prefix = fast_aws.client("sagemaker"), unique("monitoring")
    config = create_config(
        fast_aws, variant(model), DataCaptureConfig=capture(f"s3://{BUCKET}/{prefix}", "Input", percentage=50)
    )
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
    assert wait_for_endpoint(fast_aws, name)["DataCaptureConfig"]["CurrentSamplingPercentage"] == 50
    for _ in range(60):
        predict(fast_aws, name)
    # Of 60 requests one in two: fewer than 10 or more than 50 is rarer than one run in ten million.
    records, _ = captured(fast_aws, f"{prefix}/", 10)
    assert len(records) < 50
    for record in records:
        (part,) = record["captureData"].values()
        # Without a list of content types every body is encoded.
        assert (part["encoding"], base64.b64decode(part["data"]).decode()) == ("BASE64", ROWS[0])

    off = create_config(
        fast_aws, variant(model), DataCaptureConfig=capture(f"s3://{BUCKET}/{prefix}", EnableCapture=False)
    )
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=off)
    described = wait_for_endpoint(fast_aws, name)["DataCaptureConfig"]
    assert (described["EnableCapture"], described["CaptureStatus"]) == (False, "Stopped")


def test_capture_that_cannot_be_written_fails_no_request(fast_aws, model):
    name = unique("nowhere")
    config = create_config(fast_aws, variant(model), DataCaptureConfig=capture("s3://there-is-no-such-bucket/x"))
    fast_aws.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=config)
    wait_for_endpoint(fast_aws, name)
    assert predict(fast_aws, name)[0] == 0
    eventually(lambda: fast_aws.log_path.read_text(), lambda log: f"captured requests of endpoint {name} lost" in log)
    assert predict(fast_aws, name)[0] == 0


def test_what_is_left_is_put_at_the_stop(fast_aws, endpoint, tmp_path):
    prefix = unique("stopped")
    settings = compute_settings(fast_aws, tmp_path, capture_interval_seconds=3600)
    data_capture = DataCapture(settings)
    data_capture.start()
    key, spec = EndpointKey("123456789012", "us-west-2", "it"), CaptureSpec(BUCKET, prefix, 100)
    answered = InvokeResult(200, {"Content-Type": "text/csv"}, b"1.0")
    failed = InvokeResult(424, {"Content-Type": "application/json"}, b"{}")
    for result in (answered, failed, answered):
        data_capture.record(key, "model-a", spec, b"1,2", {"Content-Type": "text/csv"}, result)
    data_capture.stop()
    records, _ = captured(fast_aws, f"{prefix}/it/model-a/", 2)
    # Requests that the model refused or failed at are not captured.
    assert len(records) == 2
