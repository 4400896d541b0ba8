"""The errors of ECR, in its words.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_Operations.html has the codes.
"""

from local_aws.framework.api import ServiceError


def invalid(message: str) -> ServiceError:
    """Make the error for a parameter that is wrong.

    :param message: the text
    """
    return ServiceError("InvalidParameterException", message)


def no_repository(name: str, registry_id: str) -> ServiceError:
    """Make the error for a repository that does not exist.

    :param name: its name
    :param registry_id: the account that was asked
    """
    return ServiceError(
        "RepositoryNotFoundException",
        f"The repository with name '{name}' does not exist in the registry with id '{registry_id}'",
    )


def foreign_registry(arn: str) -> ServiceError:
    """Make the error for a repository of another account, which has no policy that lets this one in.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policy-examples.html

    :param arn: the repository's
    """
    return ServiceError(
        "AccessDeniedException", f"No policy of the resource {arn} allows it to be used by another account"
    )


def no_image(identifier: dict[str, str], repository: str, registry_id: str) -> ServiceError:
    """Make the error for an image that does not exist.

    :param identifier: imageDigest, imageTag or both
    :param repository: its name
    :param registry_id: the account
    """
    digest, tag = (f"'{identifier[name]}'" if name in identifier else "null" for name in ("imageDigest", "imageTag"))
    return ServiceError(
        "ImageNotFoundException",
        f"The image with imageId {{imageDigest:{digest}, imageTag:{tag}}} does not exist within the repository with"
        f" name '{repository}' in the registry with id '{registry_id}'",
    )
