"""The account that is looked at: its clients, which can only read unless a flag allows more."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from slipway.command.stacks import ACCOUNT_STACK, IMAGES_STACK
from slipway.paths import set_up_template
from tools import models

# Operations that change nothing.
# https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
READS = re.compile(r"(Get|List|Describe|Head|Validate|Simulate|BatchGet)[A-Z]")
# https://docs.aws.amazon.com/general/latest/gr/rande.html
_AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


class NotAllowedError(Exception):
    """The command would do what nobody asked it for; the message says what."""


class Account:
    """One account in one region.

    :param session: of boto3, with the caller's credentials and region
    :param include: the folder with the set-up templates and the model files
    :param local: whether the endpoint may be another one than AWS's
    :param writes: operations beside those that read
    """

    def __init__(self, session: Any, include: Path, *, local: bool = False, writes: Iterable[str] = ()) -> None:
        self.session = session
        self.include = include
        self.local = local
        self.writes = frozenset(writes)
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """Return a client that refuses to send what it may not.

        :raises NotAllowedError: when its endpoint is not AWS's, unless the account is local
        """
        if service not in self._clients:
            from botocore.config import Config

            # Services that the local AWS does not have answer no better at another attempt.
            attempts = 1 if self.local else 5
            config = Config(retries={"mode": "standard", "total_max_attempts": attempts})
            made = self.session.client(service, config=config)
            host = urlsplit(made.meta.endpoint_url).hostname or ""
            if not self.local and not host.endswith(_AWS_HOSTS):
                raise NotAllowedError(
                    f"{service} would be asked at {made.meta.endpoint_url}, which is not AWS. Fix: unset "
                    "AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_<SERVICE>, or give --local"
                )
            made.meta.events.register("before-call", self._check)
            self._clients[service] = made
        return self._clients[service]

    def _check(self, model: Any, **_: Any) -> None:
        if not READS.match(model.name) and model.name not in self.writes:
            raise NotAllowedError(f"{model.name} is not sent: no flag allows it")

    @cached_property
    def identity(self) -> dict[str, str]:
        """The caller, by STS."""
        found: dict[str, str] = self.client("sts").get_caller_identity()
        return found

    @property
    def id(self) -> str:
        return self.identity["Account"]

    @property
    def region(self) -> str:
        return str(self.client("sts").meta.region_name)

    @property
    def partition(self) -> str:
        return self.identity["Arn"].split(":")[1]

    @property
    def domain(self) -> str:
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"

    @property
    def bucket(self) -> str:
        return f"mlops-{self.region}-{self.id}"

    @cached_property
    def models(self) -> models.ModelFiles:
        """The valid model files, and what is wrong with the others."""
        return models.read(self.include)

    @property
    def prefixes(self) -> list[str]:
        return self.models.prefixes

    @cached_property
    def model_files(self) -> list[dict[str, Any]]:
        """The valid model files, as they are written."""
        texts = (path.read_text(encoding="utf-8") for path in sorted((self.include / "models").glob("*.y*ml")))
        found = [yaml.safe_load(text) for text in texts]
        return [one for one in found if isinstance(one, dict) and one.get("prefix") in self.prefixes]

    @property
    def templates(self) -> dict[str, Path]:
        """The set-up templates by their stacks' names."""
        of_models = {f"slipway-model-{prefix}": set_up_template("model") for prefix in self.prefixes}
        of_images = {IMAGES_STACK: set_up_template("images")} if self.models.images else {}
        return {ACCOUNT_STACK: set_up_template("bootstrap"), **of_images, **of_models}

    def arn(self, service: str, resource: str) -> str:
        """Write the ARN of something of this account and region."""
        region = "" if service in ("iam", "s3") else self.region
        account = "" if service == "s3" else self.id
        return f"arn:{self.partition}:{service}:{region}:{account}:{resource}"
