"""ECR put together."""

from local_aws.ecr.blobs import Blobs
from local_aws.ecr.cloudformation import RepositoryResource
from local_aws.ecr.descriptions import Descriptions
from local_aws.ecr.downloads import Downloads
from local_aws.ecr.image_operations import ImageOperations
from local_aws.ecr.images import Images
from local_aws.ecr.layers import Layers
from local_aws.ecr.lifecycle_policies import LifecyclePolicies
from local_aws.ecr.permissions import EcrPermissions
from local_aws.ecr.repositories import Repositories
from local_aws.ecr.scanning import Scanning
from local_aws.framework.api import JsonService, Operation
from local_aws.framework.cloudformation import ResourceType
from local_aws.framework.service_parts import ServiceParts
from local_aws.framework.store import Store
from local_aws.settings import Settings


def build(store: Store, settings: Settings) -> ServiceParts:
    """Build ECR.

    :param store: where its documents are kept
    :param settings: how this local AWS runs
    :returns: what the gateway needs of it
    """
    blobs = Blobs(settings.state_dir / "ecr")
    downloads = Downloads(settings.endpoint_url, settings.inside_secret, blobs)
    repositories = Repositories(store)
    layers = Layers(store, repositories, blobs, downloads)
    images = Images(store, repositories, layers, blobs)
    repositories.contents = images
    lifecycle = LifecyclePolicies(store, repositories, images, layers, settings.clock)
    scanning = Scanning(store, repositories, images, blobs, settings.state_dir / "advisories.json", settings.clock)
    images.on_write.append(scanning.written)
    images.on_delete.append(scanning.deleted)
    descriptions = Descriptions(repositories, images, scanning.summary)
    operations: dict[str, Operation] = {
        **repositories.operations(),
        **layers.operations(),
        **ImageOperations(store, repositories, images, blobs, lifecycle.wake).operations(),
        **descriptions.operations(),
        **lifecycle.operations(),
        **scanning.operations(),
    }
    service = JsonService("ecr", operations, invalid="InvalidParameterException")
    service.needs = EcrPermissions(repositories.tags_of, repositories.policy_of).needed
    types: dict[str, ResourceType] = {"AWS::ECR::Repository": RepositoryResource(service)}

    def start() -> None:
        scanning.start()
        lifecycle.start()

    def stop() -> None:
        lifecycle.close()
        scanning.close()

    return ServiceParts(service, types, start, stop, download=downloads.find, tagged=repositories.tagged)
