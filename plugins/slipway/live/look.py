"""One look of the survey: lists what is there, and describes only what changed since the look before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from slipway import names
from slipway.aws.endpoint_metrics import AlarmState, EndpointMetricsHook, MetricOfVariant
from slipway.aws.endpoints import EndpointList, EndpointsHook, ListedEndpoint
from slipway.live.history import Traffic
from slipway.live.snapshot import LiveEndpoint, LiveVariant, Minute, Snapshot
from slipway.metrics.catalogue import LIVE_COST
from slipway.metrics.record import record
from slipway.plan import TAG_MODEL_PREFIX
from slipway.prices import prices
from slipway.registry.hook import ModelRegistryHook
from slipway.states import ON_THE_WAY

# SageMaker sends metrics each minute, and they may take a minute or two to arrive.
# https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
_NEWEST = timedelta(minutes=3)
_MINUTE = timedelta(minutes=1)
_REQUESTS = ("Invocations", "Sum")
_CLIENT_ERRORS = ("Invocation4XXErrors", "Sum")
_SERVER_ERRORS = ("Invocation5XXErrors", "Sum")
_LATENCY = ("ModelLatency", "p99")
# Read only of variants with requests: GetMetricData costs money for each metric, however few values it has.
# https://aws.amazon.com/cloudwatch/pricing/
_OF_REQUESTS = (_CLIENT_ERRORS, _SERVER_ERRORS, _LATENCY)
_MICROSECONDS_IN_MS = 1000


@dataclass(frozen=True)
class Seen:
    """What a look saw.

    :param traffic: the minutes with requests, as far back as the look has read
    :param firing: the alarms of these endpoints that fire
    """

    snapshot: Snapshot = field(default_factory=Snapshot)
    traffic: Traffic = field(default_factory=dict)
    firing: tuple[AlarmState, ...] = ()


class LiveSurvey:
    """Look at the endpoints of some models.

    A look lists endpoints (of more than a page only those that have changed) and alarms, in pages of a hundred, and
    reads one metric of each variant. It describes an endpoint that is new, has changed since the look before, or is
    changing.

    :param models: the prefixes of the models
    :param aws_conn_id: Airflow connection with the AWS credentials
    """

    def __init__(self, models: Collection[str], aws_conn_id: str | None) -> None:
        self._models = frozenset(models)
        self._endpoints = EndpointsHook(aws_conn_id=aws_conn_id)
        self._list = EndpointList(self._endpoints)
        self._registry = ModelRegistryHook(aws_conn_id=aws_conn_id)
        self._metrics = EndpointMetricsHook(aws_conn_id=aws_conn_id)
        # Endpoints of others, by ARN and creation time: their tags are read once.
        self._foreign: set[tuple[str, str]] = set()
        # Variants that had requests in the look before: their errors and latency are read in the same call.
        self._busy: frozenset[tuple[str, str]] = frozenset()

    def look(self, before: Snapshot, since: datetime | None = None) -> Seen:
        """Look once.

        :param before: what the look before has found; empty to describe everything again
        :param since: read requests since then; the last three minutes are read anyway
        :returns: what is live now
        :raises slipway.errors.AwsError: when a call fails
        """
        packages = {
            one.artefact: one.package_arn for endpoint in before.endpoints.values() for one in endpoint.variants
        }
        listed = [one for one in self._list.read() if names.environment_of(one.name)]
        self._foreign &= {(one.arn, one.created) for one in listed}
        found = {}
        for one in listed:
            endpoint = self._endpoint(one, before.endpoints.get(one.name), packages)
            if endpoint:
                found[endpoint.name] = endpoint
        _record_costs(before, found.values())
        if not found:
            return Seen()
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        newest = now - _NEWEST
        states = [one for one in self._metrics.alarm_states() if one.endpoint in found]
        alarms, traffic = _by_endpoint(states), self._traffic(found.values(), before, min(since or newest, newest), now)
        snapshot = Snapshot.of(
            replace(one, alarms=alarms.get(one.name, {}), minutes=_newest(traffic.get(one.name, {}), newest))
            for one in found.values()
        )
        return Seen(snapshot, traffic, tuple(one for one in states if one.fires))

    def _endpoint(
        self, listed: ListedEndpoint, before: LiveEndpoint | None, packages: dict[str | None, str | None]
    ) -> LiveEndpoint | None:
        """Return an endpoint of one of the models: as it was known if nothing changed."""
        if before and (before.arn, before.created) != (listed.arn, listed.created):
            before = None
        model = before.model if before else self._model_of(listed)
        if model is None or model not in self._models:
            return None
        settled = listed.status not in ON_THE_WAY
        if before and settled and (before.modified, before.status) == (listed.modified, listed.status):
            return before
        description = self._endpoints.describe_endpoint(listed.name)
        if description is None:
            self._list.forget(listed.name)
            return None
        environment = names.environment_of(listed.name)
        return LiveEndpoint(
            name=listed.name,
            arn=listed.arn,
            model=model,
            environment=environment.value if environment else "",
            status=description["EndpointStatus"],
            config=description["EndpointConfigName"],
            created=listed.created,
            # What changed between the listing and the description is described again by the next look.
            modified=listed.modified,
            failure=description.get("FailureReason"),
            variants=tuple(self._variants(description, model, before, packages)),
        )

    def _model_of(self, listed: ListedEndpoint) -> str | None:
        key = (listed.arn, listed.created)
        if key in self._foreign:
            return None
        model = self._endpoints.tag_of(listed.arn, TAG_MODEL_PREFIX)
        if model not in self._models:
            self._foreign.add(key)
            return None
        return model

    def _variants(
        self,
        description: Mapping[str, Any],
        model: str,
        before: LiveEndpoint | None,
        packages: dict[str | None, str | None],
    ) -> Iterator[LiveVariant]:
        """Describe the variants; what follows from the configuration is read only if that is another one."""
        config, variants = description["EndpointConfigName"], description.get("ProductionVariants", ())
        fixed = {one.name: one for one in before.variants} if before and before.config == config else {}
        # An endpoint that is being created may have been described without variants.
        if any(one["VariantName"] not in fixed for one in variants):
            fixed = {one.name: one for one in self._configured(config, model, packages)}
        for one in variants:
            name = one["VariantName"]
            yield replace(
                fixed.get(name, LiveVariant(name, 0.0, 0, 0)),
                # SageMaker keeps weights in single precision: it returns 0.1 as 0.10000000149.
                weight=round(one.get("CurrentWeight", 0.0), 6),
                instances=one.get("CurrentInstanceCount", 0),
                wanted_instances=one.get("DesiredInstanceCount", one.get("CurrentInstanceCount", 0)),
            )

    def _configured(
        self, config_name: str, model: str, packages: dict[str | None, str | None]
    ) -> Iterator[LiveVariant]:
        config = self._endpoints.describe_endpoint_config(config_name) or {}
        for one in config.get("ProductionVariants", ()):
            artefact = _artefact(self._endpoints.describe_model(one["ModelName"]) or {})
            if artefact and not packages.get(artefact):
                package = self._registry.package_of_artefact(names.model_package_group(model), artefact)
                packages[artefact] = package["ModelPackageArn"] if package else None
            package_arn = packages.get(artefact) if artefact else None
            yield LiveVariant(one["VariantName"], 0.0, 0, 0, one.get("InstanceType", ""), artefact, package_arn)

    def _traffic(
        self, endpoints: Iterable[LiveEndpoint], before: Snapshot, since: datetime, now: datetime
    ) -> dict[str, dict[str, list[Minute]]]:
        """Read requests of every variant, and errors and latency of those that had requests."""
        every = [(endpoint.name, variant.name) for endpoint in endpoints for variant in endpoint.variants]
        known = {(one.name, variant) for one in before.endpoints.values() for variant in one.minutes} | self._busy
        busy = [one for one in every if one in known]
        first = [MetricOfVariant(*one, *_REQUESTS) for one in every]
        minutes = -(-(now - since) // _MINUTE)
        values = self._metrics.minutes([*first, *_details(busy)], now, minutes)
        had_requests = [one for one in every if any(values.get(MetricOfVariant(*one, *_REQUESTS), {}).values())]
        # Variants whose requests have just begun: one more call.
        begun = [one for one in had_requests if one not in busy]
        if begun:
            values |= self._metrics.minutes(list(_details(begun)), now, minutes)
        self._busy = frozenset(had_requests)
        found: dict[str, dict[str, list[Minute]]] = defaultdict(dict)
        for endpoint, variant in had_requests:
            found[endpoint][variant] = list(_minutes(endpoint, variant, values))
        return found


def _record_costs(before: Snapshot, endpoints: Iterable[LiveEndpoint]) -> None:
    """Record what is live costs an hour, as far as its instances have a price; what is gone costs nothing."""
    costs = {(one.model, one.environment): 0.0 for one in before.endpoints.values()}
    for endpoint in endpoints:
        each = ((prices().of(one.instance_type, endpoint.region) or 0.0) * one.instances for one in endpoint.variants)
        costs[endpoint.model, endpoint.environment] = sum(each)
    for (model, environment), usd in costs.items():
        record(LIVE_COST, usd, model=model, environment=environment)


def _by_endpoint(states: Iterable[AlarmState]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for one in states:
        found[one.endpoint][one.name] = one.state
    return {endpoint: dict(sorted(names.items())) for endpoint, names in found.items()}


def _newest(variants: Mapping[str, list[Minute]], since: datetime) -> dict[str, Minute]:
    """Return the newest minute with requests of each variant; one without requests since then is left out."""
    return {name: found[-1] for name, found in variants.items() if datetime.fromisoformat(found[-1].at) >= since}


def _details(variants: Iterable[tuple[str, str]]) -> Iterator[MetricOfVariant]:
    return (MetricOfVariant(*one, *metric) for one in variants for metric in _OF_REQUESTS)


def _minutes(
    endpoint: str, variant: str, values: Mapping[MetricOfVariant, Mapping[datetime, float]]
) -> Iterator[Minute]:
    """Return the minutes with requests of a variant, the oldest first."""

    def value(metric: tuple[str, str], at: datetime) -> float | None:
        return values.get(MetricOfVariant(endpoint, variant, *metric), {}).get(at)

    for at, requests in sorted(values[MetricOfVariant(endpoint, variant, *_REQUESTS)].items()):
        if not requests:
            continue
        errors = (value(metric, at) or 0.0 for metric in (_CLIENT_ERRORS, _SERVER_ERRORS))
        latency = value(_LATENCY, at)
        yield Minute(
            at=at.astimezone(UTC).isoformat(),
            requests=round(requests),
            errors=round(sum(errors)),
            latency_p99_ms=None if latency is None else round(latency / _MICROSECONDS_IN_MS, 1),
        )


def _artefact(model: Mapping[str, Any]) -> str | None:
    """Return the S3 URI of what a model serves.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html

    :param model: what DescribeModel answered
    """
    for container in (model.get("PrimaryContainer", {}), *model.get("Containers", ())):
        source = container.get("ModelDataSource", {}).get("S3DataSource", {})
        if found := container.get("ModelDataUrl") or source.get("S3Uri"):
            return str(found)
    return None
