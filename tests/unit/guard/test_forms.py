"""A form that makes no sense starts no release and no build: in Airflow's own server, for people and for tasks."""

import pytest

from tests.unit.guard.real_server import FOREIGN, IRIS

RUNS = f"/api/v2/dags/{IRIS}/dagRuns"
BAD = [
    (
        {"roll_back_to": "previous", "version_id": "a"},
        "roll_back_to: a run is a release or a roll-back, and",
    ),
    ({"roll_back_to": "previous", "new_attempt": True}, "Remove new_attempt to roll back, or remove roll_back_to"),
    ({"versoin_id": "a"}, "versoin_id: the form has no such field. Did you mean version_id?"),
    # Airflow refuses these by the field's pattern; the answer says it in a sentence.
    ({"roll_back_to": "v12"}, "roll_back_to: v12 is refused. Write previous, the ARN of a model package"),
    ({"version_id": "the newest"}, "version_id: the newest is refused. Write one that `aws s3api"),
]

BAD_OF_A_BUILD = [
    ({"key": "image_builds/other/image.zip"}, "key: the form has no such field. Its fields are new_attempt,"),
    ({"bucket": "somebody-elses"}, "bucket: the form has no such field."),
    ({"version": "a"}, "version: the form has no such field. Did you mean version_id?"),
    ({"version_id": 12}, "version_id: 12 is refused. Write one that `aws s3api"),
    ({"new_attempt": "yes"}, "new_attempt: yes is neither true nor false."),
]


def started(server):
    return server.send("GET", f"{RUNS}?limit=1", user="alice")[1]["total_entries"]


@pytest.mark.parametrize("user", ["alice", "bob"])
@pytest.mark.parametrize(("conf", "said"), BAD)
def test_nonsense_starts_no_run_and_the_answer_names_field_and_fix(real_server, conf, said, user):
    before = started(real_server)
    status, answer = real_server.send("POST", RUNS, {"logical_date": None, "conf": conf}, user=user)
    assert status == 400
    assert said in answer["detail"]
    assert started(real_server) == before


@pytest.mark.parametrize(("conf", "said"), BAD_OF_A_BUILD)
def test_nonsense_builds_no_image(real_server, conf, said):
    runs = "/api/v2/dags/image_build-iris-forest/dagRuns"
    status, answer = real_server.send("POST", runs, {"logical_date": None, "conf": conf}, user="bob")
    assert (status, said in answer["detail"]) == (400, True), answer
    assert real_server.send("GET", runs, user="alice")[1]["total_entries"] == 0


def test_a_task_starts_no_such_run_either(real_server):
    before = started(real_server)
    conf = {"roll_back_to": "previous", "version_id": "a"}
    task = next(iter(real_server.tasks))
    status, answer = real_server.works("POST", f"/dag-runs/{IRIS}/of_a_task", {"conf": conf}, task=task)
    assert (status, "roll_back_to: a run is" in answer["detail"]) == (400, True)
    assert started(real_server) == before


def test_other_dags_forms_are_their_own_business(real_server):
    body = {"logical_date": None, "conf": {"versoin_id": "a", "roll_back_to": "v12"}}
    assert real_server.send("POST", f"/api/v2/dags/{FOREIGN}/dagRuns", body, user="bob")[0] == 200


def test_airflows_other_refusals_stay_as_they_are(real_server):
    body = {"logical_date": None, "conf": {}, "data_interval_start": "2026-01-01T00:00:00Z"}
    status, answer = real_server.send("POST", RUNS, body, user="alice")
    assert status in (400, 422)
    assert "the form" not in str(answer["detail"])
