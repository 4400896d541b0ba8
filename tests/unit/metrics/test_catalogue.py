"""The catalogue of metrics keeps the conventions that dashboards and alerts rely on."""

import re

import pytest

from slipway.metrics.catalogue import METRICS, Kind

# What grows with every release, and so makes new series for ever.
ENDLESS = {"run", "run_id", "revision", "version", "version_id", "job", "package", "arn", "user"}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_is_named_by_the_conventions(metric):
    assert re.fullmatch(r"slipway(\.[a-z][a-z_]*)+", metric.name)
    assert re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", metric.prometheus_name)
    assert not ENDLESS & set(metric.labels)
    assert metric.description.endswith(".")
    assert bool(metric.buckets) is (metric.kind is Kind.HISTOGRAM)
    assert list(metric.buckets) == sorted(set(metric.buckets))


def test_names_are_those_that_the_collector_makes():
    assert [metric.prometheus_name for metric in METRICS] == [
        "slipway_release_duration_seconds",
        "slipway_stage_duration_seconds",
        "slipway_stage_retries_total",
        "slipway_approval_duration_seconds",
        "slipway_aws_requests_total",
        "slipway_orphaned_jobs_total",
        "slipway_image_builds_total",
        "slipway_drift_findings",
        "slipway_live_hourly_cost_usd",
    ]
