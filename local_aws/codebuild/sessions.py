"""boto3's clients of CodeBuild itself and of the roles of builds."""

from dataclasses import dataclass
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader

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
        return _client(
            service, self.scope, self.endpoint_url, self.access_key_id, self.secret_access_key, self.token or None
        )

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
        sts = _client("sts", scope, self._endpoint_url, scope.account_id, self._secret, None)
        answer = sts.assume_role(RoleArn=role_arn, RoleSessionName=name[:64], DurationSeconds=_SESSION_SECONDS)
        found = answer["Credentials"]
        return Session(scope, self._endpoint_url, found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


# Reads the models of services once for all clients, which takes most of the time of making one.
_LOADER = Loader()


def _client(service: str, scope: Scope, endpoint_url: str, key: str, secret: str, token: str | None) -> Any:
    # A session of its own, because one must not make two clients at the same time.
    core: Any = botocore.session.get_session()
    core.register_component("data_loader", _LOADER)
    session: Any = boto3.session.Session(botocore_session=core)
    return session.client(
        service,
        endpoint_url=endpoint_url,
        region_name=scope.region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(
            user_agent_extra=USER_AGENT,
            retries={"mode": "standard", "max_attempts": 5},
            s3={"addressing_style": "path"},
            response_checksum_validation="when_required",
            request_checksum_calculation="when_required",
        ),
    )
