"""What the endpoints of an account use: one document in S3 for its models of a bucket, kept up by those that collect.

Of the endpoints that carry a model's tag only the name is remembered. The model's own collections describe them, and
others pass over them, because a release deploys only packages of its own model. Foreign endpoints are described when
they have changed, and all endpoints are listed once a day, so the cost does not follow the size of the account. What is
remembered of an endpoint that was deleted keeps things for a day longer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Self, TypedDict, final

from slipway import names
from slipway.aws.documents import S3Documents
from slipway.aws.endpoints import PAGE_SIZE, EndpointsHook, ListedEndpoint
from slipway.aws.placeholders import AwsIdentity
from slipway.cleanup.rules import InUse
from slipway.errors import AwsError, SlipwayError
from slipway.formats.stored import versioned
from slipway.plan import TAG_MODEL_PREFIX
from slipway.states import ON_THE_WAY

log = logging.getLogger(__name__)

# How often all endpoints are listed, and how far two clocks or a late listing may be off.
_LISTED_EVERY = timedelta(days=1)
_OVERLAP = timedelta(minutes=10)
# One collection looks at so many new or changed endpoints, by four calls each at most; the next one goes on.
_MOST = 500
# Of more than these, the tags are asked for by calls that find a hundred.
_FEW = 10
# The tagging API's index may lag, so the tags of what has changed since then are asked for one by one.
_TAGS_KNOWN_AFTER = timedelta(hours=1)


@final
class UsedBy(TypedDict):
    """What a foreign endpoint uses, as it is stored: a dataclass for each of thousands would take longer than the rest.

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


@final
class OfModel(TypedDict):
    """An endpoint of a model, as it is stored.

    created: as in UsedBy.
    model: the prefix in its tag.
    """

    created: str
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
        """Return what the foreign endpoints use."""
        every = self.endpoints.values()
        return InUse(
            frozenset(name for one in every if "names" in one for name in one["names"]),
            frozenset(url for one in every if "names" in one for url in one["data_urls"]),
        )

    def of_model(self, prefix: str) -> list[str]:
        """Return the endpoints of a model."""
        return [name for name, one in self.endpoints.items() if one.get("model") == prefix]


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
        :raises SlipwayError: when the configuration of an endpoint was deleted, or there were too many to look at
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
        found = after.in_use()
        own = [one for name in after.of_model(self._prefix) if (one := self._described(name))]
        return InUse(found.names.union(*(one[0] for one in own)), found.data_urls.union(*(one[1] for one in own)))

    def _looked(self, before: AccountUse, now: datetime) -> tuple[AccountUse, SlipwayError | None]:
        """Return what is known now, and why it is not all."""
        whole = before.listed is None or now - datetime.fromisoformat(before.listed) >= _LISTED_EVERY
        if whole or before.looked is None:
            listed = {one.name: one for one in self._sagemaker.endpoints()}
            # Whose an endpoint is, is asked again: somebody may have changed its tags.
            endpoints: dict[str, UsedBy | OfModel] = {
                name: one for name, one in before.endpoints.items() if name in listed and "names" in one
            }
        else:
            since = datetime.fromisoformat(before.looked) - _OVERLAP
            listed = {one.name: one for one in self._sagemaker.endpoints(since)}
            endpoints = dict(before.endpoints)
        changed = [one for one in listed.values() if not _is_known(one, endpoints.get(one.name))]
        endpoints |= self._of_models(changed, now)
        asked = [one.name for one in changed if not _is_known(one, endpoints.get(one.name))]
        due = [*asked, *_unsettled(listed, endpoints)]
        problem = _too_many(len(due) - _MOST) if len(due) > _MOST else None
        for name in due[:_MOST]:
            try:
                found = self._asked(name, listed.get(name), endpoints.get(name))
            except AwsError:
                raise
            except SlipwayError as error:
                problem = error
                continue
            if found:
                endpoints[name] = found
            else:
                endpoints.pop(name, None)
        if problem:
            # The next look begins where this one did.
            return AccountUse(before.looked, before.listed, endpoints), problem
        if not whole and endpoints == before.endpoints and len(listed) < PAGE_SIZE:
            # The next look begins where this one did, and there is nothing to write.
            return before, None
        return AccountUse(now.isoformat(), now.isoformat() if whole else before.listed, endpoints), None

    def _of_models(self, changed: Collection[ListedEndpoint], now: datetime) -> dict[str, OfModel]:
        """Find those of many endpoints that carry a model's tag, and have done so for a while."""
        if len(changed) <= _FEW:
            return {}
        owners, since = self._owners(), now - _TAGS_KNOWN_AFTER
        return {
            one.name: OfModel(created=one.created, model=owner)
            for one in changed
            if (owner := owners.get(one.arn.lower())) and datetime.fromisoformat(one.modified) < since
        }

    def _asked(self, name: str, now: ListedEndpoint | None, before: UsedBy | OfModel | None) -> UsedBy | OfModel | None:
        """Ask whose an endpoint is, and what a foreign one uses.

        :param name: its name
        :param now: as it is listed; None where it is not listed as changed
        :param before: what was known of it
        :returns: what is known of it now; None if it is gone
        """
        if now and (owner := self._sagemaker.tag_of(now.arn, TAG_MODEL_PREFIX)):
            return OfModel(created=now.created, model=owner)
        found = self._described(name)
        moments = _moments(now) if now else _moments(before) if before and "names" in before else None
        if found is None or moments is None:
            return None
        created, modified = moments
        used, urls, settled = found
        return UsedBy(created=created, modified=modified, settled=settled, names=sorted(used), data_urls=sorted(urls))

    def _described(self, name: str) -> tuple[set[str], set[str], bool] | None:
        """Describe what an endpoint uses: names, URIs, and whether it is not being changed; None if it is gone."""
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
        return used, urls, found.get("EndpointStatus") not in ON_THE_WAY

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


def _is_known(one: ListedEndpoint, before: UsedBy | OfModel | None) -> bool:
    """Tell whether nothing is to be asked about an endpoint: a model's stays that, whatever its releases change."""
    if before is None:
        return False
    return _moments(before) == _moments(one) if "names" in before else before["created"] == one.created


def _unsettled(listed: Mapping[str, ListedEndpoint], known_before: Mapping[str, UsedBy | OfModel]) -> Iterator[str]:
    """Return the endpoints that were being changed and that the listing does not show as changed."""
    for name, before in known_before.items():
        if "names" in before and not before["settled"] and (name not in listed or _is_known(listed[name], before)):
            yield name


def _moments(one: ListedEndpoint | UsedBy) -> tuple[str, str]:
    """Return when an endpoint was made and when it had changed last."""
    return (one.created, one.modified) if isinstance(one, ListedEndpoint) else (one["created"], one["modified"])


def _too_many(left: int) -> SlipwayError:
    return SlipwayError(
        "Not all endpoints of the account are known yet",
        resource=f"{left} endpoints",
        why=f"a collection asks about {_MOST} of them",
        fix="nothing: the next collections ask about the others",
    )


def _data_urls(model: Mapping[str, Any]) -> Iterator[str]:
    for container in [model.get("PrimaryContainer", {}), *model.get("Containers", ())]:
        source = container.get("ModelDataSource", {}).get("S3DataSource", {}).get("S3Uri")
        yield from (url for url in (container.get("ModelDataUrl"), source) if url)
