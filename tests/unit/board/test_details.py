"""What is in a release beside the live one, where its links lead, and what plots and the timeline show."""

from datetime import timedelta

import pytest

from slipway.aws.links import CloudFormationStackLink, EndpointLink, ModelPackageLink, TrainingJobLink
from slipway.request.contents import CONTENTS, contents_of
from tests.unit.board.world import RELEASED, arn, results, upto
from tests.unit.request_samples import changed, deployment, request_zip, training_job

OURS = request_zip(
    changed(changed(training_job(), "HyperParameters.max_depth", "7"), "HyperParameters.wandb", "hunter2"),
    changed(deployment(), "ProductionEndpoint.InitialInstanceCount", 3),
)
CONSOLE = "http://127.0.0.1:4566/_local_aws"
PLACE = {"region_name": "us-west-2", "aws_domain": "aws.amazon.com"}


def zip_of(world, data, task_id="process_request"):
    """Keep what is in the zip of the last run."""
    world.keep(task_id, CONTENTS, contents_of(data).to_xcom())


def live_and_new(world, theirs, ours):
    """A live release, and one that waits for approval; with what their tasks have kept of their zips."""
    world.model("iris-model")
    world.run("iris-model", "live", "success", RELEASED, results("iris-model", 12), age=timedelta(days=1))
    if theirs:
        zip_of(world, theirs)
    left = results("iris-model", 13, live=12)
    tasks = world.run("iris-model", "new", "running", upto("approve", "deferred"), left)
    if ours:
        zip_of(world, ours)
    world.ask(tasks["approve"], 13)


def test_a_decision_shows_what_differs_and_the_release_all(board, world):
    with world:
        live_and_new(world, request_zip(), OURS)
    (row,) = board.get("/releases")["models"]
    (decision,) = row["decisions"]
    assert decision["effect"].endswith(
        ", all at once. Production then runs 3 x ml.c5.xlarge for an estimated $0.61 an hour; what it costs now is not "
        "known. Auto scaling then keeps 2 to 10 instances of each variant."
    )
    changes = decision["changes"]
    assert (changes["live_version"], changes["same_zip"], changes["why_not"]) == ("12", False, None)
    assert {one["name"] for one in changes["contents"]} == {
        "deployment.json",
        "trainingjob.json",
        "Production: instances",
        "max_depth",
        "wandb",
    }
    found = board.get("/releases/iris-model/new")["comparison"]
    rows = {one["name"]: (one["part"], one["new"], one["live"]) for one in found["contents"]}
    assert rows["max_depth"] == ("Hyperparameters", "7", "10")
    assert rows["objective"] == ("Hyperparameters", "multi:softmax", "multi:softmax")
    assert rows["wandb"][1].startswith("not shown, mark ")
    assert rows["wandb"][2] is None
    assert "hunter2" not in str(found)


def test_the_same_zip_is_said_to_be_the_same(board, world):
    with world:
        live_and_new(world, OURS, OURS)
    changes = board.get("/releases")["models"][0]["decisions"][0]["changes"]
    assert (changes["same_zip"], changes["contents"], changes["why_not"]) == (True, [], None)


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        (None, OURS, "What is in the live zip is not known"),
        (OURS, None, "Nothing is known about the zip"),
    ],
)
def test_what_cannot_be_compared_says_why(board, world, theirs, ours, said):
    with world:
        live_and_new(world, theirs, ours)
    changes = board.get("/releases")["models"][0]["decisions"][0]["changes"]
    assert (changes["same_zip"], changes["live_version"], changes["contents"]) == (False, None, [])
    assert changes["why_not"].startswith(said)
    found = board.get("/releases/iris-model/new")["comparison"]
    assert bool(found["contents"]) is (ours is not None)


def test_what_production_serves_is_compared_with_nothing(board, world):
    with world:
        live_and_new(world, OURS, OURS)
    found = board.get("/releases/iris-model/live")["comparison"]
    assert found["why_not"] == "Production serves this release."
    assert {one["live"] for one in found["contents"]} == {None}


def test_after_a_roll_back_its_own_zip_is_the_live_one(board, world):
    back = dict.fromkeys(upto("source", "skipped"), "skipped") | {"roll_back": "success", "deploy_prd": "success"}
    with world:
        live_and_new(world, OURS, OURS)
        outputs = {"outputs": {"ModelPackageArn": arn("iris-model", 11)}}
        world.run("iris-model", "back", "success", back, {"deploy_prd": outputs, "roll_back": {}})
        zip_of(world, request_zip(), "roll_back")
    changes = board.get("/releases/iris-model/new")["decisions"][0]["changes"]
    assert (changes["live_version"], changes["same_zip"]) == ("11", False)
    assert "max_depth" in {one["name"] for one in changes["contents"]}


def test_a_question_about_a_trial_names_what_it_runs_beside(board, world):
    with world:
        world.model("iris-model")
        left = results("iris-model", 13, live=12)
        tasks = world.run("iris-model", "new", "running", upto("decide_trial", "deferred"), left)
        world.ask(tasks["decide_trial"], 13, task_id="decide_trial", options=("Promote", "Keep", "Retire"))
    (decision,) = board.get("/releases")["models"][0]["decisions"]
    assert (decision["version"], decision["live_version"], decision["changes"]) == ("13", "12", None)


def linked(world, console):
    world.model("iris-model")
    world.run("iris-model", "r", "success", RELEASED, results("iris-model", 3))
    place = {**PLACE, "console_url": console}
    stack = "arn:aws:cloudformation:us-west-2:123456789012:stack/s/1"
    world.keep("train", TrainingJobLink.key, {**place, "job_name": "iris-1"})
    world.keep("register", ModelPackageLink.key, {**place, "model_package_arn": arn("iris-model", 3)})
    world.keep("deploy_prd", CloudFormationStackLink.key, {**place, "stack_id": stack})
    world.keep("deploy_prd", EndpointLink.key, {**place, "endpoint_name": "iris-model-production"})


@pytest.mark.parametrize(("console", "begins"), [(CONSOLE, CONSOLE), ("", "https://console.aws.amazon.com")])
def test_links_lead_to_awss_console_or_to_the_one_of_the_connection(board, world, console, begins):
    with world:
        linked(world, console)
    found = {(one["task_id"], one["name"]): one["url"] for one in board.get("/releases/iris-model/r")["links"]}
    assert found == {
        ("train", "SageMaker training job"): f"{begins}/sagemaker/home?region=us-west-2#/jobs/iris-1",
        ("register", "SageMaker model package"): f"{begins}/sagemaker/home?region=us-west-2#/model-packages/"
        f"{arn('iris-model', 3)}",
        ("deploy_prd", "CloudFormation stack"): f"{begins}/cloudformation/home?region=us-west-2#/stacks/stackinfo"
        "?filteringStatus=active&stackId=arn%3Aaws%3Acloudformation%3Aus-west-2%3A123456789012%3Astack%2Fs%2F1",
        ("deploy_prd", "SageMaker endpoint"): f"{begins}/sagemaker/home?region=us-west-2#/endpoints/"
        "iris-model-production",
    }
    live = {one["environment"]: one["links"] for one in board.get("/models/iris-model")["row"]["live"]}
    assert [one["name"] for one in live["production"]] == [
        "SageMaker model package",
        "CloudFormation stack",
        "SageMaker endpoint",
    ]
    assert board.get("/releases")["models"][0]["live"][0]["links"] == []


@pytest.mark.parametrize(
    "value", [{"console_url": "javascript:alert(1)", "job_name": "x"}, {}, {"job_name": "x", "self": "y"}, {"a": [1]}]
)
def test_what_is_no_link_is_left_out(board, world, value):
    with world:
        world.model("iris-model")
        world.run("iris-model", "r", "success", RELEASED, results("iris-model", 3))
        world.keep("train", TrainingJobLink.key, {"region_name": "us-west-2", **value})
    assert board.get("/releases/iris-model/r")["links"] == []


def test_the_timeline_has_awss_share_where_it_is_known(board, world):
    left = results("iris-model", 3)
    left["deploy_dev"]["aws_seconds"] = 12.5
    with world:
        world.model("iris-model")
        world.run("iris-model", "r", "success", RELEASED, left)
    found = {one["task_id"]: one["aws_seconds"] for one in board.get("/releases/iris-model/r")["tasks"]}
    assert (found["train"], found["deploy_dev"], found["deploy_prd"], found["source"]) == (61, 12.5, None, None)


def test_each_past_release_has_its_numbers_for_plots(board, world):
    left = results("iris-model", 3)
    left["evaluate"]["metrics"]["validation:auc"] = "NaN"
    with world:
        world.model("iris-model")
        world.run("iris-model", "r", "success", RELEASED, left)
        world.run("iris-model", "r2", "running", upto("train", "running"))
    second, first = board.get("/models/iris-model/releases")["releases"]
    assert first["measured"] == {
        "validation:accuracy": 0.97,
        "accuracy in development": 0.9667,
        "accuracy in production": 0.9667,
        "p50 latency in development, ms": 4.2,
        "p99 latency in development, ms": 9.8,
    }
    assert second["measured"] == {}
