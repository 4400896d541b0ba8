"""Why a build has ended without an image, as CodeBuild's phases and the last lines of its log say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slipway.errors import BuildFailed
from slipway.images.note import BuildStatus

_WHATS = {
    BuildStatus.SUCCEEDED: "The build has succeeded and has left no image of its source's tag",
    BuildStatus.FAILED: "The build has failed",
    BuildStatus.FAULT: "The build has failed, by an error of CodeBuild's own",
    BuildStatus.TIMED_OUT: "The build has reached its time limit",
    BuildStatus.STOPPED: "Somebody has stopped the build",
}
# CodeBuild's own lines, which tell of the phases: a dozen follow the command that has failed.
# https://docs.aws.amazon.com/codebuild/latest/userguide/getting-started-build-log-console.html
_PHASE_LINE = "[Container] "
_FIXES = {
    BuildStatus.SUCCEEDED: "compare the buildspec of the project with that of this version's set-up: slipway bootstrap",
    BuildStatus.FAILED: "correct what the last lines name, in the source, and upload it again",
    BuildStatus.FAULT: "upload the source again later; https://health.aws.amazon.com shows outages",
    BuildStatus.TIMED_OUT: "make the build shorter, or raise image.build.timeout_minutes; then upload the source again",
    BuildStatus.STOPPED: "upload the source again, or trigger a run with New attempt",
}


def build_error(status: BuildStatus, build: Mapping[str, Any], lines: Sequence[str]) -> BuildFailed:
    """Build the error of a build that has ended.

    :param status: how it has ended
    :param build: as CodeBuild describes it
    :param lines: the last lines of its log
    """
    # A phase that fails after another one fails because of it.
    reasons = list(_reasons(build))[:1] or ["CodeBuild gives no reason"]
    told = [line for line in lines if not line.startswith(_PHASE_LINE)]
    log = ["The last lines of its log:", *told] if told else []
    return BuildFailed(_WHATS[status], resource=build["id"], why="\n".join([*reasons, *log]), fix=_FIXES[status])


def _reasons(build: Mapping[str, Any]) -> Iterator[str]:
    """Say what CodeBuild says about each phase that has not succeeded.

    https://docs.aws.amazon.com/codebuild/latest/APIReference/API_BuildPhase.html
    """
    for phase in build.get("phases", ()):
        if phase.get("phaseStatus") in (None, "SUCCEEDED"):
            continue
        said = [one["message"] for one in phase.get("contexts", ()) if one.get("message")]
        yield f"phase {phase['phaseType']}: {'; '.join(said) or phase['phaseStatus']}"
