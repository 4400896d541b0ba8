"""The images of endpoints' variants, pulled as the role of their models."""

from local_aws.compute.base import Compute, ComputeSettings, ContainerFailed, EndpointKey, UnknownImage, VariantSpec


def pull_image(settings: ComputeSettings, compute: Compute, key: EndpointKey, variant: VariantSpec) -> str:
    """Pull a variant's image.

    :param settings: where ECR is
    :param compute: pulls
    :param key: of the endpoint
    :param variant: names the image and the role
    :returns: the URI with the digest; that of a built-in algorithm as it is
    :raises ContainerFailed: it cannot be pulled; https://github.com/aws/sagemaker-python-sdk/issues/1835 has the text
    """
    registry = settings.client("ecr", key.account_id, key.region, variant.role_arn)
    try:
        return compute.pull(registry, variant.image)
    except UnknownImage as error:
        # What is in parentheses is ours.
        raise ContainerFailed(
            f"Please make sure all images included in the model for the production variant {variant.name} exist, and "
            f"that the execution role used to create the model has permissions to access them. ({error})"
        ) from error
