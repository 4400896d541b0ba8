"""What is live costs an hour, as it is recorded at each look."""

import pytest

from slipway.live import look
from slipway.live.snapshot import LiveEndpoint, LiveVariant, Snapshot
from slipway.prices import prices


@pytest.fixture
def recorded(monkeypatch):
    found = {}
    monkeypatch.setattr(look, "record", lambda metric, value, **labels: found.update({tuple(labels.values()): value}))
    return found


def endpoint(model: str, *variants: tuple[str, int], region: str = "us-west-2") -> LiveEndpoint:
    arn = f"arn:aws:sagemaker:{region}:123456789012:endpoint/{model}"
    served = tuple(LiveVariant(f"v{n}", 1.0, count, count, kind) for n, (kind, count) in enumerate(variants))
    return LiveEndpoint(model, arn, model, "production", "InService", "c", "then", "then", None, served)


def test_instances_of_all_variants_count_at_their_price(recorded):
    price = prices().an_hour["ml.m5.large"]
    look._record_costs(Snapshot(), [endpoint("iris", ("ml.m5.large", 2), ("ml.m5.large", 1))])
    assert recorded == {("iris", "production"): pytest.approx(3 * price)}


def test_an_unknown_type_or_region_has_no_price(recorded):
    look._record_costs(
        Snapshot(), [endpoint("iris", ("ml.new.large", 2)), endpoint("wine", ("ml.m5.large", 1), region="x")]
    )
    assert recorded == {("iris", "production"): 0, ("wine", "production"): 0}


def test_what_is_gone_costs_nothing(recorded):
    look._record_costs(Snapshot.of([endpoint("iris", ("ml.m5.large", 1))]), [])
    assert recorded == {("iris", "production"): 0}
