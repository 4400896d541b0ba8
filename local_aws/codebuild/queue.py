"""The queue of builds: some run at once, each in a thread of its own, and the others wait."""

import logging
import threading
import time
from pathlib import Path

from local_aws import trees
from local_aws.codebuild import phases
from local_aws.codebuild.builds import Builds
from local_aws.codebuild.run import BuildRun, Surroundings
from local_aws.framework.store import Document, Scope
from local_aws.settings import Clock

# How many builds run at once on this machine.
CONCURRENT_BUILDS = 2
_END_SECONDS = 20.0

_log = logging.getLogger(__name__)


class BuildQueue:
    """Runs builds in the order in which they were started.

    :param folder: for the files of builds; for them only
    :param builds: where builds are kept
    :param surroundings: what builds share
    :param clock: how fast timeouts pass
    """

    def __init__(self, folder: Path, builds: Builds, surroundings: Surroundings, clock: Clock) -> None:
        self._folder = folder
        self._builds = builds
        self._surroundings = surroundings
        self._clock = clock
        # Guards all below.
        self._changed = threading.Condition()
        self._waiting: list[tuple[Scope, Document]] = []
        self._running: dict[str, BuildRun] = {}
        self._threads: list[threading.Thread] = []
        self._closed = True

    def start(self) -> None:
        """Go on with the builds that wait, and end those that a killed process has left."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in self._folder.iterdir():
            trees.remove(left)
        for scope, build in self._builds.unfinished():
            if build["currentPhase"] == "QUEUED":
                self._waiting.append((scope, build))
            else:
                phases.end(build, phases.FAULT, phases.FAULT, "The machine that ran the build has gone.")
                phases.complete(build, phases.FAULT)
                self._builds.save(scope, build)
        self._closed = False
        for number in range(CONCURRENT_BUILDS):
            thread = threading.Thread(target=self._work, name=f"build-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """End what runs; what waits goes on after the next start."""
        with self._changed:
            self._closed = True
            for run in self._running.values():
                run.stop(phases.FAULT)
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(_END_SECONDS)

    def enqueue(self, scope: Scope, build: Document) -> None:
        """Let a build run when there is a place for it.

        :param scope: account and region
        :param build: the build
        """
        with self._changed:
            self._waiting.append((Scope(scope.account_id, scope.region), build))
            self._changed.notify()

    def stop(self, scope: Scope, build: Document) -> None:
        """Ask a build to stop; one that waits is stopped at once.

        :param scope: account and region
        :param build: the build
        """
        with self._changed:
            for one in self._waiting:
                if one[1]["id"] == build["id"]:
                    self._waiting.remove(one)
                    self._end(scope, one[1], phases.STOPPED, "")
                    return
            if run := self._running.get(build["id"]):
                run.stop(phases.STOPPED)

    def _work(self) -> None:
        """Run one build after another."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._waiting, 1.0)
                if self._closed:
                    return
                self._give_up_old()
                if not self._waiting:
                    continue
                scope, build = self._waiting.pop(0)
                phases.end(build, phases.SUCCEEDED)
                run = self._running[build["id"]] = self._new_run(scope, build)
            try:
                run.run()
            except Exception:
                # What it writes at its end may fail, as on a full disk. The next start ends the build.
                _log.exception("build %s", build["id"])
            finally:
                with self._changed:
                    del self._running[build["id"]]

    def _new_run(self, scope: Scope, build: Document) -> BuildRun:
        return BuildRun(
            scope,
            build,
            self._folder / build["id"].partition(":")[2],
            self._surroundings,
            self._clock.real_seconds(build["timeoutInMinutes"] * 60),
            lambda document: self._builds.save(scope, document),
        )

    def _give_up_old(self) -> None:
        """End the builds that have waited too long."""
        now = time.time()
        for one in list(self._waiting):
            scope, build = one
            if build["startTime"] + self._clock.real_seconds(build["queuedTimeoutInMinutes"] * 60) < now:
                self._waiting.remove(one)
                minutes = build["queuedTimeoutInMinutes"]
                self._end(scope, build, phases.TIMED_OUT, f"Build has waited for {minutes} minutes.")

    def _end(self, scope: Scope, build: Document, status: str, message: str) -> None:
        phases.end(build, status, status if message else "", message)
        phases.complete(build, status)
        self._builds.save(scope, build)
