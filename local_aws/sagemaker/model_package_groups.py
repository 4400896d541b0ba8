"""Model package groups: the API, and the CloudFormation resource type.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackageGroup.html
"""

import time
from typing import Any

from local_aws.framework.api import JsonService, Operation, RequestContext, ServiceError, service_model
from local_aws.framework.cloudformation import ResourceProgress, ResourceRequest
from local_aws.framework.coercion import coerced
from local_aws.framework.listing import page_of
from local_aws.framework.store import Document, Scope, Store
from local_aws.sagemaker.tags import Tags

RESOURCE_TYPE = "AWS::SageMaker::ModelPackageGroup"


class ModelPackageGroups:
    """The operations on model package groups.

    :param store: where they are kept
    :param tags: of SageMaker's resources
    """

    def __init__(self, store: Store, tags: Tags) -> None:
        self._groups = store.collection("model_package_groups")
        self._packages = store.collection("model_packages")
        self._tags = tags

    def operations(self) -> dict[str, Operation]:
        """Return the API's operations by name."""
        return {
            "CreateModelPackageGroup": self._create,
            "DescribeModelPackageGroup": self._describe,
            "ListModelPackageGroups": self._list,
            "DeleteModelPackageGroup": self._delete,
        }

    def get(self, scope: Scope, name_or_arn: str) -> Document:
        """Find a group.

        :param scope: account and region
        :param name_or_arn: either
        :returns: the group
        :raises ServiceError: there is none
        """
        name = name_or_arn.rpartition("/")[2]
        group = self._groups.get(scope, name.lower())
        if group is None:
            raise ServiceError("ValidationException", f"ModelPackageGroup {_arn(scope, name)} does not exist.")
        return group

    def next_version(self, scope: Scope, group: Document) -> int:
        """Return a group's next version; numbers of deleted versions are not used again.

        :param scope: account and region
        :param group: the group
        """

        def count(document: Document) -> None:
            document["LastVersion"] += 1

        changed = self._groups.update(scope, group["ModelPackageGroupName"].lower(), count)
        if changed is None:
            raise ServiceError(
                "ValidationException", f"ModelPackageGroup {group['ModelPackageGroupArn']} does not exist."
            )
        return changed["LastVersion"]

    def _create(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        name = parameters["ModelPackageGroupName"]
        group = {
            "ModelPackageGroupName": name,
            "ModelPackageGroupArn": _arn(context, name),
            "ModelPackageGroupDescription": parameters.get("ModelPackageGroupDescription"),
            "CreationTime": time.time(),
            "CreatedBy": {},
            "ModelPackageGroupStatus": "Completed",
            "LastVersion": 0,
        }
        if not self._groups.create(context, name.lower(), group):
            raise ServiceError(
                "ValidationException", f"Model Package Group already exists: {group['ModelPackageGroupArn']}"
            )
        self._tags.attach(context, _arn(context, name), parameters.get("Tags"))
        return group

    def _describe(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        return self.get(context, parameters["ModelPackageGroupName"])

    def _list(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        page, token = page_of(
            self._groups,
            context,
            parameters,
            name_field="ModelPackageGroupName",
            sort_fields={"Name": "ModelPackageGroupName", "CreationTime": "CreationTime"},
            default_order="Ascending",
        )
        return {"ModelPackageGroupSummaryList": page, "NextToken": token}

    def _delete(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        group = self.get(context, parameters["ModelPackageGroupName"])
        name = group["ModelPackageGroupName"]
        if self._packages.newest(context, 1, under=f"{name.lower()}/"):
            raise ServiceError(
                "ConflictException",
                f"Model Package Group {group['ModelPackageGroupArn']} cannot be deleted: it still has model packages.",
            )
        self._groups.delete(context, name.lower())
        self._tags.detach(context, group["ModelPackageGroupArn"])
        return {}


class ModelPackageGroupResource:
    """AWS::SageMaker::ModelPackageGroup.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sagemaker-modelpackagegroup.html

    :param service: SageMaker
    """

    replacing_properties = frozenset({"ModelPackageGroupName", "ModelPackageGroupDescription"})
    name_property: str | None = "ModelPackageGroupName"
    takes_tags = True

    def __init__(self, service: JsonService) -> None:
        self._service = service

    def create(self, request: ResourceRequest) -> ResourceProgress:
        """Make the group; its name is required."""
        parameters = _parameters(request)
        try:
            self._service.call(request.context, "CreateModelPackageGroup", parameters)
        except ServiceError as error:
            if not (request.again and error.message.startswith("Model Package Group already exists")):
                raise
        return self._progress(request.context, parameters["ModelPackageGroupName"])

    def update(self, request: ResourceRequest) -> ResourceProgress:
        """Change the tags; for all other changes CloudFormation replaces the group."""
        arn = request.physical_id or ""
        wanted = {tag["Key"]: tag["Value"] for tag in _parameters(request).get("Tags", [])}
        present = self._service.call(request.context, "ListTags", {"ResourceArn": arn, "MaxResults": 50})["Tags"]
        gone = [tag["Key"] for tag in present if tag["Key"] not in wanted]
        if gone:
            self._service.call(request.context, "DeleteTags", {"ResourceArn": arn, "TagKeys": gone})
        tags = [{"Key": key, "Value": value} for key, value in wanted.items()]
        self._service.call(request.context, "AddTags", {"ResourceArn": arn, "Tags": tags})
        return self._progress(request.context, arn)

    def delete(self, request: ResourceRequest) -> None:
        """Remove the group; a missing one is fine, one with packages is not."""
        try:
            self._service.call(
                request.context, "DeleteModelPackageGroup", {"ModelPackageGroupName": request.physical_id}
            )
        except ServiceError as error:
            if not error.message.endswith("does not exist."):
                raise

    def _progress(self, context: RequestContext, name_or_arn: str) -> ResourceProgress:
        group = self._service.call(context, "DescribeModelPackageGroup", {"ModelPackageGroupName": name_or_arn})
        attributes = {
            "ModelPackageGroupArn": group["ModelPackageGroupArn"],
            "ModelPackageGroupStatus": group["ModelPackageGroupStatus"],
            "CreationTime": str(group["CreationTime"]),
        }
        return ResourceProgress(group["ModelPackageGroupArn"], attributes)


def _parameters(request: ResourceRequest) -> dict[str, Any]:
    return coerced(
        service_model("sagemaker").operation_model("CreateModelPackageGroup").input_shape, request.properties
    )


def _arn(scope: Scope, name: str) -> str:
    return scope.arn("sagemaker", f"model-package-group/{name.lower()}")
