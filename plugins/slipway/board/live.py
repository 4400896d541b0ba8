"""Reads what the survey has stored about all models, in one query."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airflow.models.asset import AssetModel
from airflow.models.asset_state_store import AssetStateStoreModel
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from slipway import names
from slipway.board.results import version_of
from slipway.board.served import Alarm, Costs, Served, ServedVariant, Survey, SurveyState
from slipway.deployment import drift_watch
from slipway.errors import UnreadableDocument
from slipway.live import snapshot
from slipway.live.snapshot import LiveEndpoint, LiveVariant, Looked, Snapshot, part_keys
from slipway.prices import prices
from slipway.states import Environment

OLD_AFTER = timedelta(minutes=3)
_HOW_TO_START = "check that the DAG “live” is not paused, that it has no import error, and that the triggerer runs"


@dataclass(frozen=True)
class Found:
    """What the survey of every AWS connection has stored.

    :param endpoints: by model
    :param looks: the last look of each survey
    :param drift: what differs from a stack, by the stack's name
    """

    endpoints: Mapping[str, list[LiveEndpoint]] = field(default_factory=dict)
    looks: tuple[Looked, ...] = ()
    drift: Mapping[str, list[str]] = field(default_factory=dict)

    def served(self, model: str) -> list[Served]:
        """Return a model's endpoints, development first."""
        return [self._served(one) for one in sorted(self.endpoints.get(model, ()), key=lambda one: one.environment)]

    def in_production(self, model: str, now: datetime) -> tuple[LiveVariant, ...] | None:
        """Return what a model's endpoint in production serves; None while that is not known, or too old."""
        if self.survey(now).state is not SurveyState.FRESH:
            return None
        mine = (one for one in self.endpoints.get(model, ()) if one.environment == Environment.PRODUCTION)
        return tuple(variant for one in mine for variant in one.variants)

    def shares_in_production(self, model: str, now: datetime) -> dict[str, float | None] | None:
        """Return the share of production's requests that each model package has; None while that is not known."""
        variants = self.in_production(model, now) or ()
        weights = sum(one.weight for one in variants)
        shares: dict[str, float | None] = {}
        for one in variants:
            if one.package_arn is None:
                return None
            shares[one.package_arn] = (shares.get(one.package_arn) or 0) + one.weight / weights if weights else None
        return shares or None

    def survey(self, now: datetime) -> Survey:
        """Say how old all this is: the oldest look counts, if there are several AWS connections."""
        if not self.looks:
            return Survey(state=SurveyState.NONE, at=None, say=f"Nobody has looked at AWS yet: {_HOW_TO_START}.")
        problem = next((one.problem for one in self.looks if one.problem), None)
        moments = [datetime.fromisoformat(one.at) if one.at else None for one in self.looks]
        if None in moments:
            say = f"AWS could not be read yet: {problem}" if problem else f"A first look is missing: {_HOW_TO_START}."
            return Survey(state=SurveyState.NONE, at=None, say=say)
        at = min(one for one in moments if one)
        if not any(_overdue(one, now) for one in self.looks):
            return Survey(state=SurveyState.FRESH, at=at, say=None)
        say = f"AWS cannot be read: {problem}" if problem else f"Nobody looks at AWS any more: {_HOW_TO_START}."
        return Survey(state=SurveyState.OLD, at=at, say=say)

    def costs(self, models: Collection[str]) -> Costs:
        """Add up what the endpoints of some models cost."""
        shown = [one for model in models for one in self.endpoints.get(model, ())]
        known = [cost for endpoint in shown for one in endpoint.variants if (cost := _cost(one, endpoint)) is not None]
        unknown = {one.instance_type for endpoint in shown for one in endpoint.variants if _cost(one, endpoint) is None}
        table = prices()
        return Costs(an_hour=round(sum(known), 4), unknown=sorted(unknown - {""}), source=table.source, date=table.date)

    def _served(self, endpoint: LiveEndpoint) -> Served:
        weights = sum(one.weight for one in endpoint.variants)
        costs = [_cost(one, endpoint) for one in endpoint.variants]
        stack = names.stack_name(endpoint.model, Environment(endpoint.environment))
        return Served(
            environment=endpoint.environment,
            endpoint=endpoint.name,
            status=endpoint.status,
            failure=endpoint.failure,
            changed_at=datetime.fromisoformat(endpoint.modified),
            variants=[_variant(one, endpoint, weights) for one in endpoint.variants],
            alarms=[Alarm(name=name, state=state) for name, state in endpoint.alarms.items()],
            drift=self.drift.get(stack, []),
            cost_an_hour=None if None in costs else round(sum(filter(None, costs)), 4),
        )


def _overdue(looked: Looked, now: datetime) -> bool:
    """Tell whether the next look should have been long ago."""
    due = timedelta(seconds=looked.pause_seconds)
    return looked.at is None or now - datetime.fromisoformat(looked.at) > max(due, timedelta()) + OLD_AFTER


def found(session: Session) -> Found:
    """Read what the survey and the drift watcher of every AWS connection have stored.

    :param session: Airflow's database
    """
    store, asset = AssetStateStoreModel, AssetModel
    statement = (
        select(asset.name, store.key, store.value)
        .join(asset, asset.id == store.asset_id)
        .where(
            or_(
                and_(
                    asset.name.startswith(snapshot.ASSET_PREFIX, autoescape=True),
                    or_(store.key == snapshot.LOOKED, store.key.startswith(snapshot.PART, autoescape=True)),
                ),
                and_(
                    asset.name.startswith(drift_watch.ASSET_PREFIX, autoescape=True),
                    store.key == drift_watch.REPORTED,
                ),
            )
        )
    )
    surveys: dict[str, dict[str, Any]] = defaultdict(dict)
    drift: dict[str, list[str]] = {}
    for row in session.execute(statement):
        value = json_of(row.value)
        if row.name.startswith(snapshot.ASSET_PREFIX):
            surveys[row.name][row.key] = value
        elif isinstance(value, Mapping):
            drift |= {stack: list(map(str, texts)) for stack, texts in value.items() if isinstance(texts, list)}
    endpoints: dict[str, list[LiveEndpoint]] = defaultdict(list)
    looks = []
    for entries in surveys.values():
        looked, seen = _survey(entries)
        looks.append(looked)
        for one in seen:
            endpoints[one.model].append(one)
    return Found(endpoints, tuple(looks), drift)


def _survey(entries: Mapping[str, Any]) -> tuple[Looked, Iterable[LiveEndpoint]]:
    try:
        looked = Looked.from_json(entries.get(snapshot.LOOKED))
        seen = Snapshot.from_parts(entries.get(key) for key in part_keys(looked.parts))
    except UnreadableDocument as error:
        return Looked(problem=error.problem), ()
    return looked, seen.endpoints.values()


def json_of(text: str) -> Any:
    """Return what is stored; None for what is no JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _variant(variant: LiveVariant, endpoint: LiveEndpoint, weights: float) -> ServedVariant:
    minute = endpoint.minutes.get(variant.name)
    return ServedVariant(
        name=variant.name,
        version=version_of(variant.package_arn),
        share=round(variant.weight / weights, 4) if weights else None,
        instance_type=variant.instance_type,
        instances=variant.instances,
        wanted_instances=variant.wanted_instances,
        minute=datetime.fromisoformat(minute.at) if minute else None,
        requests=minute.requests if minute else 0,
        errors=minute.errors if minute else 0,
        latency_p99_ms=minute.latency_p99_ms if minute else None,
        cost_an_hour=_cost(variant, endpoint),
    )


def _cost(variant: LiveVariant, endpoint: LiveEndpoint) -> float | None:
    """Return what a variant's instances cost an hour; AWS bills those that run, so an endpoint that fell costs nothing.

    https://aws.amazon.com/sagemaker/pricing/
    """
    price = prices().of(variant.instance_type, endpoint.region)
    return None if price is None else round(price * variant.instances, 4)
