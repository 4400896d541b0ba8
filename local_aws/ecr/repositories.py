"""Repositories: their settings, policies and tags.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from local_aws.ecr.errors import foreign_registry, invalid, no_repository
from local_aws.ecr.names import repository_arn, repository_in, repository_uri
from local_aws.ecr.pages import page_of
from local_aws.ecr.repository_checks import check_exclusions, checked_tags, is_policy
from local_aws.framework.api import Operation, RequestContext, ServiceError
from local_aws.framework.service_parts import Resource, TagSearch
from local_aws.framework.store import Document, Scope, Store

_MUTABILITY = "imageTagMutability"
_EXCLUSIONS = "imageTagMutabilityExclusionFilters"
_SCANNING = "imageScanningConfiguration"
_ENCRYPTION = "encryptionConfiguration"
_POLICY = "policyText"


class Contents(Protocol):
    """The images of repositories."""

    def has_any(self, scope: Scope, repository: str) -> bool:
        """Tell whether a repository has an image."""

    def forget(self, scope: Scope, repository: str) -> None:
        """Delete the documents of all images of a repository."""

    def clear(self, scope: Scope, repository: str) -> None:
        """Delete the files of a repository that does not exist any more."""


class Repositories:
    """The operations on repositories.

    :param store: where they are kept
    """

    def __init__(self, store: Store) -> None:
        self._documents = store.collection("ecr_repositories")
        self._store = store
        # Held by whoever adds or removes images, so that no layer goes that a new image needs.
        self.lock = threading.RLock()
        # Set by whoever keeps the images.
        self.contents: Contents | None = None

    def operations(self) -> dict[str, Operation]:
        """Return the API's operations by name."""
        return {
            "CreateRepository": self._create,
            "DescribeRepositories": self._describe,
            "DeleteRepository": self._delete,
            "PutImageTagMutability": self._put_mutability,
            "PutImageScanningConfiguration": self._put_scanning,
            "GetRepositoryPolicy": self._get_policy,
            "SetRepositoryPolicy": self._set_policy,
            "DeleteRepositoryPolicy": self._delete_policy,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
        }

    def get(self, scope: Scope, parameters: dict[str, Any]) -> Document:
        """Read the repository that a request names.

        :param scope: account and region that ask
        :param parameters: the request: repositoryName, and perhaps registryId
        :raises ServiceError: there is no such repository
        """
        name, registry = parameters["repositoryName"], parameters.get("registryId", scope.account_id)
        if registry != scope.account_id:
            raise foreign_registry(repository_arn(Scope(registry, scope.region), name))
        found = self._documents.get(scope, name)
        if found is None:
            raise no_repository(name, registry)
        return found

    def change(self, scope: Scope, parameters: dict[str, Any], change: Callable[[Document], None]) -> Document:
        """Change the repository that a request names.

        :param scope: account and region that ask
        :param parameters: the request
        :param change: edits the document
        :raises ServiceError: there is no such repository
        """
        self.get(scope, parameters)
        changed = self._documents.update(scope, parameters["repositoryName"], change)
        if changed is None:
            raise no_repository(parameters["repositoryName"], scope.account_id)
        return changed

    def everywhere(self) -> Iterator[tuple[Scope, Document]]:
        """Read the repositories of all accounts and regions."""
        for scope, _, document in self._documents.everywhere():
            yield scope, document

    def tags_of(self, scope: Scope, arn: str) -> dict[str, str]:
        """Read the tags of a repository; none where it does not exist.

        :param scope: its account and region
        :param arn: its ARN
        """
        found = self._documents.get(scope, repository_in(arn)) or {"tags": {}}
        return dict(found["tags"])

    def policy_of(self, scope: Scope, arn: str) -> str:
        """Read a repository's own policy, whose statements are all about the repository; empty where it has none.

        :param scope: its account and region
        :param arn: its ARN
        """
        return str((self._documents.get(scope, repository_in(arn)) or {}).get(_POLICY, ""))

    def tagged(self, scope: Scope, search: TagSearch) -> Iterator[Resource]:
        """Read ARN and tags of repositories.

        :param scope: the account and region
        :param search: which
        """
        found = self._documents.list(scope)
        return search.among((repository_arn(scope, one["repositoryName"]), one["tags"]) for one in found)

    # --- operations -----------------------------------------------------------------------------------------------

    def _create(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        name, registry = parameters["repositoryName"], parameters.get("registryId", context.account_id)
        if registry != context.account_id:
            raise invalid(f"The registry with id '{registry}' is not this account's.")
        tags = checked_tags({}, parameters.get("tags", []), context)
        encryption = {"encryptionType": "AES256", **parameters.get(_ENCRYPTION, {})}
        if "kmsKey" in encryption and not encryption["encryptionType"].startswith("KMS"):
            raise invalid("Invalid parameter at 'encryptionConfiguration': kmsKey is for encryption with KMS only")
        document: Document = {
            "repositoryName": name,
            "CreationTime": time.time(),
            _MUTABILITY: parameters.get(_MUTABILITY, "MUTABLE"),
            _SCANNING: {"scanOnPush": False, **parameters.get(_SCANNING, {})},
            _ENCRYPTION: encryption,
            "tags": tags,
        }
        check_exclusions(parameters)
        if _EXCLUSIONS in parameters:
            document[_EXCLUSIONS] = parameters[_EXCLUSIONS]
        if not self._documents.create(context, name, document):
            raise ServiceError(
                "RepositoryAlreadyExistsException",
                f"The repository with name '{name}' already exists in the registry with id '{registry}'",
            )
        return {"repository": _described(context, document)}

    def _describe(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        if names := parameters.get("repositoryNames"):
            found = [self.get(context, {**parameters, "repositoryName": name}) for name in names]
            return {"repositories": [_described(context, document) for document in found]}
        rows, token = page_of(self._documents, context, parameters)
        return {"repositories": [_described(context, document) for _, document in rows], "nextToken": token}

    def _delete(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        name = parameters["repositoryName"]
        document = self.get(context, parameters)

        def remove() -> None:
            assert self.contents is not None  # noqa: S101 (set when the service is built)
            if self.contents.has_any(context, name) and not parameters.get("force"):
                raise ServiceError(
                    "RepositoryNotEmptyException",
                    f"The repository with name '{name}' in registry with id '{context.account_id}' cannot be deleted"
                    " because it still contains images",
                )
            self.contents.forget(context, name)
            self._documents.delete(context, name)

        with self.lock:
            self._store.together(remove)
            if self.contents is not None:
                self.contents.clear(context, name)
        return {"repository": _described(context, document)}

    def _put_mutability(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        check_exclusions(parameters)

        def change(document: Document) -> None:
            document[_MUTABILITY] = parameters[_MUTABILITY]
            document.pop(_EXCLUSIONS, None)
            if _EXCLUSIONS in parameters:
                document[_EXCLUSIONS] = parameters[_EXCLUSIONS]

        return _of(context, self.change(context, parameters, change))

    def _put_scanning(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        wanted = {"scanOnPush": False, **parameters[_SCANNING]}
        return _of(context, self.change(context, parameters, lambda document: document.update({_SCANNING: wanted})))

    # --- the repository's policy ----------------------------------------------------------------------------------

    def _get_policy(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        return _of(context, self._with_policy(context, parameters))

    def _set_policy(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        text = parameters[_POLICY]
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not is_policy(found):
            # https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policies.html
            raise invalid(
                "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'"
            )
        return _of(context, self.change(context, parameters, lambda document: document.update({_POLICY: text})))

    def _delete_policy(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        before = self._with_policy(context, parameters)
        self.change(context, parameters, lambda document: document.pop(_POLICY, None))
        return _of(context, before)

    def _with_policy(self, scope: Scope, parameters: dict[str, Any]) -> Document:
        found = self.get(scope, parameters)
        if _POLICY not in found:
            raise ServiceError(
                "RepositoryPolicyNotFoundException",
                f"Repository policy does not exist for the repository with name '{found['repositoryName']}' in the"
                f" registry with id '{scope.account_id}'",
            )
        return found

    # --- tags -----------------------------------------------------------------------------------------------------

    def _tag(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        def change(document: Document) -> None:
            document["tags"] = checked_tags(document["tags"], parameters["tags"], context)

        self.change(context, _named(parameters), change)
        return {}

    def _untag(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        def change(document: Document) -> None:
            for key in parameters["tagKeys"]:
                document["tags"].pop(key, None)

        self.change(context, _named(parameters), change)
        return {}

    def _list_tags(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        tags = self.get(context, _named(parameters))["tags"]
        return {"tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]}


def _named(parameters: dict[str, Any]) -> dict[str, Any]:
    name = repository_in(parameters["resourceArn"])
    if not name:
        raise invalid("Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'")
    return {"repositoryName": name}


def _of(scope: Scope, document: Document) -> dict[str, Any]:
    return {**document, "registryId": scope.account_id}


def _described(scope: Scope, document: Document) -> dict[str, Any]:
    name = document["repositoryName"]
    return {
        **_of(scope, document),
        "repositoryArn": repository_arn(scope, name),
        "repositoryUri": repository_uri(scope, name),
        "createdAt": document["CreationTime"],
    }
