"""Captured answers joined with the truth, in SageMaker Model Monitor's layouts."""

import base64
import json
from datetime import UTC, datetime

import pytest

from slipway.errors import PermanentError
from slipway.load.answers import Answers
from slipway.trial.ground_truth import Captured, Hits, captured, compare, hour_folders, truths

MOMENT = datetime(2026, 5, 2, 23, 30, tzinfo=UTC).timestamp()


def capture(event_id: str, data: str, *, encoding="CSV", at="2026-05-02T23:30:00Z", **metadata: str) -> str:
    text = base64.b64encode(data.encode()).decode() if encoding == "BASE64" else data
    output = {"observedContentType": "text/csv", "mode": "OUTPUT", "data": text, "encoding": encoding}
    about = {"eventId": event_id, "inferenceTime": at, **metadata}
    return json.dumps({"captureData": {"endpointOutput": output}, "eventMetadata": about, "eventVersion": "0"})


def truth(event_id: str, data: str) -> str:
    said = {"data": data, "encoding": "CSV"}
    return json.dumps({"groundTruthData": said, "eventMetadata": {"eventId": event_id}, "eventVersion": "0"})


def test_both_layouts_have_a_folder_for_each_hour():
    assert hour_folders("p/truth/", MOMENT, MOMENT + 3600) == ["p/truth/2026/05/02/23/", "p/truth/2026/05/03/00/"]


def test_answers_are_held_against_the_truth_by_event_id():
    answered = captured([capture("a", "1.0\n"), capture("b", "2", encoding="BASE64"), capture("c", "0")], "x", since=0)
    known = truths([truth("a", "1"), truth("b", "1"), truth("d", "1")], "y")
    assert compare(answered, known) == Hits(labelled=2, right=1)


def test_an_inference_id_comes_before_the_event_id():
    answered = captured([capture("a", "1", inferenceId="mine")], "x", since=0)
    assert compare(answered, {"mine": "1", "a": "0"}) == Hits(1, 1)


def test_a_request_of_several_rows_counts_row_by_row():
    assert compare({"a": Captured("0\n1\n2")}, {"a": "0\n1\n1"}) == Hits(3, 2)
    assert compare({"a": Captured("setosa x")}, {"a": "setosa x"}) == Hits(2, 2)
    assert compare({"a": Captured("0.1, 0.9")}, {"a": "1"}) == Hits(1, 1)


def test_what_was_answered_before_the_trial_is_another_models():
    assert captured([capture("a", "1")], "x", since=MOMENT + 1) == {}
    assert captured([capture("a", "1")], "x", since=MOMENT) == {"a": Captured("1", "text/csv")}


@pytest.mark.parametrize("line", ["{", "[]", '{"eventMetadata": {"eventId": "a"}}'])
def test_another_layout_is_told_with_its_line(line):
    with pytest.raises(PermanentError, match=r"s3://b/k record 2.*Model Monitor's layout"):
        truths([truth("a", "1"), line], "s3://b/k")


def test_what_an_answer_means_follows_from_the_objective_and_from_accept():
    margins = {"a": Captured("-3.1\n0.2\n", "text/csv"), "b": Captured("[1.4]", "application/json")}
    assert compare(margins, {"a": "0\n1", "b": "1"}, Answers.MARGIN) == Hits(3, 3)
    # XGBoost's images before 1.5 put all rows on one line.
    classes = {"a": Captured("1.0,2.0", "text/csv")}
    assert compare(classes, {"a": "1\n2"}, Answers.CLASS) == compare(classes, {"a": "1,2"}, Answers.CLASS) == Hits(2, 2)
    shares = {"a": Captured("[0.1, 0.9]\n[0.8, 0.2]\n", "text/csv")}
    assert compare(shares, {"a": "1\n1"}, Answers.PROBABILITIES) == Hits(2, 1)


DEEP = "[" * 100_000


@pytest.mark.parametrize("event_id", ["[]", "{}", "null", "0.5"])
def test_an_id_of_another_type_is_told_with_its_line(event_id):
    line = f'{{"eventMetadata": {{"eventId": {event_id}}}, "groundTruthData": {{"data": "1"}}}}'
    with pytest.raises(PermanentError, match="s3://b/k record 1"):
        truths([line], "s3://b/k")


@pytest.mark.parametrize(
    "line",
    [DEEP, '{"eventMetadata": [], "captureData": {"endpointOutput": {"data": "1"}}}', '{"eventMetadata": "eventId"}'],
)
def test_another_layout_of_captures_is_told_with_its_line(line):
    with pytest.raises(PermanentError, match="s3://b/k record 1"):
        captured([line], "s3://b/k", since=0)


def test_an_id_is_the_same_as_a_number_and_as_text():
    line = '{"eventMetadata": {"eventId": 7}, "groundTruthData": {"data": 1}}'
    assert compare({"7": Captured("1")}, truths([line], "x")) == Hits(1, 1)
    typed = (
        '{"eventMetadata": {"eventId": 7}, "captureData": {"endpointOutput": {"data": "1", "observedContentType": 5}}}'
    )
    assert compare(captured([typed], "x", since=0), {"7": "1"}) == Hits(1, 1)
