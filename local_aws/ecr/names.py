"""How ECR's resources are named: in ARNs, in documents and on disk."""

from local_aws.framework.store import Scope

_ARN_TYPE = "repository/"


def family(repository: str) -> str:
    """Return what the names of all documents of a repository begin with.

    The first slash ends it, since a repository's name has slashes itself and no colon.

    :param repository: its name
    """
    return f"{repository.replace('/', ':')}/"


def repository_arn(scope: Scope, repository: str) -> str:
    """Return the ARN of a repository.

    :param scope: its account and region
    :param repository: its name
    """
    return scope.arn("ecr", f"{_ARN_TYPE}{repository}")


def repository_in(arn: str) -> str:
    """Return the name of the repository with an ARN; an empty text where the ARN is of something else.

    :param arn: of the repository
    """
    resource = arn.split(":", 5)[-1]
    return resource.removeprefix(_ARN_TYPE) if resource.startswith(_ARN_TYPE) else ""


def repository_uri(scope: Scope, repository: str) -> str:
    """Return the URI by which images of a repository are pulled.

    :param scope: its account and region
    :param repository: its name
    """
    return f"{scope.account_id}.dkr.ecr.{scope.region}.amazonaws.com/{repository}"
