"""Builds: started, read, listed, stopped and deleted.

https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html
"""

import hashlib
import json
import time
import uuid
from typing import Any, Protocol

from local_aws.codebuild import logs, phases
from local_aws.codebuild.artifacts import key_prefix
from local_aws.codebuild.errors import invalid
from local_aws.codebuild.project_checks import check_project, check_variables
from local_aws.codebuild.projects import PAGE_SIZE, Projects
from local_aws.framework.api import Operation, RequestContext, ServiceError
from local_aws.framework.listing import page_newest
from local_aws.framework.store import FAMILY, Conditions, Document, Scope, Store

# "The token is included in the StartBuild request and is valid for 5 minutes. If you repeat the StartBuild request with
# the same token, but change a parameter, AWS CodeBuild returns a parameter mismatch error."
_TOKEN_SECONDS = 300
# The members of StartBuild that replace a project's, but for those of its parts.
_OVERRIDES = {
    "artifactsOverride": "artifacts",
    "cacheOverride": "cache",
    "encryptionKeyOverride": "encryptionKey",
    "logsConfigOverride": "logsConfig",
    "queuedTimeoutInMinutesOverride": "queuedTimeoutInMinutes",
    "serviceRoleOverride": "serviceRole",
    "timeoutInMinutesOverride": "timeoutInMinutes",
}
_OF_SOURCE = {"sourceTypeOverride": "type", "sourceLocationOverride": "location", "buildspecOverride": "buildspec"}
_OF_ENVIRONMENT = {
    "environmentTypeOverride": "type",
    "imageOverride": "image",
    "computeTypeOverride": "computeType",
    "privilegedModeOverride": "privilegedMode",
}
# What a build keeps of its project.
_KEPT = (
    "cache",
    "encryptionKey",
    "environment",
    "logsConfig",
    "queuedTimeoutInMinutes",
    "serviceRole",
    "source",
    "timeoutInMinutes",
)
_OTHERS = frozenset({"projectName", "sourceVersion", "environmentVariablesOverride", "idempotencyToken"})


class Runner(Protocol):
    """Runs builds."""

    def enqueue(self, scope: Scope, build: Document) -> None:
        """Let a build run when there is a place for it."""

    def stop(self, scope: Scope, build: Document) -> None:
        """Ask a build to stop, which it has a moment later."""


class Builds:
    """The operations on builds.

    :param store: where they are kept
    :param projects: those that exist
    """

    def __init__(self, store: Store, projects: Projects) -> None:
        self._store = store
        # By PROJECT/ID.
        self._documents = store.collection("codebuild_builds")
        self._tokens = store.collection("codebuild_tokens")
        self._projects = projects
        # Set when the service is built.
        self.runner: Runner | None = None

    def operations(self) -> dict[str, Operation]:
        """Return the API's operations by name."""
        return {
            "StartBuild": self._start,
            "StopBuild": self._stop,
            "BatchGetBuilds": self._batch_get,
            "BatchDeleteBuilds": self._batch_delete,
            "ListBuilds": self._list,
            "ListBuildsForProject": self._list_of_project,
        }

    def save(self, scope: Scope, build: Document) -> None:
        """Write a build as it is now; one that was deleted stays so.

        :param scope: account and region
        :param build: the build
        """
        self._documents.update(scope, _key(build["id"]), lambda document: document.update(build))

    def unfinished(self) -> list[tuple[Scope, Document]]:
        """Read the builds of all accounts that have not ended, the oldest first."""
        found = [(scope, build) for scope, _, build in self._documents.everywhere() if not build["buildComplete"]]
        return sorted(found, key=lambda one: one[1]["startTime"])

    # --- StartBuild -----------------------------------------------------------------------------------------------

    def _start(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        project = self._projects.get(context, parameters["projectName"])
        unknown = parameters.keys() - _OVERRIDES.keys() - _OF_SOURCE.keys() - _OF_ENVIRONMENT.keys() - _OTHERS
        if unknown := {member for member in unknown if parameters[member]}:
            raise invalid(f"The local AWS has no {', '.join(sorted(unknown))} of StartBuild")
        settings = _overridden(project, parameters)
        check_project(settings)

        def make() -> tuple[Document, bool]:
            if known := self._of_token(context, parameters):
                return known, False
            self._refuse_beyond_limit(context, project)
            build = _new_build(context, settings, self._projects.next_number(context, project["name"]), parameters)
            self._documents.put(context, _key(build["id"]), build)
            if token := parameters.get("idempotencyToken"):
                started = {"id": build["id"], "request": _digest(parameters), "CreationTime": build["startTime"]}
                self._tokens.put(context, token, started)
            return build, True

        build, is_new = self._store.together(make)
        if is_new and self.runner is not None:
            self.runner.enqueue(context, build)
        return {"build": build}

    def _of_token(self, scope: Scope, parameters: dict[str, Any]) -> Document | None:
        """Return the build that an earlier request with the same token has started."""
        token = parameters.get("idempotencyToken")
        known = self._tokens.get(scope, token) if token else None
        if known is None or known["CreationTime"] < time.time() - _TOKEN_SECONDS:
            return None
        if known["request"] != _digest(parameters):
            raise invalid("Idempotency token parameter mismatch: the token was used with other parameters")
        return self._documents.get(scope, _key(known["id"]))

    def _refuse_beyond_limit(self, scope: Scope, project: Document) -> None:
        limit = project.get("concurrentBuildLimit")
        if limit is None:
            return
        conditions: Conditions = [
            (f"{FAMILY} = ?", f"{project['name']}/"),
            ("json_extract(body, '$.buildComplete') = ?", 0),
        ]
        if len(self._documents.page(scope, -1, None, by="name", descending=False, conditions=conditions)) >= limit:
            raise ServiceError(
                "AccountLimitExceededException", f"Project {project['name']} has reached its limit of concurrent builds"
            )

    # --- the others -----------------------------------------------------------------------------------------------

    def _stop(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        build = self._get(context, parameters["id"])
        if build is None:
            raise ServiceError("ResourceNotFoundException", f"Build cannot be found: {parameters['id']}")
        if not build["buildComplete"] and self.runner is not None:
            self.runner.stop(context, build)
            build = self._get(context, parameters["id"]) or build
        return {"build": build}

    def _batch_get(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        found = {one: self._get(context, one) for one in parameters["ids"]}
        return {
            "builds": [build for build in found.values() if build is not None],
            "buildsNotFound": [one for one, build in found.items() if build is None],
        }

    def _batch_delete(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        deleted, others = [], []
        for one in parameters["ids"]:
            build = self._get(context, one)
            if build is None:
                others.append({"id": one, "statusCode": "BUILD_NOT_FOUND"})
            elif not build["buildComplete"]:
                others.append({"id": one, "statusCode": "BUILD_IN_PROGRESS"})
            else:
                self._documents.delete(context, _key(build["id"]))
                deleted.append(build["arn"])
        return {"buildsDeleted": deleted, "buildsNotDeleted": others}

    def _list(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        return self._page(context, parameters, [])

    def _list_of_project(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        name = self._projects.get(context, parameters["projectName"])["name"]
        return self._page(context, parameters, [(f"{FAMILY} = ?", f"{name}/")])

    def _page(self, scope: Scope, parameters: dict[str, Any], conditions: Conditions) -> dict[str, Any]:
        descending = parameters.get("sortOrder", "DESCENDING") == "DESCENDING"
        try:
            rows, token = page_newest(
                self._documents,
                scope,
                PAGE_SIZE,
                parameters.get("nextToken"),
                descending=descending,
                conditions=conditions,
            )
        except ServiceError as error:
            raise invalid("Invalid nextToken") from error
        return {"ids": [build["id"] for _, build in rows], "nextToken": token}

    def _get(self, scope: Scope, text: str) -> Document | None:
        return self._documents.get(scope, _key(text.partition(":build/")[2] if text.startswith("arn:") else text))


def _key(build_id: str) -> str:
    """Return a build's name in the store, whose first part is the project."""
    return build_id.replace(":", "/", 1)


def _digest(parameters: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()


def _overridden(project: Document, parameters: dict[str, Any]) -> Document:
    """Return a project as a start of a build changes it."""
    settings = {**project, **{_OVERRIDES[one]: parameters[one] for one in _OVERRIDES if one in parameters}}
    settings["source"] = {
        **project["source"],
        **{_OF_SOURCE[one]: parameters[one] for one in _OF_SOURCE if one in parameters},
    }
    changed = {_OF_ENVIRONMENT[one]: parameters[one] for one in _OF_ENVIRONMENT if one in parameters}
    given = parameters.get("environmentVariablesOverride", [])
    check_variables(given)
    variables = {one["name"]: one for one in [*project["environment"].get("environmentVariables", []), *given]}
    settings["environment"] = {**project["environment"], **changed, "environmentVariables": [*variables.values()]}
    return settings


def _new_build(context: RequestContext, settings: Document, number: int, parameters: dict[str, Any]) -> Document:
    build_id, now = f"{settings['name']}:{uuid.uuid4()}", time.time()
    version = parameters.get("sourceVersion") or settings.get("sourceVersion")
    build: Document = {
        "id": build_id,
        "arn": context.arn("codebuild", f"build/{build_id}"),
        "buildNumber": number,
        "startTime": now,
        "CreationTime": now,
        "buildStatus": phases.IN_PROGRESS,
        "buildComplete": False,
        "projectName": settings["name"],
        "initiator": _initiator(context.caller),
        "phases": [],
        "artifacts": {"location": ""},
        "artifactSettings": settings["artifacts"],
        "exportedEnvironmentVariables": [],
    }
    if version:
        build["sourceVersion"] = version
    build |= {member: settings[member] for member in _KEPT if member in settings}
    build["logs"] = logs.location(context, build)
    if settings["artifacts"]["type"] == "S3":
        build["artifacts"]["location"] = f"arn:aws:s3:::{settings['artifacts']['location']}/{key_prefix(build)}"
    phases.begin(build, "SUBMITTED")
    phases.end(build, phases.SUCCEEDED)
    phases.begin(build, "QUEUED")
    return build


def _initiator(caller: str) -> str:
    """Return who started a build: a user's name, or role and session.

    https://docs.aws.amazon.com/codebuild/latest/APIReference/API_Build.html
    """
    kind, separator, name = caller.rpartition(":")[2].partition("/")
    return name if separator and kind in ("user", "assumed-role") else caller
