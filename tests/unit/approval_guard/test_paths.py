"""Which requests name what, by their paths."""

import pytest

from slipway.approval_guard import paths

RUN = "/api/v2/dags/iris-model/dagRuns/s3__1"
TASK = f"{RUN}/taskInstances/approve"


@pytest.mark.parametrize("path", [TASK, f"{TASK}/-1", f"{TASK}/0"])
def test_a_mark_names_its_task(path):
    assert paths.marked("PATCH", path) == ("iris-model", "s3__1", "approve")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", RUN),
        ("PATCH", f"{RUN}/taskInstances"),
        ("PATCH", f"{RUN}/taskGroupInstances/approve"),
        ("PATCH", f"{TASK}/dry_run"),
        ("PATCH", f"{TASK}/-1/hitlDetails"),
        ("POST", TASK),
    ],
)
def test_nothing_else_does(method, path):
    assert paths.marked(method, path) is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", f"{TASK}/dry_run"),
        ("PATCH", f"{TASK}/-1/dry_run"),
        ("POST", f"{TASK}/xcomEntries"),
        ("PATCH", f"{TASK}/xcomEntries/return_value"),
        ("DELETE", f"{TASK}/state-store"),
        ("PUT", f"{TASK}/state-store/answer/0"),
        ("DELETE", "/api/v2/dags/iris-model"),
    ],
)
def test_what_a_flush_does_not_show_is_checked_by_its_path(method, path):
    assert paths.needs_check(method, path)


@pytest.mark.parametrize(
    ("method", "path"),
    [("PATCH", TASK), ("PATCH", "/api/v2/dags/iris-model"), ("DELETE", RUN), ("POST", "/auth/token")],
)
def test_other_requests_cost_no_look_into_the_database(method, path):
    assert not paths.needs_check(method, path)


def test_an_answer_is_told_by_its_path():
    found = paths.answered("PATCH", f"{TASK}/-1/hitlDetails")
    assert (found["dag"], found["run"], found["task"], found["map_index"]) == ("iris-model", "s3__1", "approve", "-1")
    assert paths.answered("GET", f"{TASK}/-1/hitlDetails") is None
