"""The test of an endpoint: it passes, or the error says what is wrong and by how much."""

import pytest
from airflow.sdk.exceptions import TaskDeferred

from slipway.aws.sagemaker import Invocation
from slipway.deployment import drift
from slipway.deployment.wait import EndpointInServiceTrigger
from slipway.errors import AwsError, EndpointTestFailed, GateFailed
from slipway.load.answers import Answers
from slipway.load.rows import Row
from slipway.model.config import ModelConfig
from slipway.quality.endpoint import EndpointTestOperator
from slipway.states import Environment
from slipway.waiting.results import WaitOutcome, WaitResult
from tests.unit.releases import ARTEFACT, release_plan, xcoms
from tests.unit.request_samples import iris_model
from tests.unit.stage_runs import with_gate
from tests.unit.task_runs import context, run_task

NAME = "iris-model-development"
OUTPUTS = {"EndpointConfigName": "ours", "Revision": release_plan().revision_id}
DEPLOYED = {"stack_name": "mlops-deploy-iris-model-dev", "outputs": OUTPUTS}
ROWS = [Row("0", "1,1"), Row("1", "2,2"), Row("2", "3,3"), Row("1", "2,2")]
GOLDEN = [Row("0", "1,1"), Row("4", "5,5")]
CHAMPION = {"champion": {"not_worse_than": 0.1}}
GOLDEN_SET = {"golden": {"data": "s3://bucket/golden.csv"}}


PRODUCTION = "iris-model-production"
LIVE = "s3://bucket/live/model.tar.gz"


class SageMaker:
    """An endpoint that predicts a row's second number minus one; one in production may add to that."""

    def __init__(
        self,
        status="InService",
        config="ours",
        data=ARTEFACT.uri,
        registered=ARTEFACT.uri,
        error=None,
        live=None,
        adds=0,
    ):
        self.live, self.adds, self.asked, self.registered = live, adds, [], registered
        self.endpoint = {
            "EndpointName": NAME,
            "EndpointStatus": status,
            "EndpointArn": "arn:aws:sagemaker:us-west-2:123456789012:endpoint/iris-model",
            "EndpointConfigName": config,
            "FailureReason": "why",
        }
        self.data, self.error = data, error

    def describe_endpoint(self, name):
        if name == PRODUCTION:
            return self.live and {"EndpointName": name, "EndpointStatus": self.live, "EndpointConfigName": "live"}
        assert name == NAME
        return self.endpoint

    def describe_endpoint_config(self, name):
        return {"ProductionVariants": [{"VariantName": "model-a", "ModelName": "live" if name == "live" else "m"}]}

    def describe_model(self, name):
        return {"PrimaryContainer": {"ModelDataUrl": LIVE if name == "live" else self.data}}

    def invoke_endpoint(self, name, body, *, target_variant=None):
        self.asked.append((name, target_variant))
        if name == PRODUCTION:
            if isinstance(self.adds, AwsError):
                raise self.adds
            return Invocation(f"{float(body.decode().split(',')[1]) - 1 + self.adds}".encode(), target_variant, 1.0)
        if self.error:
            raise self.error
        return Invocation(f"{float(body.decode().split(',')[1]) - 1}\n".encode(), "model-a", 1.0)


class LeavesAllToBoto3:
    """What the light invocations do where an endpoint gives no answer."""

    def invoke(self, name, body, *, target_variant=None):
        return None


class Registry:
    """The release's model package, and what was kept on it."""

    def __init__(self, registered):
        self.registered, self.kept = registered, []

    def find_model_package(self, plan, *, named):
        assert plan == release_plan()
        specification = {"Containers": [{"Image": "image", "ModelDataUrl": self.registered}]}
        return self.registered and {"ModelPackageArn": "arn", "InferenceSpecification": specification}

    def record_test(self, arn, results, *, digest):
        self.kept.append((arn, dict(results), digest))


class HeldOut:
    def __init__(self, rows=ROWS):
        self.given = rows

    def rows(self, data_uri, limit):
        return (GOLDEN if "golden" in data_uri else self.given)[:limit]


def model(sections=None, **test) -> ModelConfig:
    content = iris_model().model_dump() | {"champion": None} | (sections or {})
    content["test"] = {"data": "s3://bucket/rows/", "accuracy_minimum": 0.9, **test}
    return ModelConfig.model_validate(content)


def operator(sagemaker=None, rows=ROWS, sections=None, **test) -> EndpointTestOperator:
    made = EndpointTestOperator(task_id="test_dev", model=model(sections, **test), environment=Environment.DEVELOPMENT)
    made.hook, made.held_out = sagemaker or SageMaker(), HeldOut(rows)
    made.light = LeavesAllToBoto3()
    made.registry = Registry(made.hook.registered)
    made.compare_stack = lambda stack_name, aws_conn_id: []
    return with_gate(made)


def ctx():
    return context(xcoms(deploy_dev=DEPLOYED))


def test_a_good_endpoint_passes_with_its_numbers():
    result = operator().execute(ctx())
    assert result["latency_ms"].keys() == {"p50", "p99"}
    assert {**result, "latency_ms": None} == {
        "endpoint_name": NAME,
        "rows": 4,
        "correct": 4,
        "accuracy": 1.0,
        "accuracy_minimum": 0.9,
        "latency_ms": None,
        "variants": {"model-a": 4},
        "champion": None,
        "production_drift": [],
    }


def test_too_few_right_answers_say_by_how_much():
    with pytest.raises(EndpointTestFailed, match=r"accuracy 0\.7500 \(3 of 4\) is 0\.1500 below 0\.9"):
        operator(rows=[*ROWS[:3], Row("0", "2,2")]).execute(ctx())


def test_too_slow_answers_say_by_how_much():
    with pytest.raises(EndpointTestFailed, match=r"p99 latency .* ms above"):
        operator(latency_p99_maximum_ms=1e-9).execute(ctx())


def test_a_regression_is_held_to_its_distance():
    rows = [Row("0.5", "1,1"), Row("1.5", "2,2")]
    assert operator(rows=rows, accuracy_minimum=None, rmse_maximum=0.5).execute(ctx())["rmse"] == 0.5
    with pytest.raises(EndpointTestFailed, match=r"rmse 0\.5 is 0\.1 above 0\.4"):
        operator(rows=rows, accuracy_minimum=None, rmse_maximum=0.4).execute(ctx())


@pytest.mark.parametrize(
    ("sagemaker", "says"),
    [
        (SageMaker(config="the one before"), "runs the one before, this release's is ours"),
        (SageMaker(data="s3://other/model.tar.gz"), "serves s3://other/model.tar.gz"),
        (SageMaker(registered=None), "model package of this release no longer exists"),
        (SageMaker(status="Failed"), "Failed.*why"),
        (SageMaker(status="Deleting"), "Deleting"),
        (SageMaker(error=AwsError("Cannot invoke", code="ModelError", why="boom")), "failed on a held-out row.*boom"),
    ],
)
def test_an_endpoint_that_is_not_ours_or_not_well_fails(sagemaker, says):
    with pytest.raises(EndpointTestFailed, match=says):
        operator(sagemaker).execute(ctx())


def test_a_missing_endpoint_fails():
    sagemaker = SageMaker()
    sagemaker.endpoint = None
    with pytest.raises(EndpointTestFailed, match="does not exist"):
        operator(sagemaker).execute(ctx())


def test_another_revision_in_the_stack_fails():
    other = {**DEPLOYED, "outputs": {**OUTPUTS, "Revision": "newer"}}
    with pytest.raises(EndpointTestFailed, match="another revision"):
        operator().execute(context(xcoms(deploy_dev=other)))


def test_an_endpoint_on_its_way_is_waited_for():
    sagemaker = SageMaker(status="Updating")

    def wait(trigger):
        assert isinstance(trigger, EndpointInServiceTrigger)
        sagemaker.endpoint["EndpointStatus"] = "InService"
        return WaitResult(WaitOutcome.REACHED, "InService").to_event().payload

    assert run_task(operator(sagemaker), ctx(), wait=wait)["correct"] == 4


@pytest.mark.parametrize(
    ("outcome", "error"), [(WaitOutcome.TIMEOUT, EndpointTestFailed), (WaitOutcome.REFUSED, AwsError)]
)
def test_a_wait_that_ends_badly(outcome, error):
    waiting = operator(SageMaker(status="Updating"))
    with pytest.raises(TaskDeferred):
        waiting.execute(ctx())
    with pytest.raises(error):
        waiting.resume(ctx(), event=WaitResult(outcome, "Updating").to_event().payload, deadline=0)


def test_the_live_model_answers_the_same_rows_and_both_are_kept():
    sagemaker = SageMaker(live="Updating", adds=0.6)
    tried = operator(sagemaker, sections=CHAMPION)
    result = tried.execute(ctx())["champion"]
    assert (result["candidate"], result["live"], result["rows"], result["passed"]) == (1.0, 0.0, 4, True)
    assert [asked for asked in sagemaker.asked if asked[0] == PRODUCTION] == [(PRODUCTION, "model-a")] * 4
    ((arn, kept, digest),) = tried.registry.kept
    assert (arn, digest) == (xcoms()["register"]["model_package_arn"], release_plan().digest)
    assert (kept["accuracy"], kept["live-accuracy"]) == ("1", "0")


def test_a_model_worse_than_the_live_one_fails_and_that_is_kept():
    tried = operator(SageMaker(live="InService"), rows=[*ROWS[:3], Row("0", "2,2")], sections=CHAMPION)
    tried.model = model({"champion": {"better_by_at_least": 0.1}}, accuracy_minimum=0.5)
    with pytest.raises(GateFailed, match=r"expected accuracy better by at least 0\.1"):
        tried.execute(ctx())
    assert tried.registry.kept[0][1]["champion-rule"].endswith("broken")


def test_a_live_model_that_fails_stops_nobody():
    sagemaker = SageMaker(live="InService", adds=AwsError("Cannot invoke", code="ModelError", why="boom"))
    assert operator(sagemaker, sections=CHAMPION).execute(ctx())["champion"]["live"] is None


@pytest.mark.parametrize("live", [None, "Creating", "Failed"])
def test_where_nothing_is_live_there_is_nothing_to_compare_with(live):
    tried = operator(SageMaker(live=live), sections=CHAMPION)
    assert tried.execute(ctx())["champion"] is None
    assert tried.registry.kept == []


def test_a_model_is_not_compared_with_itself():
    sagemaker = SageMaker(live="InService", data=LIVE, registered=LIVE)
    assert operator(sagemaker, sections=CHAMPION).execute(ctx())["champion"] is None
    assert {name for name, _ in sagemaker.asked} == {NAME}


def test_the_golden_set_is_asked_of_the_new_model_alone():
    sagemaker = SageMaker()
    assert operator(sagemaker, sections=GOLDEN_SET).execute(ctx())["golden_rows"] == 2
    assert sagemaker.asked[-2:] == [(NAME, "model-a")] * 2


def test_a_golden_row_answered_wrongly_fails_the_release(monkeypatch):
    monkeypatch.setitem(globals(), "GOLDEN", [GOLDEN[0], Row("5", "5,5")])
    with pytest.raises(EndpointTestFailed, match=r"1 of 2 rows of the golden set wrongly.*row 2: expected '5', got '4"):
        operator(sections=GOLDEN_SET).execute(ctx())


def test_a_golden_set_is_small(monkeypatch):
    monkeypatch.setitem(globals(), "GOLDEN", GOLDEN * 501)
    with pytest.raises(EndpointTestFailed, match="more than 1000 rows"):
        operator(sections=GOLDEN_SET).execute(ctx())


def test_how_production_differs_from_its_stack_is_kept_for_the_approvers():
    tried = operator()
    deleted = drift.Difference("the alarm a was deleted", drift.Remedy.REVERTED)
    tried.compare_stack = lambda stack_name, aws_conn_id: [deleted] if stack_name.endswith("-prd") else []
    assert tried.execute(ctx())["production_drift"] == [{"what": "the alarm a was deleted", "fix": ""}]


def test_a_release_does_not_fail_because_production_cannot_be_compared():
    tried = operator()

    def refuse(stack_name, aws_conn_id):
        raise AwsError("Cannot detect the drift of the stack", code="AccessDenied")

    tried.compare_stack = refuse
    assert tried.execute(ctx())["production_drift"] is None


def test_a_header_among_the_rows_is_named_before_anything_is_asked(monkeypatch):
    monkeypatch.setattr("slipway.quality.endpoint.answers_of", lambda *_: {"model-a": Answers.CLASS})
    tested = operator(rows=[Row("label", "a,b"), *ROWS])
    with pytest.raises(EndpointTestFailed, match=r"s3://bucket/rows/\): row 1 has the label the text 'label'"):
        tested.execute(ctx())
