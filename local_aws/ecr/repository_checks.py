"""What ECR refuses of a repository's settings, policy and tags."""

from typing import Any

from local_aws.ecr.errors import invalid
from local_aws.framework.api import RequestContext, ServiceError
from local_aws.framework.cloudformation import CLOUDFORMATION

MAXIMUM_TAGS = 50


def checked_tags(before: dict[str, str], tags: list[dict[str, str]], context: RequestContext) -> dict[str, str]:
    """Add tags to those of a repository.

    :param before: those that it has
    :param tags: the request's
    :param context: who asks
    :returns: all of them
    :raises ServiceError: a key twice or of AWS's own, or too many
    """
    keys = [tag["Key"] for tag in tags]
    if len(keys) != len(set(keys)):
        raise ServiceError("InvalidTagParameterException", "Duplicate tag keys are not allowed")
    if context.via != CLOUDFORMATION and any(key.lower().startswith("aws:") for key in keys):
        raise ServiceError("InvalidTagParameterException", "Tag keys that begin with aws: are for AWS's own use")
    after = {**before, **{tag["Key"]: tag.get("Value", "") for tag in tags}}
    if len(after) > MAXIMUM_TAGS:
        raise ServiceError("TooManyTagsException", f"A repository has {MAXIMUM_TAGS} tags at most")
    return after


def is_policy(document: Any) -> bool:
    """Tell whether a document has the form of a policy, whose statements name principals and no resource.

    :param document: what was sent
    """
    found = document.get("Statement") if isinstance(document, dict) else None
    statements = [found] if isinstance(found, dict) else found
    return isinstance(statements, list) and all(
        isinstance(one, dict) and {"Action", "Effect", "Principal"} <= one.keys() for one in statements
    )


def check_exclusions(parameters: dict[str, Any]) -> None:
    """Refuse filters where nothing is excluded from.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html

    :param parameters: of a request
    :raises ServiceError: there are filters and nothing to exclude from, or the other way round
    """
    wants = parameters.get("imageTagMutability", "").endswith("_WITH_EXCLUSION")
    if ("imageTagMutabilityExclusionFilters" in parameters) != wants:
        raise invalid("imageTagMutabilityExclusionFilters go with a mutability WITH_EXCLUSION, and only with it")
