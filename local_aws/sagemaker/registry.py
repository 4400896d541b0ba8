"""The Model Registry put together.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry.html
"""

from local_aws.framework.api import Operation
from local_aws.framework.store import Store
from local_aws.sagemaker.model_package_groups import ModelPackageGroups
from local_aws.sagemaker.model_packages import ModelPackages
from local_aws.sagemaker.tags import Tags


def operations(store: Store, tags: Tags) -> dict[str, Operation]:
    """Return the operations of the Model Registry by name.

    :param store: where groups and packages are kept
    :param tags: of SageMaker's resources
    """
    groups = ModelPackageGroups(store, tags)
    packages = ModelPackages(store, tags, groups)
    return {**groups.operations(), **packages.operations()}
