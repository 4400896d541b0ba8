"""What the hooks of a task cost beside their work, by the local AWS's ledger: for a few hooks and for many."""

import pytest

from slipway.aws import prepared, session
from slipway.aws.identity import IdentityHook, identity, resolve
from slipway.aws.s3 import S3Hook
from slipway.aws.sagemaker import SageMakerHook
from tests.local_aws.hooks import lead_hooks_to
from tools.environment import AIRFLOW_CONNECTION

pytestmark = pytest.mark.local_aws


@pytest.mark.parametrize("forked", [True, False], ids=["with the clients of a fork", "with its own"])
@pytest.mark.parametrize("count", [1, 8])
def test_a_task_assumes_its_connections_role_once_which_tells_it_who_it_is(local_aws, monkeypatch, count, forked):
    lead_hooks_to(local_aws.endpoint_url, monkeypatch)
    monkeypatch.setattr(prepared, "_ready", {})
    if forked:
        session.load_service_models.__wrapped__()
    ready = {client.meta.service_model.service_name for client, _ in prepared._ready.values()}
    monkeypatch.setenv("AIRFLOW_CONN_OF_A_ROLE", AIRFLOW_CONNECTION)
    since = len(local_aws.asked())
    for _ in range(count):
        bucket = resolve("mlops-{region}-{account}", "of_a_role")
        assert S3Hook(aws_conn_id="of_a_role").objects(bucket, "training_jobs/nothing") == []
        assert SageMakerHook(aws_conn_id="of_a_role").describe_endpoint("nothing") is None
    calls = [line["operation"] for line in local_aws.asked()[since:] if line["service"] == "sts"]
    assert calls == ["AssumeRole"]
    left = {client.meta.service_model.service_name for client, _ in prepared._ready.values()}
    assert ready - left == ({"sts", "s3", "sagemaker"} if forked else set())
    asked = IdentityHook(aws_conn_id="of_a_role").conn.get_caller_identity()
    assert (identity("of_a_role").arn, identity("of_a_role").account) == (asked["Arn"], asked["Account"])
