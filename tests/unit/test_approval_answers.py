"""Questions and answers survive the state store."""

import json

from slipway.approval_answers import Answer, How, Question
from slipway.approval_rules import Approval


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
