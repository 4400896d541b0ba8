"""What AWS serves, as the survey has stored it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from airflow.models.asset import AssetModel
from airflow.models.asset_state_store import AssetStateStoreModel
from sqlalchemy.orm import Session

from slipway.board.live import Found
from slipway.live.snapshot import LOOKED, LiveEndpoint, LiveVariant, Looked, Minute, Snapshot
from slipway.request.contents import CONTENTS, contents_of
from tests.unit.board.world import RELEASED, arn, results, upto
from tests.unit.request_samples import request_zip


def endpoint(model: str, environment: str = "production", **changed: object) -> LiveEndpoint:
    name = f"{model}-{environment}"
    fields = {
        "name": name,
        "arn": f"arn:aws:sagemaker:us-west-2:123456789012:endpoint/{name}",
        "model": model,
        "environment": environment,
        "status": "InService",
        "config": "c",
        "created": "2026-11-29T10:00:00+00:00",
        "modified": "2026-11-29T11:00:00+00:00",
        "variants": (variant(),),
    }
    return LiveEndpoint(**fields | changed)


def variant(name: str = "model-a", **changed: object) -> LiveVariant:
    fields = {"weight": 1.0, "instances": 1, "wanted_instances": 1, "instance_type": "ml.c5.xlarge"}
    return LiveVariant(name, **fields | changed)


class Stored:
    """Writes into the state stores of assets."""

    def __init__(self, engine) -> None:
        self.engine = engine

    def asset(self, name: str, **entries: object) -> None:
        with Session(self.engine) as session:
            asset = AssetModel(name=name, uri=name, group="asset")
            session.add(asset)
            session.flush()
            for key, value in entries.items():
                session.add(AssetStateStoreModel(asset_id=asset.id, key=key, value=json.dumps(value)))
            session.commit()

    def survey(
        self, *endpoints: LiveEndpoint, age: timedelta | None = timedelta(), problem: str | None = None, name="a"
    ) -> str | None:
        """Store a look of this age; return when it was."""
        parts = Snapshot.of(endpoints).parts()
        at = None if age is None else (datetime.now(UTC) - age).isoformat()
        self.asset(f"slipway-live-{name}", **{LOOKED: Looked(at, len(parts), problem).to_json()}, **parts)
        return at


@pytest.fixture
def stored(engine) -> Stored:
    return Stored(engine)


@pytest.fixture(autouse=True)
def models(world) -> None:
    with world:
        world.model("iris-model")
        world.model("other-model")


def test_a_model_with_a_trial(board, stored):
    live = variant(weight=0.9, instances=2, wanted_instances=2, package_arn=arn("iris-model", 12))
    trial = variant("model-b", weight=0.1, wanted_instances=3, package_arn=arn("iris-model", 13))
    production = endpoint(
        "iris-model",
        variants=(live, trial),
        alarms={"model-a-5xx": "OK", "model-b-5xx": "ALARM"},
        minutes={"model-a": Minute("2026-11-29T11:05:00+00:00", 120, 3, 12.3)},
    )
    at = stored.survey(endpoint("iris-model", "development"), production, endpoint("other-model"))
    stored.asset("slipway-drift-a", reported={"mlops-deploy-iris-model-prd": ["the dashboard was deleted"]})
    found = board.get("/models/iris-model")
    assert found["survey"] == {"state": "fresh", "at": at.replace("+00:00", "Z"), "say": None}
    development, served = found["row"]["served"]
    assert (development["environment"], development["drift"], development["cost_an_hour"]) == ("development", [], 0.204)
    assert served["alarms"] == [{"name": "model-a-5xx", "state": "OK"}, {"name": "model-b-5xx", "state": "ALARM"}]
    assert served["drift"] == ["the dashboard was deleted"]
    assert served["cost_an_hour"] == 0.612
    first, second = served["variants"]
    assert [first[name] for name in ("version", "share", "instances", "requests", "errors", "latency_p99_ms")] == [
        *("12", 0.9, 2, 120, 3, 12.3)
    ]
    assert [second[name] for name in ("version", "share", "instances", "wanted_instances", "minute", "requests")] == [
        *("13", 0.1, 1, 3, None, 0)
    ]
    assert found["costs"]["an_hour"] == 0.816

    listed = board.get("/releases")
    assert {row["model"]: len(row["served"]) for row in listed["models"]} == {"iris-model": 2, "other-model": 1}
    assert (listed["costs"]["an_hour"], listed["costs"]["unknown"]) == (1.02, [])


@pytest.mark.parametrize(
    ("age", "served", "live"),
    [
        (timedelta(), [12], {"trial": False, "before": True}),
        (timedelta(), [12, 13], {"trial": True, "before": True}),
        (timedelta(minutes=9), [12], {"trial": True, "before": False}),
        (timedelta(), [None], {"trial": True, "before": False}),
        (timedelta(), [], {"trial": True, "before": False}),
    ],
    ids=["retired", "on trial", "old survey", "package unknown", "no endpoint"],
)
def test_live_is_what_production_serves_while_that_is_known(board, world, stored, age, served, live):
    """A trial that was retired is the newest deployment, and is not live any more."""
    with world:
        world.run("iris-model", "before", "success", RELEASED, results("iris-model", 12))
        world.run("iris-model", "trial", "success", RELEASED, results("iris-model", 13))
    packages = [number and arn("iris-model", number) for number in served]
    variants = tuple(variant(f"model-{one}", package_arn=one) for one in packages)
    stored.survey(*[endpoint("iris-model", variants=variants)] * bool(served), age=age)
    found = board.get("/models/iris-model/releases")["releases"]
    assert {one["run_id"]: one["is_live"] for one in found} == live


@pytest.mark.parametrize(
    ("where", "instance_type"), [("us-west-2", "ml.new.large"), ("eu-north-1", "ml.c5.xlarge"), ("us-west-2", "")]
)
def test_what_has_no_price_has_no_cost(board, stored, where, instance_type):
    name = f"arn:aws:sagemaker:{where}:123456789012:endpoint/iris-model-production"
    stored.survey(endpoint("iris-model", arn=name, variants=(variant(instance_type=instance_type),)))
    found = board.get("/models/iris-model")
    (served,) = found["row"]["served"]
    assert (served["cost_an_hour"], served["variants"][0]["cost_an_hour"]) == (None, None)
    assert (found["costs"]["an_hour"], found["costs"]["unknown"]) == (0, [instance_type] if instance_type else [])


def test_without_a_survey_it_says_what_to_do(board):
    survey = board.get("/releases")["survey"]
    assert (survey["state"], survey["at"]) == ("none", None)
    assert "check that the DAG “live” is not paused" in survey["say"]


@pytest.mark.parametrize(
    ("age", "problem", "state", "said"),
    [
        (
            timedelta(minutes=4),
            None,
            "old",
            "Nobody looks at AWS any more: check that the DAG “live” is not paused",
        ),
        (timedelta(minutes=4), "Cannot list: denied", "old", "AWS cannot be read: Cannot list: denied"),
        (timedelta(minutes=1), "Cannot list: 503", "fresh", None),
        (None, "Cannot list: denied", "none", "AWS could not be read yet: Cannot list: denied"),
        (None, None, "none", "A first look is missing: check that the DAG “live” is not paused"),
    ],
)
def test_old_facts_are_said_to_be_old(board, stored, age, problem, state, said):
    stored.survey(endpoint("iris-model"), age=age, problem=problem)
    survey = board.get("/releases")["survey"]
    assert survey["state"] == state
    assert (survey["say"] or "").startswith(said or "")
    assert bool(survey["say"]) == bool(said)


def test_of_several_connections_the_oldest_look_counts(board, stored):
    stored.survey(endpoint("iris-model"))
    stored.survey(endpoint("other-model"), age=timedelta(minutes=9), name="b")
    found = board.get("/releases")
    assert found["survey"]["state"] == "old"
    assert [len(row["served"]) for row in found["models"]] == [1, 1]


@pytest.mark.parametrize("value", [[], "text", {"at": 3}, {"parts": "many"}, {"format_version": 1, "parts": 1}])
def test_what_cannot_be_read_is_no_error_of_the_page(board, stored, value):
    stored.asset("slipway-live-a", **{LOOKED: value, "part-0": {"endpoints": [{"name": "x"}]}})
    found = board.get("/releases")
    assert found["survey"]["state"] == "none"
    assert all(row["served"] == [] for row in found["models"])


def trial_of(world, *, settled=None):
    """A live release, and one on trial with a tenth of the requests; what its last task has left."""
    plan = {"prefix": "iris-model", "trial_share": 0.1}
    with world:
        world.run("iris-model", "live", "success", RELEASED, results("iris-model", 12), age=timedelta(days=1))
        left = results("iris-model", 13, live=12, process_request=plan)
        left["deploy_prd"] = {"outputs": {"ModelPackageArn": arn("iris-model", 13), "ModelBDataUrl": "s3://b/13"}}
        if settled:
            left["settle_trial"] = {"outcome": "settled", "outputs": settled}
        state = upto("collect_garbage", "success") if settled else upto("watch_trial", "deferred")
        world.run("iris-model", "trial", "success" if settled else "running", state, left)


def shown(board) -> tuple[str | None, dict[str, tuple[bool, float | None]]]:
    """What the list says of production, what a model's releases say, and what the releases' own pages say."""
    (row,) = (one for one in board.get("/releases")["models"] if one["model"] == "iris-model")
    past = board.get("/models/iris-model/releases")["releases"]
    pages = [board.get(f"/releases/iris-model/{run}") for run in ("live", "trial")]
    assert {one["production"] for one in pages} == {row["production"]}
    assert [one["is_live"] for one in pages] == [one["is_live"] for one in reversed(past)]
    return row["production"], {one["run_id"]: (one["is_live"], one["live_share"]) for one in past}


@pytest.mark.parametrize("age", [timedelta(), timedelta(minutes=9)], ids=["survey", "old survey"])
def test_a_trial_is_shown_with_its_share(board, world, stored, age):
    trial_of(world)
    live = variant(weight=0.9, package_arn=arn("iris-model", 12))
    trial = variant("model-b", weight=0.1, package_arn=arn("iris-model", 13))
    stored.survey(endpoint("iris-model", variants=(live, trial)), age=age)
    assert shown(board) == ("v12 · 90 % and v13 · 10 %", {"live": (True, 0.9), "trial": (True, 0.1)})


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({"ModelPackageArn": arn("iris-model", 13)}, ("v13", {"live": (False, None), "trial": (True, None)})),
        ({"ModelPackageArn": arn("iris-model", 12)}, ("v12", {"live": (True, None), "trial": (False, None)})),
        (
            {"ModelPackageArn": arn("iris-model", 13), "ModelBDataUrl": "s3://b/13"},
            ("v12 · 90 % and v13 · 10 %", {"live": (True, 0.9), "trial": (True, 0.1)}),
        ),
    ],
    ids=["promoted", "retired", "kept"],
)
def test_without_a_survey_the_end_of_a_trial_counts(board, world, outputs, said):
    trial_of(world, settled=outputs)
    assert shown(board) == said


def test_the_list_and_the_page_say_that_there_is_no_trial(board, world):
    untried = upto("collect_garbage", "success") | {"decide_trial": "skipped", "settle_trial": "skipped"}
    with world:
        world.run("iris-model", "r", "success", untried, results("iris-model", 12))
    (row,) = (one for one in board.get("/releases")["models"] if one["model"] == "iris-model")
    for stages in (row["stages"], board.get("/releases/iris-model/r")["stages"]):
        assert [one["state"] for one in stages] == [*["done"] * 5, "no trial"]


def test_approve_says_what_production_costs_before_and_after(board, world, stored):
    with world:
        world.run("iris-model", "live", "success", RELEASED, results("iris-model", 12), age=timedelta(days=1))
        tasks = world.run(
            "iris-model", "new", "running", upto("approve", "deferred"), results("iris-model", 13, live=12)
        )
        world.keep("process_request", CONTENTS, contents_of(request_zip()).to_xcom())
        world.ask(tasks["approve"], 13)
    stored.survey(endpoint("iris-model", variants=(variant(instances=3, wanted_instances=3),)))
    for path in ("/models/iris-model", "/releases/iris-model/new"):
        found = board.get(path)
        (decision,) = found["row"]["decisions"] if "row" in found else found["decisions"]
        assert decision["effect"].endswith(
            "Production runs 3 x ml.c5.xlarge for an estimated $0.61 an hour, as now. "
            "Auto scaling then keeps 2 to 10 instances of each variant."
        )


def test_beside_a_trial_the_live_model_is_the_one_that_the_release_was_compared_with(board, world):
    trial_of(world)
    with world:
        tasks = world.run(
            "iris-model", "new", "running", upto("approve", "deferred"), results("iris-model", 14, live=12)
        )
        world.ask(tasks["approve"], 14)
        world.keep("process_request", CONTENTS, contents_of(request_zip()).to_xcom())
    (decision,) = board.get("/models/iris-model")["row"]["decisions"]
    assert decision["live_version"] == "12"
    assert decision["effect"].startswith("Version 14 takes the place of version 12 in production")
    assert decision["changes"]["why_not"].startswith("The board does not know the zip of version 12")


@pytest.mark.parametrize(("minutes", "state"), [(7, "fresh"), (9, "old")])
def test_while_nothing_happens_a_look_is_late_only_after_the_next_was_due(minutes, state):
    looked = Looked("2026-11-29T12:00:00+00:00", pause_seconds=300.0)
    now = datetime(2026, 11, 29, 12, minutes, tzinfo=UTC)
    assert Found(looks=(looked,)).survey(now).state == state
