"""Questions and answers survive the state store."""

import json

from slipway.approval.answers import Answer, Question
from slipway.model.approval_rules import Approval
from slipway.registry.metadata import ARTEFACT_SHA256, DIGEST
from slipway.registry.record import Candidate, How, approval_properties, approvals_of
from tests.unit.signatures import signed_approval


def test_a_question_is_put_again_under_another_key():
    given = Approval(by="alice", at="t", how="Airflow", stage="science")
    question = Question(5.0, "arn", 3, (), "dave")
    following = question.next([given])
    assert (question.answer_key, following.answer_key) == ("answer/3", "answer/4")
    assert (following.at, following.approvals) == (5.0, (given,))
    assert Question.from_json(json.loads(json.dumps(following.to_json()))) == following


def test_an_answer_says_who_wanted_what():
    answer = Answer(True, "alice", "t", How.MARKED_SUCCESS, "fine", "science", "arn")
    assert Answer.from_json(json.loads(json.dumps(answer.to_json()))) == answer
    assert str(answer) == "alice approved it at t (marked success in Airflow)"
    assert answer.approval == Approval(by="alice", at="t", how="marked success in Airflow", stage="science")


def test_the_longest_approval_keeps_its_proof_on_the_package():
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html: 256 characters a value."""
    name, stage, at = "n" * 64, "s" * 40, "2026-05-02T08:00:00+00:00"
    candidate = Candidate("arn:p/1", "d" * 64, "a" * 64)
    given = signed_approval(candidate, name, at=at, how=How.MARKED_SUCCESS.value, stage=stage)
    properties = approval_properties([given]) | {DIGEST: "d" * 64, ARTEFACT_SHA256: "a" * 64}
    found = approvals_of({"ModelPackageArn": "arn:p/1", "CustomerMetadataProperties": properties})
    assert found == [given]
    assert found[0].proof == given.proof
