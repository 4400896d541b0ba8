"""The endpoint that a request has reached, and paths that reach none."""

import pytest
from airflow.api_fastapi.core_api.routes.public import hitl, task_instances

from slipway.guard.matched_route import ANSWER, MARK_TASK, MARK_TASK_DRY_RUN, Route, has_control_character

PARAMETERS = {"dag_id": "iris-model", "dag_run_id": "s3__1", "task_id": "approve"}
NAMED = ("iris-model", "s3__1", "approve")


def route(endpoint, **parameters) -> Route:
    return Route({"endpoint": endpoint, "path_params": PARAMETERS | parameters})


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        (task_instances.patch_task_instance, MARK_TASK),
        (task_instances.patch_task_instance_dry_run, MARK_TASK_DRY_RUN),
        (hitl.update_hitl_detail, ANSWER),
    ],
)
def test_airflows_endpoints_are_known_by_their_names(endpoint, name):
    assert [one for one in (MARK_TASK, MARK_TASK_DRY_RUN, ANSWER) if route(endpoint).leads_to(one)] == [name]


def test_a_mark_names_its_task():
    assert route(task_instances.patch_task_instance).marked == NAMED
    assert route(task_instances.patch_task_instance_dry_run).marked is None
    assert route(task_instances.patch_task_group_instances).marked is None


def test_what_has_reached_nothing_names_nothing():
    nothing = Route({"path": "/"})
    assert (nothing.marked, nothing.task, nothing.map_index) == (None, ("", "", ""), -1)


@pytest.mark.parametrize(("given", "expected"), [("-1", -1), ("0", 0), ("12", 12), ("x", -1)])
def test_a_map_index_is_a_number(given, expected):
    assert route(hitl.update_hitl_detail, map_index=given).map_index == expected


@pytest.mark.parametrize("path", ["/a\n", "/a\r\n", "/\x00/b", "/a\x7f", "/a\x85", "/a%0A", "/a%0a/b"])
def test_control_characters_are_found(path):
    assert has_control_character({"path": path, "raw_path": b"/"})


@pytest.mark.parametrize("raw", [b"/a%0A", b"/a%250A", b"/a\n"])
def test_control_characters_are_found_as_they_were_sent(raw):
    assert has_control_character({"path": "/a", "raw_path": raw})


@pytest.mark.parametrize("path", ["/", "/a b", "/a%20b", "/übung", "/%25", "/a+b"])
def test_other_characters_are_none(path):
    assert not has_control_character({"path": path, "raw_path": path.encode()})
    assert not has_control_character({"path": path})
