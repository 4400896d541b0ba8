"""The phases of a build, as BatchGetBuilds tells them.

https://docs.aws.amazon.com/codebuild/latest/APIReference/API_BuildPhase.html
"""

import time
from typing import Any

from local_aws.framework.store import Document

IN_PROGRESS, SUCCEEDED, FAILED, STOPPED = "IN_PROGRESS", "SUCCEEDED", "FAILED", "STOPPED"
TIMED_OUT, FAULT = "TIMED_OUT", "FAULT"
COMPLETED = "COMPLETED"


def begin(build: Document, phase: str) -> None:
    """Begin a phase.

    :param build: the build, which is changed
    :param phase: such as ``PRE_BUILD``
    """
    build["currentPhase"] = phase
    build["phases"].append({"phaseType": phase, "startTime": time.time()})


def end(build: Document, status: str, code: str = "", message: str = "") -> None:
    """End the current phase.

    :param build: the build, which is changed
    :param status: of the phase
    :param code: the status code of its context
    :param message: the context's
    """
    phase: dict[str, Any] = build["phases"][-1]
    if "endTime" in phase or phase["phaseType"] == COMPLETED:
        return
    now = time.time()
    phase |= {"phaseStatus": status, "endTime": now, "durationInSeconds": int(now - phase["startTime"])}
    phase["contexts"] = [{"statusCode": code, "message": message}]


def complete(build: Document, status: str) -> None:
    """End a build.

    :param build: the build, which is changed
    :param status: of the build
    """
    end(build, status)
    begin(build, COMPLETED)
    build |= {"buildStatus": status, "buildComplete": True, "endTime": time.time()}
