"""Projects.

https://docs.aws.amazon.com/codebuild/latest/APIReference/API_CreateProject.html
"""

import time
from collections.abc import Iterator
from typing import Any

from local_aws.codebuild.errors import invalid, no_project
from local_aws.codebuild.project_checks import check_project, checked_tags
from local_aws.framework.api import Operation, RequestContext, ServiceError
from local_aws.framework.listing import page_by_name, paginate
from local_aws.framework.service_parts import Resource, TagSearch
from local_aws.framework.store import Document, Scope, Store

PAGE_SIZE = 100
_DEFAULT_TIMEOUT_MINUTES = 60
_DEFAULT_QUEUED_MINUTES = 480


def project_arn(scope: Scope, name: str) -> str:
    """Return the ARN of a project.

    :param scope: its account and region
    :param name: its name
    """
    return scope.arn("codebuild", f"project/{name}")


def project_in(text: str) -> str:
    """Return the name of a project that is named by its name or its ARN.

    :param text: either
    """
    return text.partition(":project/")[2] if text.startswith("arn:") else text


class Projects:
    """The operations on projects.

    :param store: where they are kept
    """

    def __init__(self, store: Store) -> None:
        self._documents = store.collection("codebuild_projects")

    def operations(self) -> dict[str, Operation]:
        """Return the API's operations by name."""
        return {
            "CreateProject": self._create,
            "UpdateProject": self._update,
            "DeleteProject": self._delete,
            "BatchGetProjects": self._batch_get,
            "ListProjects": self._list,
        }

    def get(self, scope: Scope, name: str) -> Document:
        """Read a project.

        :param scope: account and region
        :param name: its name or its ARN
        :raises ServiceError: there is none
        """
        found = self._documents.get(scope, project_in(name))
        if found is None:
            raise no_project(project_arn(scope, project_in(name)))
        return found

    def next_number(self, scope: Scope, name: str) -> int:
        """Count one more build of a project, and return its number.

        :param scope: account and region
        :param name: the project's name
        :raises ServiceError: there is no such project
        """
        changed = self._documents.update(
            scope, name, lambda document: document.update(builds=document.get("builds", 0) + 1)
        )
        if changed is None:
            raise no_project(project_arn(scope, name))
        return int(changed["builds"])

    def tags_of(self, scope: Scope, arn: str) -> dict[str, str]:
        """Read the tags of a project; none where it does not exist.

        :param scope: its account and region
        :param arn: its ARN
        """
        found = self._documents.get(scope, project_in(arn)) or {}
        return {tag["key"]: tag["value"] for tag in found.get("tags", [])}

    def tagged(self, scope: Scope, search: TagSearch) -> Iterator[Resource]:
        """Read ARN and tags of projects.

        :param scope: the account and region
        :param search: which
        """
        found = self._documents.list(scope)
        return search.among((one["arn"], {tag["key"]: tag["value"] for tag in one.get("tags", [])}) for one in found)

    # --- operations -----------------------------------------------------------------------------------------------

    def _create(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        name, now = parameters["name"], time.time()
        document: Document = {
            "timeoutInMinutes": _DEFAULT_TIMEOUT_MINUTES,
            "queuedTimeoutInMinutes": _DEFAULT_QUEUED_MINUTES,
            "encryptionKey": f"arn:aws:kms:{context.region}:{context.account_id}:alias/aws/s3",
            "cache": {"type": "NO_CACHE"},
            "badge": {"badgeEnabled": False},
            "projectVisibility": "PRIVATE",
            **parameters,
            "tags": checked_tags(parameters.get("tags", []), context),
            "arn": project_arn(context, name),
            "CreationTime": now,
            "created": now,
            "lastModified": now,
        }
        check_project(document)
        if not self._documents.create(context, name, document):
            raise ServiceError(
                "ResourceAlreadyExistsException", f"Project already exists: {project_arn(context, name)}"
            )
        return {"project": document}

    def _update(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        name = project_in(parameters["name"])
        changes = {member: value for member, value in parameters.items() if member != "name"}
        if "tags" in changes:
            changes["tags"] = checked_tags(changes["tags"], context)

        def change(document: Document) -> None:
            document |= {**changes, "lastModified": time.time()}
            check_project(document)

        changed = self._documents.update(context, name, change)
        if changed is None:
            raise no_project(project_arn(context, name))
        return {"project": changed}

    def _delete(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        # "DeleteProject" of what does not exist succeeds; its builds stay.
        self._documents.delete(context, project_in(parameters["name"]))
        return {}

    def _batch_get(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        found = {name: self._documents.get(context, project_in(name)) for name in parameters["names"]}
        return {
            "projects": [document for document in found.values() if document is not None],
            "projectsNotFound": [name for name, document in found.items() if document is None],
        }

    def _list(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        """List the names of projects, by name unless the request says otherwise."""
        token, descending = parameters.get("nextToken"), parameters.get("sortOrder") == "DESCENDING"
        by = {"CREATED_TIME": "created", "LAST_MODIFIED_TIME": "lastModified"}.get(parameters.get("sortBy", "NAME"))
        try:
            if by is None and not descending:
                rows, after = page_by_name(self._documents, context, PAGE_SIZE, token, under="", conditions=[])
                return {"projects": [name for name, _ in rows], "nextToken": after}
            page, after = paginate(
                self._documents.list(context),
                {"NextToken": token} if token is not None else {},
                key=lambda document: (document[by], document["name"]) if by else (document["name"],),
                descending=descending,
                default_size=PAGE_SIZE,
            )
        except ServiceError as error:
            raise invalid("Invalid nextToken") from error
        return {"projects": [document["name"] for document in page], "nextToken": after}
