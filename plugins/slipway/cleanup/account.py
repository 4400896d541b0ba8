"""What the endpoints of an account use: one document in S3 for its models of a bucket, kept up by those that collect.

A collection describes only the endpoints that have changed since the one before, of whatever model, and lists all of
them once a day. So its cost does not follow the size of the account. What is remembered of an endpoint that was deleted
keeps things for a day longer. Where many are new, as at the first look, those with another model's tag are left to that
model's collections: a release deploys only packages of its own model.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Self, TypedDict

from slipway import names
from slipway.aws.documents import S3Documents
from slipway.aws.endpoints import EndpointsHook, ListedEndpoint
from slipway.aws.placeholders import AwsIdentity
from slipway.cleanup.rules import InUse
from slipway.errors import AwsError, SlipwayError
from slipway.formats.stored import versioned
from slipway.states import ON_THE_WAY

log = logging.getLogger(__name__)

# How often all endpoints are listed, and how far two clocks or a late listing may be off.
_LISTED_EVERY = timedelta(days=1)
_OVERLAP = timedelta(minutes=10)
# One collection describes so many endpoints, by three calls each; the next one goes on.
_MOST = 500
# More new or changed endpoints than these are looked for among the tagged ones, of which one call finds a hundred.
_FEW = 10
# The tagging API's index may lag: what has changed since then is described.
_TAGS_KNOWN_AFTER = timedelta(hours=1)


class UsedBy(TypedDict):
    """What one endpoint uses, as it is stored: a dataclass for each of thousands would take longer than the rest.

    created: when it was made, ISO 8601; with the name it tells it from an earlier one.
    modified: when it had changed last as it was described.
    settled: whether it was not being changed then.
    names: its configurations and models.
    data_urls: S3 URIs of artefacts, or of folders of them.
    """

    created: str
    modified: str
    settled: bool
    names: list[str]
    data_urls: list[str]


class OfModel(TypedDict):
    """An endpoint of a model that has not collected since, as it is stored; it was not described.

    created, modified: as in UsedBy.
    model: the prefix in its tag.
    """

    created: str
    modified: str
    model: str


@dataclass(frozen=True)
class AccountUse:
    """What is remembered.

    :param looked: until when the changes of endpoints are known; None before the first look
    :param listed: when all endpoints were listed
    :param endpoints: by name
    """

    looked: str | None = None
    listed: str | None = None
    endpoints: dict[str, UsedBy | OfModel] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read what ``to_json`` returned; what cannot be read is found out again."""
        content = value if isinstance(value, Mapping) else {}
        looked, listed, endpoints = (content.get(one.name) for one in fields(cls))
        moments = all(one is None or _is_moment(one) for one in (looked, listed))
        if moments and isinstance(endpoints, dict) and all(map(_is_use, endpoints.values())):
            return cls(looked, listed, endpoints)
        return cls()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return versioned({one.name: getattr(self, one.name) for one in fields(self)})

    def in_use(self) -> InUse:
        """Return what the endpoints use."""
        every = self.endpoints.values()
        return InUse(
            frozenset(name for one in every if "names" in one for name in one["names"]),
            frozenset(url for one in every if "names" in one for url in one["data_urls"]),
        )


def _is_moment(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _is_use(value: Any) -> bool:
    """Tell whether an entry has all that a collection relies on."""
    if not isinstance(value, dict):
        return False
    if "model" in value:
        return {type(value.get(one)) for one in OfModel.__annotations__} == {str}
    if not isinstance(value.get("settled"), bool):
        return False
    used, urls = value.get("names"), value.get("data_urls")
    if not isinstance(used, list) or not isinstance(urls, list):
        return False
    return set(map(type, (value.get("created"), value.get("modified"), *used, *urls))) == {str}


class AccountSurvey:
    """Read what the endpoints of an account use.

    :param prefix: of the model that collects
    :param bucket: where the document is
    :param documents: S3
    :param sagemaker: SageMaker
    :param identity: finds out the account and the region
    :param owners: finds the prefixes in the tags of endpoints, by ARN in small letters
    """

    def __init__(
        self,
        prefix: str,
        bucket: str,
        documents: S3Documents,
        sagemaker: EndpointsHook,
        identity: Callable[[], AwsIdentity],
        owners: Callable[[], Mapping[str, str]],
    ) -> None:
        self._prefix, self._bucket, self._documents, self._sagemaker = prefix, bucket, documents, sagemaker
        self._identity, self._owners = identity, owners

    def in_use(self, now: datetime) -> InUse:
        """Return what every endpoint of the account uses that may use something of the model.

        :param now: when the look begins
        :raises SlipwayError: when the configuration of an endpoint was deleted, or there were too many to describe
        """
        aws = self._identity()
        key = names.endpoints_key(aws.account, aws.region)
        document = self._documents.read(self._bucket, key)
        before = AccountUse.from_json(document.content)
        after, problem = self._looked(before, now)
        if after != before:
            # Where another collection was faster, its document is as true as this one.
            self._documents.write(self._bucket, key, after.to_json(), etag=document.etag)
        if problem:
            raise problem
        return after.in_use()

    def _looked(self, before: AccountUse, now: datetime) -> tuple[AccountUse, SlipwayError | None]:
        """Return what is known now, and why it is not all."""
        endpoints = dict(before.endpoints)
        whole = before.listed is None or now - datetime.fromisoformat(before.listed) >= _LISTED_EVERY
        if whole or before.looked is None:
            listed = {one.name: one for one in self._sagemaker.endpoints()}
            endpoints = {name: one for name, one in endpoints.items() if name in listed}
        else:
            since = datetime.fromisoformat(before.looked) - _OVERLAP
            listed = {one.name: one for one in self._sagemaker.endpoints(since)}
        changed = [*self._changed(listed.values(), endpoints), *self._unsettled(listed, endpoints)]
        if len(changed) > _FEW:
            others = self._of_other_models((listed[name] for name in changed if name in listed), now)
            endpoints |= others
            changed = [name for name in changed if name not in others]
        own = (name for name, one in endpoints.items() if one.get("model") == self._prefix)
        due = list(dict.fromkeys([*changed, *own]))
        problem = _too_many(len(due) - _MOST) if len(due) > _MOST else None
        for name in due[:_MOST]:
            try:
                described = self._described(name, *_moments(listed.get(name) or endpoints[name]))
            except AwsError:
                raise
            except SlipwayError as error:
                problem = error
                continue
            if described:
                endpoints[name] = described
            else:
                endpoints.pop(name, None)
        if problem:
            # The next look begins where this one did.
            return AccountUse(before.looked, before.listed, endpoints), problem
        if not whole and endpoints == before.endpoints:
            # The next look begins where this one did, and there is nothing to write.
            return before, None
        return AccountUse(now.isoformat(), now.isoformat() if whole else before.listed, endpoints), None

    def _of_other_models(self, listed: Iterable[ListedEndpoint], now: datetime) -> dict[str, OfModel]:
        """Find those that carry another model's tag, and have done so for a while."""
        owners, since = self._owners(), now - _TAGS_KNOWN_AFTER
        found: dict[str, OfModel] = {}
        for one in listed:
            owner = owners.get(one.arn.lower())
            if owner and owner != self._prefix and datetime.fromisoformat(one.modified) < since:
                found[one.name] = OfModel(created=one.created, modified=one.modified, model=owner)
        return found

    @staticmethod
    def _changed(listed: Iterable[ListedEndpoint], known_before: Mapping[str, UsedBy | OfModel]) -> Iterator[str]:
        for one in listed:
            before = known_before.get(one.name)
            if before is None or _moments(before) != _moments(one):
                yield one.name

    @staticmethod
    def _unsettled(listed: Mapping[str, ListedEndpoint], known_before: Mapping[str, UsedBy | OfModel]) -> Iterator[str]:
        """Return the endpoints that were being changed and that the listing does not show as changed."""
        for name, before in known_before.items():
            now = listed.get(name)
            if not before.get("settled", True) and (now is None or now.modified == before["modified"]):
                yield name

    def _described(self, name: str, created: str, modified: str) -> UsedBy | None:
        found = self._sagemaker.describe_endpoint(name)
        if found is None:
            return None
        used, urls = set(), set()
        wanted = (found, found.get("PendingDeploymentSummary", {}))
        for config_name in {each["EndpointConfigName"] for each in wanted if "EndpointConfigName" in each}:
            models = self._models_of(name, config_name)
            used |= {config_name, *models}
            for model in models:
                urls |= set(_data_urls(self._sagemaker.describe_model(model) or {}))
        settled = found.get("EndpointStatus") not in ON_THE_WAY
        return UsedBy(created=created, modified=modified, settled=settled, names=sorted(used), data_urls=sorted(urls))

    def _models_of(self, endpoint_name: str, config_name: str) -> set[str]:
        config = self._sagemaker.describe_endpoint_config(config_name)
        if config is None:
            raise SlipwayError(
                "Cannot find out which models an endpoint uses",
                resource=endpoint_name,
                why=f"its configuration {config_name} was deleted",
                fix="update the endpoint to a configuration that exists, or delete it",
            )
        variants = [*config.get("ProductionVariants", ()), *config.get("ShadowProductionVariants", ())]
        return {variant["ModelName"] for variant in variants if "ModelName" in variant}


def _moments(one: ListedEndpoint | UsedBy | OfModel) -> tuple[str, str]:
    """Return when an endpoint was made and when it had changed last."""
    return (one.created, one.modified) if isinstance(one, ListedEndpoint) else (one["created"], one["modified"])


def _too_many(left: int) -> SlipwayError:
    return SlipwayError(
        "Not all endpoints of the account are known yet",
        resource=f"{left} endpoints",
        why=f"a collection describes {_MOST} of them",
        fix="nothing: the next collections describe the others",
    )


def _data_urls(model: Mapping[str, Any]) -> Iterator[str]:
    for container in [model.get("PrimaryContainer", {}), *model.get("Containers", ())]:
        source = container.get("ModelDataSource", {}).get("S3DataSource", {}).get("S3Uri")
        yield from (url for url in (container.get("ModelDataUrl"), source) if url)
