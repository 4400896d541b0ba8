"""How builds are ended before their commands do: stopped, timed out, killed; and that nothing of them is left."""

import os
import re
from pathlib import Path

import pytest

from tests.local_aws.codebuild_cases import (
    described,
    ended,
    log,
    phase,
    project,
    run,
    sandbox_is_empty,
    set_up,
    spec,
    start,
)
from tests.local_aws.sagemaker_cases import unique

pytestmark = pytest.mark.local_aws
# Processes of a session of their own, which a kill of the build's process group does not meet.
LEAVES = "setsid sleep {0} & setsid sh -c 'sleep {0}; true' & sleep {0}"


def running(mark):
    """Return the processes of this machine with a text in their command lines."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark in (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def seconds():
    """A number that only one test's processes sleep."""
    return f"{re.sub(r'[^1-9]', '7', unique('x')[2:])}"


def until_it_sleeps(eventually, mark):
    eventually(lambda: running(f"sleep {mark}"), bool)


def test_a_stop_kills_all_processes(building_aws, codebuild, eventually):
    mark = seconds()
    name = project(codebuild, spec(LEAVES.format(mark)))
    build_id = start(codebuild, name)
    until_it_sleeps(eventually, mark)
    assert described(codebuild, build_id)["currentPhase"] == "BUILD"
    codebuild.stop_build(id=build_id)
    build = ended(codebuild, build_id)
    assert (build["buildStatus"], phase(build, "BUILD")[0]) == ("STOPPED", "STOPPED")
    eventually(lambda: running(mark), lambda found: not found)
    assert sandbox_is_empty(building_aws)
    assert codebuild.stop_build(id=build_id)["build"]["buildStatus"] == "STOPPED"


def test_processes_that_a_build_leaves_end_with_it(building_aws, codebuild, eventually):
    mark = seconds()
    build = run(codebuild, spec(f"setsid sleep {mark} > /dev/null 2>&1 & echo started", "echo next"))
    assert (build["buildStatus"], log(building_aws, build)) == ("SUCCEEDED", ["started", "next"])
    eventually(lambda: running(mark), lambda found: not found)


def test_a_third_build_waits_for_a_place(codebuild, eventually):
    mark = seconds()
    name = project(codebuild, spec(f"sleep {mark}"))
    ids = [start(codebuild, name) for _ in range(3)]
    eventually(lambda: described(codebuild, ids[1])["currentPhase"], lambda found: found == "BUILD")
    assert described(codebuild, ids[2])["currentPhase"] == "QUEUED"
    codebuild.stop_build(id=ids[2])
    waiting = described(codebuild, ids[2])
    assert (waiting["buildStatus"], waiting["buildComplete"]) == ("STOPPED", True)
    for one in ids[:2]:
        codebuild.stop_build(id=one)
        assert ended(codebuild, one)["buildStatus"] == "STOPPED"


def test_a_file_that_is_too_long_fails_its_command(building_aws, codebuild):
    build = run(codebuild, spec("dd if=/dev/zero of=big bs=1M count=1 seek=9000000 2>/dev/null; echo status $?"))
    assert log(building_aws, build) == ["status 153"]


def test_memory_is_limited(building_aws, codebuild):
    build = run(codebuild, spec("python3 -c 'bytearray(6 * 1024**3)' 2>&1 | tail -1"))
    assert log(building_aws, build) == ["MemoryError"]


def test_a_build_with_too_many_processes_is_killed(building_aws, codebuild, eventually):
    mark = seconds()
    many = f"i=0; while [ $i -lt 3000 ]; do setsid sleep {mark} & i=$((i+1)); done; wait"
    build = run(codebuild, spec(many, "echo next"))
    assert (build["buildStatus"], phase(build, "BUILD")[0]) == ("FAILED", "FAILED")
    assert phase(build, "BUILD")[2] == "The build had more than 1024 processes at once."
    assert log(building_aws, build) == []
    eventually(lambda: running(mark), lambda found: not found)
    assert sandbox_is_empty(building_aws)


def test_a_command_cannot_write_its_own_end(building_aws, codebuild):
    build = run(codebuild, spec("ps -o args= -p 1; echo 0123456789abcdef0123456789abcdef 0; exit 4"))
    assert build["buildStatus"] == "FAILED"
    assert log(building_aws, build)[1:] == ["0123456789abcdef0123456789abcdef 0"]


# --- a local AWS of their own -----------------------------------------------------------------------------------------


@pytest.fixture
def new_aws(new_local_aws):
    aws = new_local_aws("--time-scale", "120").start()
    set_up(aws)
    return aws


def test_a_build_that_takes_too_long_times_out(new_aws, eventually):
    mark, codebuild = seconds(), new_aws.client("codebuild")
    build_id = start(codebuild, project(codebuild, spec(LEAVES.format(mark))), timeoutInMinutesOverride=10)
    build = ended(codebuild, build_id)
    assert (build["buildStatus"], phase(build, "BUILD")[:2]) == ("TIMED_OUT", ("TIMED_OUT", "TIMED_OUT"))
    eventually(lambda: running(mark), lambda found: not found)
    assert sandbox_is_empty(new_aws)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_restart_ends_what_ran_and_goes_on_with_what_waited(new_aws, eventually, how):
    mark, codebuild = seconds(), new_aws.client("codebuild")
    name = project(codebuild, spec('[ -n "$SHORT" ] || ' + f"setsid sleep {mark}"))
    # An hour is half a minute here, which two starts may take on a busy machine.
    ids = [start(codebuild, name, timeoutInMinutesOverride=480) for _ in range(2)]
    eventually(lambda: len(running(f"sleep {mark}")), lambda count: count >= 2)
    short = [{"name": "SHORT", "value": "1"}]
    ids.append(start(codebuild, name, environmentVariablesOverride=short))
    getattr(new_aws, how)()
    eventually(lambda: running(f"sleep {mark}"), lambda found: not found)
    new_aws.start()
    codebuild = new_aws.client("codebuild")
    assert [ended(codebuild, one)["buildStatus"] for one in ids] == ["FAULT", "FAULT", "SUCCEEDED"]
    assert phase(described(codebuild, ids[0]), "BUILD")[0] == "FAULT"
    assert sandbox_is_empty(new_aws)
