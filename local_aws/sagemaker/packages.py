"""The container that a model gets from a package of the Model Registry."""

from typing import Any

from local_aws.framework.api import Operation, RequestContext
from local_aws.framework.store import Scope
from local_aws.sagemaker.resources import invalid


class PackageContainers:
    """Looks up the containers of model packages.

    https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-deploy.html

    :param describe: the registry's DescribeModelPackage
    """

    def __init__(self, describe: Operation) -> None:
        self._describe = describe

    def container(self, scope: Scope, package_name: str) -> dict[str, Any]:
        """Read the container of an approved model package.

        :param scope: the account and region that ask
        :param package_name: ARN of the model package
        :returns: its Image, and perhaps ModelDataUrl and Environment
        :raises ServiceError: there is no such package, it is not approved, or it has no container
        """
        context = RequestContext(scope.account_id, scope.region)
        package = self._describe(context, {"ModelPackageName": package_name})
        if package.get("ModelApprovalStatus", "Approved") != "Approved":
            raise invalid(
                f"Model package {package_name} has approval status {package['ModelApprovalStatus']}."
                " A model can be created from an Approved model package only."
            )
        containers = package.get("InferenceSpecification", {}).get("Containers", [])
        if not containers:
            raise invalid(f"Model package {package_name} has no InferenceSpecification with a container.")
        return {
            member: containers[0][member]
            for member in ("Image", "ModelDataUrl", "Environment")
            if member in containers[0]
        }
