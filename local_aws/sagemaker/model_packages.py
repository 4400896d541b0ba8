"""Model packages: versions of a model package group, and packages without a group.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
"""

import time
from typing import Any

from local_aws.framework.api import Operation, RequestContext, ServiceError
from local_aws.framework.listing import FAMILY_ORDER, page_of
from local_aws.framework.store import FAMILY, Conditions, Document, Scope, Store
from local_aws.sagemaker.model_package_groups import ModelPackageGroups
from local_aws.sagemaker.tags import Tags, refuse_on_version

_MAX_METADATA = 50
# What UpdateModelPackage replaces as given.
_UPDATABLE = (
    "ModelApprovalStatus",
    "ApprovalDescription",
    "InferenceSpecification",
    "SourceUri",
    "ModelCard",
    "ModelLifeCycle",
    "ModelPackageRegistrationType",
)


class ModelPackages:
    """The operations on model packages.

    :param store: where they are kept
    :param tags: of SageMaker's resources
    :param groups: which the versioned ones belong to
    """

    def __init__(self, store: Store, tags: Tags, groups: ModelPackageGroups) -> None:
        # By the ARN's last part: "name" or "group/version", in lower case.
        self._packages = store.collection("model_packages")
        self._tokens = store.collection("model_package_client_tokens")
        self._tags = tags
        self._groups = groups

    def operations(self) -> dict[str, Operation]:
        """Return the API's operations by name."""
        return {
            "CreateModelPackage": self._create,
            "DescribeModelPackage": self._describe,
            "ListModelPackages": self._list,
            "UpdateModelPackage": self._update,
            "DeleteModelPackage": self._delete,
        }

    def _create(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        token = parameters.get("ClientToken")
        if token and (earlier := self._tokens.get(context, token)):
            return earlier
        if parameters.get("Tags") and parameters.get("ModelPackageGroupName"):
            refuse_on_version(_arn(context, f"{parameters['ModelPackageGroupName']}/1"))
        identity = self._identity(context, parameters)
        name = identity.pop("_name")
        now = time.time()
        given = {member: value for member, value in parameters.items() if member not in ("Tags", "ClientToken")}
        package = {
            **given,
            **identity,
            "ModelPackageArn": _arn(context, name),
            "CreationTime": now,
            "CreatedBy": _user(context),
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        }
        if not self._packages.create(context, name.lower(), package):
            raise ServiceError("ValidationException", f"Model package already exists: {package['ModelPackageArn']}")
        self._tags.attach(context, package["ModelPackageArn"], parameters.get("Tags"))
        if token:
            self._tokens.put(context, token, {"ModelPackageArn": package["ModelPackageArn"]})
        return package

    def _identity(self, scope: Scope, parameters: dict[str, Any]) -> dict[str, Any]:
        """Choose a package's name: its own, or its group's with the next version."""
        group_name, name = parameters.get("ModelPackageGroupName"), parameters.get("ModelPackageName")
        if group_name and name:
            raise ServiceError(
                "ValidationException",
                "Both ModelPackageName and ModelPackageGroupName are provided in the input."
                " Cannot determine which one to use.",
            )
        if name:
            return {"_name": name}
        if not group_name:
            raise ServiceError("ValidationException", "Missing ARN.")
        group = self._groups.get(scope, group_name)
        version = self._groups.next_version(scope, group)
        return {
            "_name": f"{group['ModelPackageGroupName']}/{version}",
            "ModelPackageGroupName": group["ModelPackageGroupName"],
            "ModelPackageVersion": version,
            "ModelApprovalStatus": parameters.get("ModelApprovalStatus", "PendingManualApproval"),
        }

    def _describe(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        return self._get(context, parameters["ModelPackageName"])

    def _list(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        kind = parameters.get("ModelPackageType", "Unversioned")
        family: str | None = None
        conditions: Conditions = []
        if group_name := parameters.get("ModelPackageGroupName"):
            family = f"{self._groups.get(context, group_name)['ModelPackageGroupName'].lower()}/"
        elif kind == "Unversioned":
            family = ""
        elif kind == "Versioned":
            # Versions are listed only with their group or by type.
            conditions.append((f"{FAMILY} > ?", ""))
        if status := parameters.get("ModelApprovalStatus"):
            conditions.append(("json_extract(body, '$.ModelApprovalStatus') = ?", status))
        page, token = page_of(
            self._packages,
            context,
            parameters,
            name_field="ModelPackageName",
            sort_fields={"Name": FAMILY_ORDER, "CreationTime": "CreationTime"},
            default_order="Ascending",
            family=family,
            conditions=conditions,
        )
        return {"ModelPackageSummaryList": page, "NextToken": token}

    def _update(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        def change(package: Document) -> None:
            metadata = {
                **package.get("CustomerMetadataProperties", {}),
                **parameters.get("CustomerMetadataProperties", {}),
            }
            for key in parameters.get("CustomerMetadataPropertiesToRemove", []):
                metadata.pop(key, None)
            if len(metadata) > _MAX_METADATA:
                raise ServiceError(
                    "ValidationException", f"A model package can have {_MAX_METADATA} customer metadata properties."
                )
            if metadata or "CustomerMetadataProperties" in package:
                package["CustomerMetadataProperties"] = metadata
            package.update({member: parameters[member] for member in _UPDATABLE if member in parameters})
            added = parameters.get("AdditionalInferenceSpecificationsToAdd", [])
            if added:
                package["AdditionalInferenceSpecifications"] = [
                    *package.get("AdditionalInferenceSpecifications", []),
                    *added,
                ]
            package["LastModifiedTime"], package["LastModifiedBy"] = time.time(), _user(context)

        name = _name(parameters["ModelPackageArn"])
        package = self._packages.update(context, name.lower(), change)
        if package is None:
            raise _missing(context, name)
        return package

    def _delete(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        package = self._get(context, parameters["ModelPackageName"])
        self._packages.delete(context, _name(package["ModelPackageArn"]))
        self._tags.detach(context, package["ModelPackageArn"])
        return {}

    def _get(self, scope: Scope, name_or_arn: str) -> Document:
        name = _name(name_or_arn)
        package = self._packages.get(scope, name.lower())
        if package is None:
            raise _missing(scope, name)
        return package


def _name(name_or_arn: str) -> str:
    return name_or_arn.partition(":model-package/")[2] or name_or_arn


def _arn(scope: Scope, name: str) -> str:
    return scope.arn("sagemaker", f"model-package/{name.lower()}")


def _missing(scope: Scope, name: str) -> ServiceError:
    return ServiceError("ValidationException", f"ModelPackage {_arn(scope, name)} does not exist.")


def _user(context: RequestContext) -> dict[str, Any]:
    """Return who made a change, as SageMaker does for callers outside of Studio.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UserContext.html
    """
    arn = context.caller if context.caller.startswith("arn:") else f"arn:aws:iam::{context.account_id}:root"
    return {"IamIdentity": {"Arn": arn, "PrincipalId": context.principal_id or context.caller}}
