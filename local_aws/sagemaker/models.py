"""Models: an image, its artifact and its environment.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModel.html
"""

from typing import Any

from local_aws.framework.api import Operation, RequestContext
from local_aws.framework.listing import page_of
from local_aws.framework.store import Document, Scope, Store
from local_aws.sagemaker.images import ImageCheck
from local_aws.sagemaker.objects import ObjectCheck
from local_aws.sagemaker.packages import PackageContainers
from local_aws.sagemaker.resources import EXECUTION_ROLE, NETWORK_ISOLATION, ResourceKind, invalid, now, without
from local_aws.sagemaker.tags import Tags, check

_OFFERED = frozenset({"ContainerHostname", "Image", "ModelDataUrl", "Environment", "ModelPackageName", "Mode"})


class Models:
    """The model operations.

    :param store: where models are kept
    :param tags: of all resources
    :param objects: checks objects in S3
    :param images: checks images
    :param packages: reads the Model Registry
    """

    def __init__(
        self, store: Store, tags: Tags, objects: ObjectCheck, images: ImageCheck, packages: PackageContainers
    ) -> None:
        self._kind = ResourceKind.models(store)
        self._tags = tags
        self._objects = objects
        self._images = images
        self._packages = packages

    def operations(self) -> dict[str, Operation]:
        """Return the API's operations by name."""
        return {
            "CreateModel": self._create,
            "DescribeModel": lambda context, parameters: self._kind.get(context, parameters["ModelName"]),
            "ListModels": self._list,
            "DeleteModel": self._delete,
        }

    def container(self, scope: Scope, model_name: str) -> dict[str, Any]:
        """Read what an endpoint has to run for a model.

        :param scope: the model's account and region
        :param model_name: its name
        :returns: a container definition with Image and perhaps ModelDataUrl, Environment, role and isolation
        :raises ServiceError: there is no such model, or its model package is gone
        """
        model = self._kind.get(scope, model_name)
        container = model["PrimaryContainer"] if "PrimaryContainer" in model else model["Containers"][0]
        whole = {member: model[member] for member in (EXECUTION_ROLE, NETWORK_ISOLATION) if member in model}
        if "ModelPackageName" not in container:
            return {**container, **whole}
        packaged = self._packages.container(scope, container["ModelPackageName"])
        environment = packaged.get("Environment", {}) | container.get("Environment", {})
        return {**packaged, "Environment": environment, **whole}

    def _create(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        check(parameters.get("Tags", []), context)
        for container in _containers(parameters):
            self._check_container(context, container, parameters.get(EXECUTION_ROLE))
        name = parameters["ModelName"]
        arn = self._kind.arn(context, name)
        document: Document = {
            NETWORK_ISOLATION: False,
            **without(parameters, "Tags"),
            "ModelArn": arn,
            "CreationTime": now(),
        }
        self._kind.create(context, name, document)
        self._tags.attach(context, arn, parameters.get("Tags"))
        return {"ModelArn": arn}

    def _check_container(self, context: RequestContext, container: dict[str, Any], role_arn: str | None) -> None:
        unknown = sorted(container.keys() - _OFFERED)
        if unknown or container.get("Mode") == "MultiModel":
            raise invalid(
                f"The local AWS offers no {', '.join(unknown) or 'MultiModel mode'} in a container definition."
            )
        packaged = "ModelPackageName" in container
        if packaged == ("Image" in container) or (packaged and "ModelDataUrl" in container):
            raise invalid("Specify one of either Image and Model Data URL or ModelPackageName in container definition.")
        if packaged:
            container = self._packages.container(context, container["ModelPackageName"])
        elif "ModelDataUrl" in container:
            self._objects.require_object(context, container["ModelDataUrl"], role_arn)
        self._images.require_image(context, container["Image"], role_arn)

    def _list(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        models, token = page_of(
            self._kind.documents,
            context,
            parameters,
            name_field="ModelName",
            sort_fields={"Name": "ModelName", "CreationTime": "CreationTime"},
        )
        return {"Models": models, "NextToken": token}

    def _delete(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        self._kind.delete(context, parameters["ModelName"])
        self._tags.detach(context, self._kind.arn(context, parameters["ModelName"]))
        return {}


def _containers(parameters: dict[str, Any]) -> list[dict[str, Any]]:
    listed = parameters.get("Containers", [])
    if ("PrimaryContainer" in parameters) == bool(listed):
        raise invalid("Specify one of either PrimaryContainer or Containers.")
    if len(listed) > 1:
        raise invalid("The local AWS offers no inference pipelines: give one container.")
    return listed or [parameters["PrimaryContainer"]]
