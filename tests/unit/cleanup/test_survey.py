"""What endpoints use, as SageMaker describes them; the rest is in tests/cfn."""

import io
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from slipway.aws.endpoints import ListedEndpoint
from slipway.aws.placeholders import AwsIdentity
from slipway.cleanup import survey as survey_module
from slipway.cleanup.account import AccountSurvey
from slipway.cleanup.rules import InUse, Past
from slipway.cleanup.survey import Survey
from slipway.errors import SlipwayError
from tests.unit.stage_runs import MemoryDocuments
from tests.unit.test_plan import REVISION

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
ENDPOINT = ListedEndpoint("e", "arn:e", "Updating", NOON.isoformat(), NOON.isoformat())
CONFIGS = {
    "old": {"ProductionVariants": [{"ModelName": "a"}], "ShadowProductionVariants": [{"ModelName": "shadow"}]},
    "new": {"ProductionVariants": [{"ModelName": "b"}, {"VariantName": "of inference components"}]},
}
MODELS = {
    "a": {"PrimaryContainer": {"ModelDataUrl": "s3://b/a.tar.gz"}},
    "b": {"Containers": [{"ModelDataSource": {"S3DataSource": {"S3Uri": "s3://b/folder/"}}}]},
}


def survey(**endpoint) -> Survey:
    made = Survey("iris-model", "b", None, lambda dag_id, run_id: False)
    sagemaker = SimpleNamespace(
        endpoints=lambda since=None: [ENDPOINT],
        tag_of=lambda arn, key: None,
        describe_endpoint=lambda name: endpoint,
        describe_endpoint_config=CONFIGS.get,
        describe_model=MODELS.get,
    )
    identity = AwsIdentity("123456789012", "us-east-1")
    made._account = AccountSurvey("iris-model", "b", MemoryDocuments(), sagemaker, lambda: identity, dict)
    return made


def test_what_an_endpoint_serves_and_what_it_is_updated_to_is_in_use():
    in_use = survey(EndpointConfigName="old", PendingDeploymentSummary={"EndpointConfigName": "new"}).in_use([])
    assert in_use.names == {"old", "new", "a", "b", "shadow"}
    assert in_use.data_urls == {"s3://b/a.tar.gz", "s3://b/folder/"}


def test_an_endpoint_whose_configuration_was_deleted_stops_the_collection():
    with pytest.raises(SlipwayError, match=r"which models an endpoint uses.*gone was deleted"):
        survey(EndpointConfigName="gone").in_use([])


@pytest.mark.parametrize(
    ("sequence", "known"), [("2025-05-01T12:00:00+00:00", True), ("9999-12-31T23:59:59+00:00", False), ("soon", False)]
)
def test_a_claim_without_a_place_in_the_order_says_nothing_about_age(sequence, known):
    made = survey()
    claim = {"dag_id": "iris-model", "run_id": "r", "sequence": sequence, "claimed_at": sequence}
    made._documents = SimpleNamespace(
        read=lambda bucket, key: SimpleNamespace(content=claim if key.endswith("claim.json") else None)
    )
    assert made._past("r" * 32, None).sequence == (sequence if known else None)


CLAIM = {"dag_id": "iris-model", "run_id": "r", "sequence": "2025-05-01T12:00:00+00:00", "claimed_at": "now"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("claim.json", "no JSON"),
        ("claim.json", "[]"),
        ("claim.json", json.dumps({"run_id": "r"})),
        ("claim.json", json.dumps({**CLAIM, "dag_id": 5})),
        ("claim.json", json.dumps({**CLAIM, "sequence": None})),
        ("revision.json", "{}"),
        ("revision.json", json.dumps({**REVISION.to_xcom(), "last_modified": "then"})),
    ],
)
def test_a_release_with_a_document_that_cannot_be_read_is_kept_and_the_others_go(name, content, caplog):
    made, good, bad = survey(), "0" * 32, "f" * 32
    made.sagemaker = SimpleNamespace(describe_training_job=lambda name: None)
    bodies = {
        f"releases/iris-model/{revision}/{document}": body
        for revision in (good, bad)
        for document, body in (("claim.json", json.dumps(CLAIM)), ("revision.json", json.dumps(REVISION.to_xcom())))
    }
    bodies[f"releases/iris-model/{bad}/{name}"] = content
    answers = {key: {"Body": io.BytesIO(body.encode()), "ETag": "e"} for key, body in bodies.items()}
    made._documents.s3 = SimpleNamespace(conn=SimpleNamespace(get_object=lambda Bucket, Key: answers[Key]))
    past = made.past((good, bad), {}, ())
    gone = made.superseded(past, "2025-06-01T12:00:00+00:00", None, InUse(), ())
    assert [one.revision_id for one in gone] == [good]
    assert f"{bad}/{name}" in caplog.text and "is kept" in caplog.text


def test_what_jobs_wrote_is_looked_up_of_no_release_that_is_kept():
    made, asked = survey(), []
    made.sagemaker = SimpleNamespace(describe_training_job=asked.append)
    document = json.dumps(REVISION.to_xcom()).encode()
    answer = {"Body": io.BytesIO(document), "ETag": "e"}
    made._documents.s3 = SimpleNamespace(conn=SimpleNamespace(get_object=lambda Bucket, Key: answer))
    past = [
        Past(revision_id=str(number), sequence=NOON.isoformat(), goes_on=False, home="s3://b/", package_arn=str(number))
        for number in range(5)
    ]
    gone = made.superseded(past, (NOON + timedelta(days=1)).isoformat(), None, InUse(), {"0", "1", "2", "3"})
    assert [one.revision_id for one in gone] == ["4"]
    assert len(asked) == 1


def test_of_many_the_oldest_go_first_and_the_others_cost_no_call(monkeypatch):
    monkeypatch.setattr(survey_module, "_MOST", 3)
    made, asked = survey(), []
    made._revision = lambda revision_id: asked.append(revision_id)
    past = [
        Past(revision_id=str(hour), sequence=(NOON - timedelta(hours=hour)).isoformat(), goes_on=False, home="s3://b/")
        for hour in range(1, 9)
    ]
    gone = made.superseded(past, NOON.isoformat(), None, InUse(), ())
    assert [one.revision_id for one in gone] == asked == ["8", "7", "6"]


def test_a_release_that_a_roll_back_needs_costs_no_call():
    made = survey()
    made._documents = made.sagemaker = None
    packages = {"1" * 32: {"ModelPackageArn": "arn:1", "ModelApprovalStatus": "Approved"}}
    assert made.past(packages, packages, ["arn:1"]) == []


def test_a_release_that_waits_is_known_by_the_list_and_its_claim_and_is_read_once():
    # Nobody has decided on these. Their uploads are of the first to the fourth of May; the second one's run goes on.
    names = {number: f"{number:032x}" for number in range(1, 5)}
    claims = {
        f"releases/iris-model/{one}/claim.json": CLAIM
        | {"run_id": str(number), "sequence": f"2025-05-0{number}T00:00Z"}
        for number, one in names.items()
    }
    read = []
    made = Survey("iris-model", "b", None, lambda dag_id, run_id: run_id == "2")
    made._documents = SimpleNamespace(read=lambda bucket, key: read.append(key) or SimpleNamespace(content=claims[key]))
    made._folders = SimpleNamespace(pending=lambda: {*names.values(), "f" * 32})
    folders = dict.fromkeys([*names.values(), "e" * 32])
    # The release that collects is of the third.
    assert made.undecided(folders, "2025-05-03T00:00Z") == {names[2], names[3], names[4]}
    package = {"ModelPackageArn": "arn:1", "ModelApprovalStatus": "PendingManualApproval"}
    (past,) = made.past([names[1]], {names[1]: package}, ())
    assert (past.sequence, past.goes_on, past.pending) == ("2025-05-01T00:00Z", False, True)
    assert sorted(read) == sorted(claims)
