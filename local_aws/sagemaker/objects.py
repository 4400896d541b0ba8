"""SageMaker's checks of S3 before it accepts a request.

They run as the role that will read the data, as a client of the AWS that this process serves.
"""

from typing import Any

from botocore.exceptions import ClientError

from local_aws.compute.base import ComputeSettings
from local_aws.compute.s3 import split_url
from local_aws.framework.store import Scope
from local_aws.sagemaker.resources import invalid


class ObjectCheck:
    """Checks whether the data that a request names exists.

    :param settings: where S3 is
    """

    def __init__(self, settings: ComputeSettings) -> None:
        self._settings = settings

    def require_object(self, scope: Scope, url: str, role_arn: str | None) -> None:
        """Refuse a missing model artifact, as CreateModel does.

        :param scope: account and region that ask
        :param url: of one object
        :param role_arn: the role that would read it
        :raises ServiceError: there is no such object
        """
        bucket, key = split_url(url)
        try:
            self._client(scope, role_arn).head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                raise invalid(f"Could not find model data at {url}.") from error
            raise invalid(
                f"Could not access model data at {url}. Please ensure that the role"
                f' "{role_arn}" exists and that its trust relationship policy allows the action "sts:AssumeRole" for'
                ' the service principal "sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject"'
                f" permissions and that the object is located in {scope.region}."
            ) from error

    def require_prefix(self, scope: Scope, url: str, role_arn: str) -> None:
        """Refuse missing input data, as CreateTrainingJob does.

        :param scope: account and region that ask
        :param url: what the keys of the data begin with
        :param role_arn: the role that would read it
        :raises ServiceError: there are no such objects
        """
        bucket, prefix = split_url(url)
        try:
            found = (
                self._client(scope, role_arn).list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)["KeyCount"] > 0
            )
            reason = ""
        except ClientError as error:
            found, reason = False, f" Error message from S3: {error.response['Error'].get('Message', '')}"
        if not found:
            raise invalid(
                f'No S3 objects found under S3 URL "{url}" given in input data source. Please ensure that the bucket'
                f" exists in the selected region ({scope.region}), that objects exist under that S3 prefix, and that"
                f' the role "{role_arn}" has "s3:ListBucket" permissions on bucket "{bucket}".{reason}'
            )

    def _client(self, scope: Scope, role_arn: str | None) -> Any:
        return self._settings.client("s3", scope.account_id, scope.region, role_arn or "")
