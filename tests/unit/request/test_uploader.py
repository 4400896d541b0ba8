"""The uploader of a zip is the one that S3 names, whatever XComs say."""

import json
from dataclasses import replace

import pytest

from slipway.errors import AwsError, NotApproved
from slipway.model.approval_rules import ONLY_STAGE, ApprovalStage, Rules
from slipway.names import revision_key
from slipway.plan import Revision
from slipway.request.process import process_request
from slipway.request.uploader import uploader_of, uploader_under
from tests.unit.request_samples import AWS, BUCKET, KEY, DictStore, iris_model, request_zip, revision

STRICT = Rules((ApprovalStage(ONLY_STAGE, ("alice",)),), allow_uploader=False)
OPEN = replace(STRICT, allow_uploader=True)


@pytest.fixture
def s3() -> DictStore:
    data = request_zip()
    return DictStore({(BUCKET, KEY, "v1"): data, (BUCKET, KEY, "v2"): data}, {(BUCKET, KEY, "v1"): "dave"})


@pytest.fixture
def plan(s3):
    return process_request(iris_model(), revision(request_zip()), s3=s3, aws=AWS)


def deleted(s3: DictStore) -> DictStore:
    del s3.objects[BUCKET, KEY, "v1"]
    return s3


def record(s3: DictStore, plan, **changes) -> None:
    place = (BUCKET, revision_key("iris-model", plan.revision_id), None)
    s3.objects[place] = json.dumps({**json.loads(s3.objects[place]), **changes}).encode()


def test_the_pinned_version_itself_says_it(s3, plan):
    assert uploader_of(plan, BUCKET, s3) == "dave"
    # An XCom that another DAG's task wrote.
    assert "uploader" not in plan.to_xcom()["revision"]
    forged = type(plan).from_xcom({**plan.to_xcom(), "revision": {**plan.revision.to_xcom(), "uploader": "bob"}})
    assert uploader_of(forged, BUCKET, s3) == "dave"


def test_another_version_in_the_plan_is_noticed(s3, plan):
    forged = replace(plan, revision=replace(plan.revision, version_id="v2"))
    with pytest.raises(NotApproved, match="this version is of another"):
        uploader_of(forged, BUCKET, s3)


def test_once_the_version_is_gone_the_releases_own_record_says_it(s3, plan):
    assert uploader_of(plan, BUCKET, deleted(s3)) == "dave"


def test_a_record_is_read_from_the_models_own_bucket(s3, plan):
    """The plan is an XCom and names a bucket too, which is not used."""
    forged = replace(plan, request_uri="s3://mallory/releases/iris-model/x/trainingjob.zip")
    s3.objects["mallory", revision_key("iris-model", plan.revision_id), None] = b'{"uploader": "bob"}'
    assert uploader_of(forged, BUCKET, deleted(s3)) == "dave"


@pytest.mark.parametrize(
    "changes",
    [{"digest": "0" * 64}, {"version_id": "v2"}, {"uploader": None}, {"uploader": 7}, {"attempt": []}],
)
def test_a_record_of_something_else_says_nothing(s3, plan, changes):
    record(deleted(s3), plan, **changes)
    with pytest.raises(NotApproved, match="S3 no longer has this version"):
        uploader_under(STRICT, plan, BUCKET, s3)
    assert uploader_under(OPEN, plan, BUCKET, s3) is None


@pytest.mark.parametrize("content", [None, b"", b"[]", b'"text"', b"\xff", b"{}"])
def test_without_a_record_nobody_is_let_through(s3, plan, content):
    place = (BUCKET, revision_key("iris-model", plan.revision_id), None)
    del deleted(s3).objects[place]
    if content is not None:
        s3.objects[place] = content
    with pytest.raises(NotApproved, match="upload the zip again"):
        uploader_under(STRICT, plan, BUCKET, s3)


def test_what_aws_does_not_answer_stops_only_who_has_to_know(s3, plan):
    def refuse(bucket, key, version_id):
        raise AwsError("Could not look at the object")

    s3.uploader = refuse
    assert uploader_under(OPEN, plan, BUCKET, s3) is None
    with pytest.raises(AwsError):
        uploader_under(STRICT, plan, BUCKET, s3)


def test_what_was_written_down_before_is_still_read():
    kept = {**revision(b"zip").to_xcom(), "uploader": "dave", "digest": "d"}
    assert Revision.from_xcom(kept) == revision(b"zip")
