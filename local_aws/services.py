"""The list of the services added to the host."""

from local_aws.autoscaling import service as autoscaling
from local_aws.framework.service_parts import ServiceParts
from local_aws.framework.store import Store
from local_aws.sagemaker import service as sagemaker
from local_aws.sagemaker import tagging
from local_aws.settings import Settings


def build(settings: Settings, store: Store) -> list[ServiceParts]:
    """Build every added service.

    :param settings: how this local AWS runs
    :param store: where they keep their documents
    :returns: the services, in the order they are started
    """
    sagemaker_parts = sagemaker.build(store, settings)
    return [sagemaker_parts, autoscaling.build(store, sagemaker_parts.service, settings), tagging.build(store)]
