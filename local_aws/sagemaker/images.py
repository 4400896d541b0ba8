"""SageMaker's checks of images before it accepts a request.

The registry's own policy is not known here: only what the role is allowed counts.
"""

import re
from collections.abc import Callable

from botocore.exceptions import ClientError

from local_aws.compute.base import ComputeSettings
from local_aws.compute.docker.registry import NotInRegistry, Reference, manifest, reference
from local_aws.compute.images import algorithm
from local_aws.framework.authorization import Needed
from local_aws.framework.store import Scope
from local_aws.sagemaker.resources import invalid

# Whether a role is allowed an action.
May = Callable[[Scope, str, Needed], bool]

# https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createtrainingjob-perms
_PULLING = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/(?P<repository>[a-z0-9._/-]+)"
)


class ImageCheck:
    """Checks whether an image exists, and whether a role may pull it.

    :param may: asks IAM
    :param settings: where ECR is
    """

    def __init__(self, may: May, settings: ComputeSettings) -> None:
        self._may = may
        self._settings = settings

    def require_image(self, scope: Scope, image: str, role_arn: str | None) -> None:
        """Refuse an image that the account's own registry has not, as CreateModel does.

        https://github.com/aws-samples/easy-amazon-sagemaker-deployments/issues/4 has the text.

        :param scope: account and region that ask
        :param image: its URI
        :param role_arn: the role of the model
        :raises ServiceError: with AWS's text
        """
        if self._missing(scope, image, role_arn):
            raise invalid(f"Requested image {image} not found.")

    def require_training_image(self, scope: Scope, image: str, role_arn: str) -> None:
        """Refuse an image that the account's own registry has not, as CreateTrainingJob does.

        https://github.com/aws/amazon-sagemaker-examples/issues/2534 has the text about a repository,
        https://github.com/aws/amazon-sagemaker-examples/issues/1476 and
        https://github.com/aws/amazon-sagemaker-examples/issues/2450 that about an image.

        :param scope: account and region that ask
        :param image: its URI
        :param role_arn: the role of the job
        :raises ServiceError: with AWS's text
        """
        missing = self._missing(scope, image, role_arn)
        if missing is None:
            return
        name, why = missing
        pulls = f"and role {role_arn} has proper pull permissions for SageMaker: {', '.join(_PULLING)}"
        if isinstance(why, ClientError) and why.response["Error"]["Code"] == "RepositoryNotFoundException":
            raise invalid(
                f"Cannot find repository: {name.repository} in registry ID: {name.account} Please check if your ECR "
                f"repository exists {pulls}"
            )
        raise invalid(
            f"Cannot find the requested image: {image} with tag: {name.tag or 'null'} and digest: "
            f"{name.digest or 'null'}. Please check if your ECR image exists {pulls}"
        )

    def _missing(self, scope: Scope, image: str, role_arn: str | None) -> tuple[Reference, Exception] | None:
        """Look an image up as a role; None for one that is there, is built in, or is another account's."""
        name = reference(image)
        if name is None or name.account != scope.account_id or algorithm(image):
            return None
        client = self._settings.client("ecr", scope.account_id, name.region, role_arn or "")
        try:
            manifest(client, name)
        except (ClientError, NotInRegistry) as error:
            return name, error
        return None

    def require_pull(self, scope: Scope, image: str, role_arn: str) -> None:
        """Refuse an image in ECR that the role may not pull, as CreateTrainingJob does.

        https://github.com/wpilibsuite/DetectCoral/issues/37 has the text.

        :param scope: account and region that ask
        :param image: its URI
        :param role_arn: the role of the job
        :raises ServiceError: with AWS's text
        """
        match = _ECR.match(image)
        if match is None:
            return
        account, region, repository = match.groups()
        arn = f"arn:aws:ecr:{region}:{account}:repository/{repository}"
        if not all(self._may(scope, role_arn, Needed(action, arn)) for action in _PULLING):
            raise invalid(
                f"Access denied for repository: {repository} in registry ID: {account}. Please check if your ECR"
                f" repository and image exist and role {role_arn} has proper pull permissions for SageMaker: "
                + ", ".join(_PULLING)
            )
