"""boto3's clients of CodeBuild itself and of the roles of builds."""

from dataclasses import dataclass
from typing import Any

from botocore.credentials import Credentials

from local_aws.compute.base import new_client
from local_aws.framework.store import Scope

# Names CodeBuild in AWS's logs, and says which service the keys of this process stand for.
USER_AGENT = "codebuild.amazonaws.com"
_SESSION_SECONDS = 3600


@dataclass(frozen=True)
class Session:
    """The credentials of a role's session.

    :param scope: account and region
    :param endpoint_url: of this local AWS
    """

    scope: Scope
    endpoint_url: str
    access_key_id: str
    secret_access_key: str
    token: str

    def client(self, service: str) -> Any:
        """Return a client of the session.

        :param service: boto3's name for it
        """
        credentials = Credentials(self.access_key_id, self.secret_access_key, self.token or None)
        return new_client(service, self.scope.region, self.endpoint_url, USER_AGENT, credentials)

    def variables(self) -> dict[str, str]:
        """Return the environment by which AWS's clients find the session."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": self.token,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_DEFAULT_REGION": self.scope.region,
            "AWS_REGION": self.scope.region,
        }


class Sessions:
    """Starts sessions of roles.

    :param endpoint_url: of this local AWS
    :param secret: of the accounts' own keys
    """

    def __init__(self, endpoint_url: str, secret: str) -> None:
        self._endpoint_url = endpoint_url
        self._secret = secret

    def assume(self, scope: Scope, role_arn: str, name: str) -> Session:
        """Start a session of a role as CodeBuild.

        :param scope: account and region
        :param role_arn: the role
        :param name: of the session
        :raises ClientError: the role does not trust CodeBuild
        """
        sts = new_client(
            "sts", scope.region, self._endpoint_url, USER_AGENT, Credentials(scope.account_id, self._secret)
        )
        answer = sts.assume_role(RoleArn=role_arn, RoleSessionName=name[:64], DurationSeconds=_SESSION_SECONDS)
        found = answer["Credentials"]
        return Session(scope, self._endpoint_url, found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
