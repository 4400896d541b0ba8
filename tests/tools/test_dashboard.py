"""The dashboard in the repository is the one that the panels make, and what lies beside it fits to it."""

import re
import shutil
import subprocess

import pytest
import yaml

from slipway.metrics.catalogue import METRICS, Kind
from tools import dashboard
from tools.settings import ROOT

SUFFIXES = ("_bucket", "_sum", "_count")
PROMTOOL = shutil.which("promtool")
RULES = ROOT / "include/prometheus/rules.yml"


def series_of(expression: str) -> set[str]:
    return set(re.findall(r"slipway_\w+", expression))


def known_series() -> set[str]:
    return {
        f"{metric.prometheus_name}{suffix}"
        for metric in METRICS
        for suffix in (SUFFIXES if metric.kind is Kind.HISTOGRAM else ("",))
    }


def test_the_file_is_what_make_dashboard_writes():
    assert dashboard.FILE.read_text() == dashboard.built(), "run make dashboard"


def test_every_metric_is_shown_and_nothing_else_is_asked_for():
    asked = set().union(*(series_of(query) for _, query in dashboard.queries(dashboard.built())))
    assert asked <= known_series()
    shown = {metric for metric in METRICS if any(one.startswith(metric.prometheus_name) for one in asked)}
    assert shown == set(METRICS)


def test_alerts_ask_for_series_that_exist_and_the_page_explains_each():
    page = (ROOT / "docs/observability.md").read_text()
    for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]:
        assert series_of(rule["expr"]) <= known_series()
        assert f"`{rule['alert']}`" in page


def test_the_page_shows_each_panel_and_each_metric():
    page = (ROOT / "docs/observability.md").read_text()
    for title, expression in dashboard.queries(dashboard.FILE.read_text()):
        assert f"| {title} | `{dashboard.shortened(expression)}` |" in page
        assert "clamp_min" not in dashboard.shortened(expression)
    for metric in METRICS:
        assert f"`{metric.name}`" in page
        assert f"`{metric.prometheus_name}`" in page


def test_grafana_finds_the_source_that_the_panels_name_and_the_collector_offers_what_prometheus_asks():
    include = ROOT / "include"
    sources = yaml.safe_load((include / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert [source["uid"] for source in sources] == [dashboard.SOURCE.uid]
    collector = yaml.safe_load((include / "otel/collector.yaml").read_text())
    [scrape] = yaml.safe_load((include / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    [target] = scrape["static_configs"][0]["targets"]
    assert target.rpartition(":")[2] == collector["exporters"]["prometheus"]["endpoint"].rpartition(":")[2]


@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool: apt-get install prometheus")
@pytest.mark.parametrize(
    "command",
    [("check", "config", "prometheus.yml"), ("check", "rules", "rules.yml"), ("test", "rules", "rules_test.yml")],
)
def test_prometheus_takes_its_files_and_the_alerts_fire_when_they_must(command):
    done = subprocess.run([str(PROMTOOL), *command], cwd=RULES.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
