"""Reads SageMaker's resources for people: a page at a time, and nothing that needs a permission or is recorded."""

from typing import Any, NamedTuple

from local_aws.framework.api import JsonService, RequestContext, ServiceError
from local_aws.framework.store import Document, Scope, Store


class Found(NamedTuple):
    """A page of resources.

    :param documents: the newest first
    :param next: CreationTime and name of the last one, for the next page; None where there is none
    """

    documents: list[Document]
    next: tuple[float, str] | None


class SageMakerViews:
    """What the console shows of SageMaker; any thread may ask.

    :param store: where SageMaker keeps its documents
    :param service: SageMaker
    """

    def __init__(self, store: Store, service: JsonService) -> None:
        self._collections = {
            kind: store.collection(kind)
            for kind in ("training_jobs", "endpoints", "model_package_groups", "model_packages")
        }
        self._tags = store.collection("sagemaker_tags")
        self._service = service

    def tags(self, scope: Scope, arn: str) -> dict[str, str]:
        """Return the tags of a resource.

        :param scope: whose resource
        :param arn: of the resource
        """
        found: dict[str, str] = (self._tags.get(scope, arn) or {"tags": {}})["tags"]
        return found

    def count(self, scope: Scope, kind: str) -> int:
        """Count the resources of a kind.

        :param scope: whose resources
        :param kind: such as ``training_jobs``
        """
        return self._collections[kind].count(scope)

    def newest(
        self,
        scope: Scope,
        kind: str,
        count: int,
        before: tuple[float, str] | None = None,
        *,
        containing: str = "",
        group: str = "",
    ) -> Found:
        """Return a page of resources.

        :param scope: whose resources
        :param kind: such as ``training_jobs``
        :param count: of the page
        :param before: where the page before ended
        :param containing: only those with this text in their names
        :param group: of model packages, only those of this group
        """
        under = f"{group.lower()}/" if group else ""
        rows = self._collections[kind].newest(scope, count + 1, before, containing=containing.lower(), under=under)
        page = rows[:count]
        last = (page[-1][1].get("CreationTime", 0.0), page[-1][0]) if len(rows) > count else None
        return Found([document for _, document in page], last)

    def described(self, scope: Scope, operation: str, **parameters: Any) -> Document | None:
        """Return what a Describe operation of SageMaker answers, without asking IAM.

        :param scope: whose resource
        :param operation: such as ``DescribeTrainingJob``
        :param parameters: of the request
        :returns: None when SageMaker answers with an error
        """
        context = RequestContext(scope.account_id, scope.region)
        try:
            return self._service.operations[operation](context, parameters)
        except ServiceError:
            return None
