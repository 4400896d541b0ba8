"""What the survey found, and how it is stored: as JSON in the state store of the survey's asset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from slipway.formats.stored import known, versioned

# The beginning of the name of each asset that the survey of an AWS connection writes to.
ASSET_PREFIX = "slipway-live-"
# The task that writes there, besides the watcher.
TASK_ID = "describe_everything"
# The keys in the asset's state store: when somebody looked last, and what was found, in parts.
LOOKED = "looked"
PART = "part-"
# Airflow warns of values above 64 KiB. The endpoints of a part have about half of that.
# https://airflow.apache.org/docs/apache-airflow/stable/configurations-ref.html#max-value-storage-bytes
_ENDPOINTS_IN_A_PART = 40


@dataclass(frozen=True)
class LiveVariant:
    """One variant of an endpoint.

    :param instance_type: empty if the endpoint's configuration was deleted
    :param artefact: S3 URI of the artefact that it serves
    :param package_arn: the model package of that artefact
    """

    name: str
    weight: float
    instances: int
    wanted_instances: int
    instance_type: str = ""
    artefact: str | None = None
    package_arn: str | None = None


@dataclass(frozen=True)
class Minute:
    """What a variant did in the newest minute with requests.

    :param at: when the minute began, ISO 8601, UTC
    :param errors: answers with a 4xx or 5xx status
    """

    at: str
    requests: int
    errors: int = 0
    latency_p99_ms: float | None = None


@dataclass(frozen=True)
class LiveEndpoint:
    """One endpoint, as AWS describes it.

    :param model: the prefix of its model
    :param config: the name of its configuration
    :param created: ISO 8601, UTC; with the ARN it tells an endpoint from an earlier one of its name
    :param modified: when it changed last, as ListEndpoints says; ISO 8601, UTC
    :param failure: why its last change failed
    :param alarms: the states of its alarms by their names, without what all of its alarms begin with
    :param minutes: by variant; a variant without requests is left out
    """

    name: str
    arn: str
    model: str
    environment: str
    status: str
    config: str
    created: str
    modified: str
    failure: str | None = None
    variants: tuple[LiveVariant, ...] = ()
    alarms: dict[str, str] = field(default_factory=dict)
    minutes: dict[str, Minute] = field(default_factory=dict)

    @property
    def region(self) -> str:
        """The AWS region that it is in."""
        return self.arn.split(":")[3]


@dataclass(frozen=True)
class _Part:
    endpoints: tuple[LiveEndpoint, ...] = ()


@dataclass(frozen=True)
class Looked:
    """The last look.

    :param at: when the snapshot was true; ISO 8601, UTC; None before the first one
    :param parts: how many parts the snapshot has
    :param problem: why the newest look failed
    :param pause_seconds: how long after that the next look is due
    """

    at: str | None = None
    parts: int = 0
    problem: str | None = None
    pause_seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return versioned(asdict(self))

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read what ``to_json`` returned; None is before the first look.

        :raises UnreadableDocument: when it is something else
        """
        return known(cls, {} if value is None else value)


@dataclass(frozen=True)
class Snapshot:
    """What is live of the models of one AWS connection, by the endpoint's name."""

    endpoints: Mapping[str, LiveEndpoint] = field(default_factory=dict)

    @classmethod
    def of(cls, endpoints: Iterable[LiveEndpoint]) -> Self:
        """Make a snapshot of some endpoints."""
        return cls({one.name: one for one in sorted(endpoints, key=lambda one: one.name)})

    @classmethod
    def from_parts(cls, parts: Iterable[Any]) -> Self:
        """Read what ``parts`` returned; a part that is missing is left out.

        :raises UnreadableDocument: when a part is something else
        """
        return cls.of(one for part in parts if part is not None for one in known(_Part, part).endpoints)

    def parts(self) -> dict[str, dict[str, Any]]:
        """Return what is stored, by key."""
        found = list(self.endpoints.values())
        return {
            key: versioned({"endpoints": [_plain(one) for one in found[start : start + _ENDPOINTS_IN_A_PART]]})
            for key, start in zip(
                part_keys(-(-len(found) // _ENDPOINTS_IN_A_PART)),
                range(0, len(found), _ENDPOINTS_IN_A_PART),
                strict=True,
            )
        }


def part_keys(count: int) -> list[str]:
    """Return the keys of a snapshot's parts."""
    return [f"{PART}{number}" for number in range(count)]


def _plain(endpoint: LiveEndpoint) -> dict[str, Any]:
    # JSON has lists only, and what is read back is compared with this.
    return {**asdict(endpoint), "variants": [asdict(one) for one in endpoint.variants]}
