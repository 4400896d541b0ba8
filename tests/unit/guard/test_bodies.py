"""Texts that no database and no answer can hold are refused with 422, whatever field they are in."""

import asyncio
import json

import pytest

from slipway.guard.bodies import read_body, text_problem
from tests.unit.guard.real_server import IRIS, RUN

HALF = "half \ud83d"
RUNS = f"/api/v2/dags/{IRIS}/dagRuns"
TASKS = f"{RUNS}/{RUN}/taskInstances"
ANSWER = f"{TASKS}/approve/-1/hitlDetails"
REQUESTS = {
    "a comment": ("PATCH", ANSWER, {"chosen_options": ["Approve"], "params_input": {"comment": HALF}}),
    "another field of an answer": ("PATCH", ANSWER, {"chosen_options": ["Approve"], "params_input": {"other": HALF}}),
    "a list": ("PATCH", ANSWER, {"chosen_options": ["Approve"], "params_input": {"comment": ["a", HALF]}}),
    "an option": ("PATCH", ANSWER, {"chosen_options": [HALF]}),
    "a task's note": ("PATCH", f"{TASKS}/source", {"note": HALF}),
    "NUL in a note": ("PATCH", f"{TASKS}/source", {"note": "a\0b"}),
    "a mark's note": ("PATCH", f"{TASKS}/approve", {"new_state": "success", "note": HALF}),
    "a run's note": ("PATCH", f"{RUNS}/{RUN}", {"note": HALF}),
    "a clear's note": ("POST", f"/api/v2/dags/{IRIS}/clearTaskInstances", {"dry_run": False, "note": HALF}),
    "a form": ("POST", RUNS, {"logical_date": None, "conf": {"version_id": HALF}}),
    "a roll-back": ("POST", RUNS, {"logical_date": None, "conf": {"roll_back_to": HALF}}),
    "NUL in a form": ("POST", RUNS, {"logical_date": None, "conf": {"version_id": "a\0b"}}),
    "a field's name": ("POST", RUNS, {"logical_date": None, "conf": {HALF: "a"}}),
    "a new run's note": ("POST", RUNS, {"logical_date": None, "note": HALF}),
    "a run's id": ("POST", RUNS, {"logical_date": None, "dag_run_id": HALF}),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_a_text_that_cannot_be_kept_is_refused_and_nothing_is_changed(real_server, case):
    method, target, body = REQUESTS[case]
    before = real_server.watched()
    status, answer = real_server.send(method, target, body, user="alice")
    assert status == 422
    assert "cannot be kept: remove it" in answer["detail"]
    assert real_server.watched() == before


@pytest.mark.parametrize("comment", [["a"], {"a": "b"}, 5, True])
def test_a_comment_that_is_no_text_is_refused(real_server, comment):
    answer = {"chosen_options": ["Approve"], "params_input": {"comment": comment}}
    before = real_server.watched()
    status, said = real_server.send("PATCH", ANSWER, answer, user="alice")
    assert (status, said["detail"]) == (422, f"The comment must be text, not {type(comment).__name__}.")
    assert real_server.watched() == before


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"[" * 100_000, json.dumps({"note": "fine \U0001f44d\n"}).encode(), "\u00e4".encode()],
)
def test_other_bodies_are_the_routes_business(body):
    assert text_problem(body) is None


def test_the_problem_is_named_by_its_path():
    problem = text_problem(json.dumps({"conf": {"list": ["a", {"x": "ab\ud83d"}]}}).encode())
    assert problem == "conf.list.1.x: character 3, U+D83D, cannot be kept: remove it."
    assert text_problem(b'"\xed\xa0\xbd"') == "the body: character 1, U+D83D, cannot be kept: remove it."


def test_a_body_in_parts_is_delivered_again_and_then_what_comes_next():
    sent = [
        {"type": "http.request", "body": b"ab", "more_body": True},
        {"type": "http.request", "body": b"c"},
        {"type": "http.disconnect"},
    ]

    async def story():
        left = iter(sent)

        async def receive():
            return next(left)

        body, again = await read_body(receive)
        return body, [await again() for _ in sent]

    assert asyncio.run(story()) == (b"abc", sent)
