"""The waits of a build: their serialization, what ends them, the log, and when the build is stopped."""

import asyncio
import json
import re
import time
from types import SimpleNamespace

import pytest

from slipway.aws import codebuild, ecr
from slipway.images.wait import BuildTrigger, ScanTrigger
from slipway.training.owner import JobOwner
from slipway.waiting.waiter import load_waiter, waiter_state
from tests.unit.scripted_trigger import ScriptedEnd

OWNER = JobOwner("here", "image_build-iris-forest", "build", "run")


class Trigger(ScriptedEnd, BuildTrigger):
    """Asks neither Airflow nor AWS."""


def build_trigger(cls=BuildTrigger):
    arguments = {"build_id": "p:1", "note": ["bucket", "key"], "owner": OWNER.to_json()}
    return cls(**arguments, deadline=time.time() + 5, poll_seconds=1, aws_conn_id=None, region_name="us-west-2")


def scan_trigger():
    return ScanTrigger(repository="r", digest="sha256:1", deadline=time.time() + 5, poll_seconds=1, aws_conn_id=None)


@pytest.mark.parametrize("make", [build_trigger, scan_trigger])
def test_survives_serialization(make):
    path, arguments = make().serialize()
    module, _, name = path.rpartition(".")
    again = getattr(__import__(module, fromlist=[name]), name)(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("SUCCEEDED", "success"),
        ("FAILED", "failure"),
        ("FAULT", "failure"),
        ("STOPPED", "failure"),
        ("TIMED_OUT", "failure"),
        ("IN_PROGRESS", None),
    ],
)
def test_the_waiter_knows_the_ends_of_a_build(status, state):
    answer = {"builds": [{"buildStatus": status}], "buildsNotFound": []}
    assert waiter_state(load_waiter(codebuild.WAITER_PATH, "BuildEnded"), answer) == state


def test_a_build_that_has_gone_ends_the_wait():
    answer = {"builds": [], "buildsNotFound": ["p:1"]}
    assert waiter_state(load_waiter(codebuild.WAITER_PATH, "BuildEnded"), answer) == "failure"


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({"imageScanStatus": {"status": "COMPLETE"}}, "success"),
        ({"imageScanStatus": {"status": "ACTIVE"}}, "success"),
        ({"imageScanStatus": {"status": "FAILED"}}, "failure"),
        ({"imageScanStatus": {"status": "UNSUPPORTED_IMAGE"}}, "failure"),
        ({"imageScanStatus": {"status": "PENDING"}}, None),
        ({"imageScanStatus": {"status": "IN_PROGRESS"}}, None),
        ({"Error": {"Code": "ScanNotFoundException"}}, "retry"),
        ({"Error": {"Code": "ImageNotFoundException"}}, "failure"),
    ],
)
def test_the_waiter_knows_the_ends_of_a_scan(answer, state):
    assert waiter_state(load_waiter(ecr.WAITER_PATH, "ScanEnded"), answer) == state


def test_a_scan_that_was_not_begun_yet_is_waited_for():
    error = {"Error": {"Code": "ScanNotFoundException"}, "_error": RuntimeError()}
    trigger = scan_trigger()
    assert trigger._judge(load_waiter(ecr.WAITER_PATH, "ScanEnded"), error) is None


@pytest.mark.parametrize("state", ["failed", "success", "scheduled", "queued", "running", "up_for_retry", None])
def test_a_task_that_a_person_ends_stops_the_build(state):
    killed = build_trigger(Trigger)
    killed.state = state
    asyncio.run(killed.on_kill())
    assert killed.stopped == 1


def test_a_task_that_another_triggerer_waits_for_keeps_its_build():
    moved = build_trigger(Trigger)
    moved.state = "deferred"
    asyncio.run(moved.on_kill())
    assert moved.stopped == 0


class Logs:
    """A log of five lines, in two pages."""

    def __init__(self):
        self.asked = []

    async def get_log_events(self, *, logGroupName, logStreamName, startFromHead, nextToken=""):
        self.asked.append((logGroupName, logStreamName))
        pages = {"": (["1", "2", "3"], "a"), "a": (["4", "5"], "b"), "b": ([], "b")}
        lines, token = pages[nextToken]
        return {"events": [{"message": f"{line}\n"} for line in lines], "nextForwardToken": token}


def test_the_log_of_the_build_is_copied_once(capsys):
    logs, trigger = Logs(), build_trigger()

    async def client(*_):
        return logs

    trigger.client = client
    answer = {"builds": [{"logs": {"groupName": "group", "streamName": "stream"}}]}
    for _ in range(2):
        asyncio.run(trigger.observe(answer))
    assert re.findall(r"\] (\d) ", capsys.readouterr().out) == ["1", "2", "3", "4", "5"]
    assert set(logs.asked) == {("group", "stream")}


def test_a_build_without_a_log_yet_is_waited_for():
    trigger = build_trigger()
    trigger.client = SimpleNamespace()
    asyncio.run(trigger.observe({"builds": [{"logs": {"deepLink": "x"}}]}))
    asyncio.run(trigger.observe({"builds": []}))
