"""What SageMaker's resources have in common: names, ARNs, times and the texts of their errors.

The texts are SageMaker's own; clients recognise a missing resource by them, because all errors have the same code.
"""

import time
from dataclasses import dataclass
from typing import Any

from local_aws.framework.api import ServiceError
from local_aws.framework.store import Collection, Document, Scope, Store

# The member of a model that names its role; what an endpoint has to run for the model says it too.
EXECUTION_ROLE = "ExecutionRoleArn"
NETWORK_ISOLATION = "EnableNetworkIsolation"


def now() -> float:
    """Return the time as documents store it, in epoch seconds."""
    return time.time()


def invalid(message: str) -> ServiceError:
    """Make the error that SageMaker answers in most cases.

    :param message: the text
    :returns: a ``ValidationException``
    """
    return ServiceError("ValidationException", message)


@dataclass(frozen=True)
class ResourceKind:
    """A kind of named resource and the documents that hold it.

    Names differ by more than case, and ARNs are in lower case:
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html

    :param documents: where the resources are kept, by lower-case name
    :param arn_type: the resource type in an ARN, such as ``endpoint-config``
    :param title: the same in the texts of errors, such as ``endpoint configuration``
    """

    documents: Collection
    arn_type: str
    title: str

    @classmethod
    def models(cls, store: Store) -> "ResourceKind":
        """Return the kind of resource that CreateModel makes."""
        return cls(store.collection("models"), "model", "model")

    @classmethod
    def endpoint_configs(cls, store: Store) -> "ResourceKind":
        """Return the kind of resource that CreateEndpointConfig makes."""
        return cls(store.collection("endpoint_configs"), "endpoint-config", "endpoint configuration")

    @classmethod
    def endpoints(cls, store: Store) -> "ResourceKind":
        """Return the kind of resource that CreateEndpoint makes."""
        return cls(store.collection("endpoints"), "endpoint", "endpoint")

    def arn(self, scope: Scope, name: str) -> str:
        """Return the ARN of a resource.

        :param scope: its account and region
        :param name: its name
        """
        return scope.arn("sagemaker", f"{self.arn_type}/{name.lower()}")

    def create(self, scope: Scope, name: str, document: Document) -> None:
        """Write a new resource.

        :param scope: its account and region
        :param name: its name
        :param document: the resource's document
        :raises ServiceError: the name is taken
        """
        if not self.documents.create(scope, name.lower(), document):
            raise invalid(f'Cannot create already existing {self.title} "{self.arn(scope, name)}".')

    def get(self, scope: Scope, name: str) -> Document:
        """Read a resource.

        :param scope: its account and region
        :param name: its name
        :returns: its document
        :raises ServiceError: there is none
        """
        document = self.documents.get(scope, name.lower())
        if document is None:
            raise self.missing(scope, name)
        return document

    def delete(self, scope: Scope, name: str) -> None:
        """Remove a resource.

        :param scope: its account and region
        :param name: its name
        :raises ServiceError: there is none
        """
        if not self.documents.delete(scope, name.lower()):
            raise self.missing(scope, name)

    def missing(self, scope: Scope, name: str) -> ServiceError:
        """Make the error for a name without a resource.

        :param scope: the account and region looked in
        :param name: the name
        """
        return invalid(f'Could not find {self.title} "{self.arn(scope, name)}".')


def without(parameters: dict[str, Any], *members: str) -> dict[str, Any]:
    """Return a request's parameters without these members.

    :param parameters: of a request
    :param members: those to leave out
    :returns: the others
    """
    return {name: value for name, value in parameters.items() if name not in members}
