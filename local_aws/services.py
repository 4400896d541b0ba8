"""The list of the services added to the host."""

from local_aws import tagging
from local_aws.autoscaling import service as autoscaling
from local_aws.codebuild import service as codebuild
from local_aws.ecr import service as ecr
from local_aws.framework.disk import Disk
from local_aws.framework.service_parts import ServiceParts
from local_aws.framework.store import Store
from local_aws.sagemaker import service as sagemaker
from local_aws.settings import Settings


def build(settings: Settings, store: Store, disk: Disk) -> list[ServiceParts]:
    """Build every added service.

    :param settings: how this local AWS runs
    :param store: where they keep their documents
    :param disk: the disk of the state folder
    :returns: the services, in the order they are started
    """
    sagemaker_parts = sagemaker.build(store, settings)
    parts = [
        sagemaker_parts,
        autoscaling.build(store, sagemaker_parts.service, settings),
        ecr.build(store, settings),
        codebuild.build(store, settings, disk),
    ]
    return [*parts, tagging.build([part.tagged for part in parts if part.tagged])]
