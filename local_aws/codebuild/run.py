"""One build, from its place in the queue to its end.

https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details-phases.html
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from local_aws import trees
from local_aws.codebuild import buildspec as buildspecs
from local_aws.codebuild import environment, logs, phases, source
from local_aws.codebuild.artifacts import upload
from local_aws.codebuild.buildspec import Buildspec
from local_aws.codebuild.errors import BuildProblem, Ended
from local_aws.codebuild.limits import limits_of, used_bytes
from local_aws.codebuild.phases import FAILED, FAULT, STOPPED, SUCCEEDED, TIMED_OUT
from local_aws.codebuild.sessions import Session, Sessions
from local_aws.codebuild.shell import Shell, TooManyProcesses
from local_aws.framework.disk import Disk
from local_aws.framework.store import Document, Scope

_DEFAULT_BUILDSPEC = "buildspec.yml"
# Of one build's log; the rest is dropped with a line that says so.
_MAX_LOG_BYTES = 32 * 1024**2
_LOOK_SECONDS = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Surroundings:
    """What all builds share.

    :param sessions: starts the sessions of service roles
    :param programs: makes the folder with the programs `docker` and `aws`
    :param disk: where the folders of builds are
    """

    sessions: Sessions
    programs: Callable[[], Path]
    disk: Disk


class BuildRun:
    """One build, run by the thread that calls `run`; other threads may call `stop` only.

    :param scope: account and region
    :param build: the build's document, which only this thread changes
    :param folder: for the build only
    :param surroundings: what all builds share
    :param seconds: how long it may take
    :param changed: is given the document after each change
    """

    def __init__(
        self,
        scope: Scope,
        build: Document,
        folder: Path,
        surroundings: Surroundings,
        seconds: float,
        changed: Callable[[Document], None],
    ) -> None:
        self._scope = scope
        self._build = build
        self._folder = folder
        self._source = folder / "src"
        self._surroundings = surroundings
        self._deadline = time.monotonic() + seconds
        self._changed = changed
        self._ask: str | None = None
        self._build_log: logs.BuildLog | None = None
        self._log_bytes = 0
        self._next_look = 0.0
        self._limits = limits_of(build["environment"])

    def stop(self, status: str) -> None:
        """Ask the build to end; it ends within a second. Any thread.

        :param status: that it ends with, STOPPED or FAULT
        """
        self._ask = self._ask or status

    def run(self) -> None:
        """Run the build to its end, whatever happens."""
        status, message = FAULT, ""
        try:
            status = self._run()
        except Ended as end:
            status, message = end.status, end.message
        except (TooManyProcesses, trees.TooDeep) as error:
            status, message = FAILED, str(error)
        except Exception as error:
            _log.exception("build %s", self._build["id"])
            message = f"INTERNAL_SERVICE_ERROR: {error!r}"
        finally:
            trees.remove(self._folder)
        phases.end(self._build, status, "" if status == STOPPED else status if message else "", message)
        phases.complete(self._build, status)
        if self._build_log is not None:
            self._build_log.close()
        self._changed(self._build)

    def _run(self) -> str:
        self._check()
        try:
            with self._phase("PROVISIONING"):
                session = self._provision()
            with self._phase("DOWNLOAD_SOURCE"):
                spec = self._download(session)
        except BuildProblem:
            return FAILED
        shell = Shell(self._folder, self._limits, self._write, self._check)
        try:
            return _Commands(self, spec, shell, session).run()
        finally:
            shell.close()

    # --- the steps before the commands ----------------------------------------------------------------------------

    def _provision(self) -> Session:
        for name in ("src", "home", "tmp", "state"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        role, name = self._build["serviceRole"], f"AWSCodeBuild-{self._build['id'].partition(':')[2]}"
        try:
            session = self._surroundings.sessions.assume(self._scope, role, name)
        except (ClientError, BotoCoreError) as error:
            raise BuildProblem("ACCESS_DENIED", f"CodeBuild cannot assume the service role {role}: {error}") from error
        if logs.is_enabled(self._build):
            self._open_log(session)
        return session

    def _open_log(self, session: Session) -> None:
        client, where = session.client("logs"), self._build["logs"]
        try:
            logs.create_stream(client, where["groupName"], where["streamName"])
        except (ClientError, BotoCoreError) as error:
            raise BuildProblem(
                "ACCESS_DENIED",
                f"Service role {self._build['serviceRole']} does not allow AWS CodeBuild to create Amazon CloudWatch"
                f" Logs log streams for build {self._build['arn']}. Error message: {error}",
            ) from error
        self._build_log = logs.BuildLog(client, where["groupName"], where["streamName"])

    def _download(self, session: Session) -> Buildspec:
        wanted, version = self._build["source"], self._build.get("sourceVersion", "")
        if wanted["type"] == "S3":
            archive = self._folder / "source.zip"
            found = source.download(session.client("s3"), wanted["location"], version, self._source, archive)
            self._build["resolvedSourceVersion"] = found or version
        text = wanted.get("buildspec", "")
        if "\n" not in text:
            path = (self._source / (text or _DEFAULT_BUILDSPEC)).resolve()
            if not path.is_relative_to(self._source.resolve()) or not path.is_file():
                raise BuildProblem("YAML_FILE_ERROR", f"stat {path}: no such file or directory")
            text = path.read_text(errors="replace")
        return buildspecs.parse(text)

    # --- what all steps share -------------------------------------------------------------------------------------

    def _phase(self, name: str) -> "_Phase":
        return _Phase(self, name)

    def _check(self) -> None:
        """End the build when it was asked to, has had its time, or has used up its space."""
        if self._ask is not None:
            raise Ended(self._ask)
        if time.monotonic() >= self._deadline:
            raise Ended(TIMED_OUT, f"Build has timed out after {self._build['timeoutInMinutes']} minutes.")
        if not self._surroundings.disk.has_room():
            raise Ended(FAILED, "No space is left on the disk.")
        if time.monotonic() >= self._next_look and self._is_too_large():
            raise Ended(FAILED, f"The build's files have more than {self._limits.folder_bytes} bytes.")

    def _is_too_large(self) -> bool:
        """Tell whether the build's files have more bytes than they may."""
        began, most = time.monotonic(), self._limits.folder_bytes
        found = used_bytes(self._folder, most) > most
        # A look at many files takes a while, and must not be most of what is done.
        self._next_look = time.monotonic() + _LOOK_SECONDS + 10 * (time.monotonic() - began)
        return found

    def _write(self, line: str) -> None:
        if self._build_log is None or self._log_bytes > _MAX_LOG_BYTES:
            return
        self._log_bytes += len(line) + 1
        if self._log_bytes > _MAX_LOG_BYTES:
            line = f"[Container] The log has more than {_MAX_LOG_BYTES} bytes, and ends here."
        self._build_log.write(line)

    def _note(self, text: str) -> None:
        self._write(f"[Container] {datetime.now(UTC):%Y/%m/%d %H:%M:%S.%f} {text}")

    def _save(self) -> None:
        self._changed(self._build)


class _Phase:
    """The time of a phase, with how it ended."""

    def __init__(self, run: BuildRun, name: str) -> None:
        self._run = run
        self._name = name

    def __enter__(self) -> "_Phase":
        phases.begin(self._run._build, self._name)
        self._run._save()
        self._run._note(f"Entering phase {self._name}")
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and not isinstance(error, BuildProblem):
            # `run` ends the phase with the build.
            return
        code, message = (error.code, error.message) if isinstance(error, BuildProblem) else ("", "")
        status = FAILED if error else SUCCEEDED
        phases.end(self._run._build, status, code, message)
        self._run._note(f"Phase complete: {self._name} State: {status}")
        self._run._note(f"Phase context status code: {code} Message: {message}")
        self._run._save()


class _Commands:
    """The phases of a build that its buildspec says."""

    def __init__(self, run: BuildRun, spec: Buildspec, shell: Shell, session: Session) -> None:
        self._run = run
        self._spec = spec
        self._shell = shell
        self._session = session
        self._first_folder = self._folder = str(run._source)
        self._environment = environment.variables(
            run._build, spec, session, run._folder, run._source, run._surroundings.programs()
        )
        self._failed = False

    def run(self) -> str:
        """Run them; return the status of the build."""
        for name in buildspecs.PHASES:
            try:
                with self._run._phase(name.upper()):
                    self._of_phase(self._spec.phases.get(name, buildspecs.Phase()))
            except BuildProblem:
                self._failed = True
                self._environment["CODEBUILD_BUILD_SUCCEEDING"] = "0"
                if self._ends_with(name):
                    break
        else:
            self._upload()
        self._run._build["exportedEnvironmentVariables"] = environment.exported(self._spec.exported, self._environment)
        with self._run._phase("FINALIZING"):
            pass
        return FAILED if self._failed else SUCCEEDED

    def _ends_with(self, phase: str) -> bool:
        """Tell whether a build ends when a phase has failed."""
        told = self._spec.phases[phase].on_failure
        if told:
            return told == buildspecs.ABORT
        return phase in ("install", "pre_build")

    def _of_phase(self, phase: buildspecs.Phase) -> None:
        problem: BuildProblem | None = None
        try:
            self._all(phase.commands)
        except BuildProblem as error:
            problem = error
        self._all(phase.last)
        if problem is not None:
            raise problem

    def _all(self, commands: Sequence[str]) -> None:
        for command in commands:
            self._run._note(f"Running command {command}")
            status = self._shell.run(self._spec.shell, command, self._folder, self._environment)
            if self._spec.one_shell:
                self._folder, self._environment = self._shell.left(self._folder, self._environment)
            if status:
                reason = f"exit status {status}" if status > 0 else f"signal {-status}"
                self._run._note(f"Command did not exit successfully {command} {reason}")
                raise BuildProblem(
                    "COMMAND_EXECUTION_ERROR", f"Error while executing command: {command}. Reason: {reason}"
                )

    def _upload(self) -> None:
        try:
            with self._run._phase("UPLOAD_ARTIFACTS"):
                upload(self._session, self._run._build, self._spec.artifacts, Path(self._first_folder))
        except BuildProblem:
            self._failed = True
