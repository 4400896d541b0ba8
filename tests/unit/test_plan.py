"""What tasks pass on is plain JSON, in both directions."""

import json
from types import SimpleNamespace

import pytest

from slipway.errors import PermanentError
from slipway.plan import ReleasePlan, Revision, pull_package_arn, pull_plan, pull_revision, result_of
from slipway.states import Environment

REVISION = Revision("bucket", "key", "v1", "etag", 10, "2024-01-31T23:59:59+00:00")
PLAN = ReleasePlan(
    prefix="iris-model",
    revision=REVISION,
    revision_id="r" * 32,
    digest="d" * 64,
    sequence=REVISION.last_modified,
    training_job_name="job",
    request_uri="s3://bucket/releases/iris-model/r/trainingjob.zip",
    model_package_group="mlops-iris-model",
    endpoint_prefix="iris-model",
    stacks={"dev": "stack-dev", "prd": "stack-prd"},
    endpoints={"dev": "iris-model-development", "prd": "iris-model-production"},
)


def _context(results):
    return {"ti": SimpleNamespace(xcom_pull=lambda task_ids: results.get(task_ids))}


def test_there_and_back():
    assert Revision.from_xcom(json.loads(json.dumps(REVISION.to_xcom()))) == REVISION
    assert ReleasePlan.from_xcom(json.loads(json.dumps(PLAN.to_xcom()))) == PLAN


def test_tasks_pull_what_earlier_ones_left():
    context = _context(
        {"process_request": PLAN.to_xcom(), "source": REVISION.to_xcom(), "register": {"model_package_arn": "arn"}}
    )
    assert pull_plan(context) == PLAN
    assert pull_revision(context) == REVISION
    assert pull_package_arn(context) == "arn"


def test_a_result_is_asked_for_once_in_a_process_also_one_that_is_missing():
    asked = []
    results = {"process_request": PLAN.to_xcom(), "register": {"model_package_arn": "arn"}}
    context = {"ti": SimpleNamespace(xcom_pull=lambda task_ids: asked.append(task_ids) or results.get(task_ids))}
    for _ in range(3):
        assert (pull_plan(context), pull_package_arn(context), result_of(context, "stress_dev")) == (PLAN, "arn", None)
    assert asked == ["process_request", "register", "stress_dev"]


def test_a_task_without_its_predecessors_result_says_so():
    with pytest.raises(PermanentError, match="process_request"):
        pull_plan(_context({}))


def test_names_by_environment_and_tags():
    assert PLAN.stack(Environment.PRODUCTION) == "stack-prd"
    assert PLAN.endpoint(Environment.DEVELOPMENT) == "iris-model-development"
    assert PLAN.tags() == {
        "slipway:model-prefix": "iris-model",
        "slipway:revision": "r" * 32,
        "slipway:digest": "d" * 64,
        "slipway:sequence": "2024-01-31T23:59:59+00:00",
        "slipway:version-id": "v1",
    }
