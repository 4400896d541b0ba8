"""make dashboard: write Grafana's dashboard, include/grafana/dashboards/slipway.json, from the panels below.

The panels name the metrics of the catalogue, so a renamed metric cannot leave an empty panel behind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import bargauge, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.common import ReduceDataOptions
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import VizOrientation
from grafana_foundation_sdk.models.dashboard import DataSourceRef, GridPos

from slipway.metrics.catalogue import (
    APPROVAL_DURATION,
    AWS_REQUESTS,
    DRIFT_FINDINGS,
    IMAGE_BUILDS,
    LIVE_COST,
    ORPHANED_JOBS,
    RELEASE_DURATION,
    STAGE_DURATION,
    STAGE_RETRIES,
)
from tools.settings import ROOT

FILE = ROOT / "include" / "grafana" / "dashboards" / "slipway.json"
# The uid of include/grafana/provisioning/datasources/prometheus.yaml.
SOURCE = DataSourceRef(type_val="prometheus", uid="slipway-prometheus")
_MODEL = 'model=~"$model"'
_RELEASED, _SUCCESS, _FAILED = 'outcome="released"', 'outcome="success"', 'outcome="failed"'
_THROTTLED, _ERROR = 'outcome="throttled"', 'outcome="error"'
_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 24


def grown(name: str, *matchers: str) -> str:
    """Return by how much a counter has grown in the dashboard's time.

    Not increase(): a series of a rare event begins with its first event, which increase() does not see.
    https://prometheus.io/docs/prometheus/latest/querying/functions/#increase

    :param name: the series
    :param matchers: which labels it must have
    """
    series = f"{name}{{{','.join(matchers)}}}" if matchers else name
    return f"clamp_min({series} - ({series} offset $__range or {series} * 0), 0)"


def average(name: str, by: str, *matchers: str) -> str:
    """Return the average of a histogram's values in the dashboard's time."""
    total, count = (f"sum by ({by}) ({grown(f'{name}_{part}', *matchers)})" for part in ("sum", "count"))
    # Where nothing happened there is no average, rather than a division by zero.
    return f"{total} / ({count} > 0)"


def quantile(share: float, name: str, by: str, *matchers: str) -> str:
    """Return a quantile of a histogram's values in the dashboard's time, to the precision of its buckets."""
    return f"histogram_quantile({share}, sum by (le, {by}) ({grown(f'{name}_bucket', *matchers)}))"


@dataclass(frozen=True)
class Panel:
    """One panel.

    :param kind: the builder: of a number, bars, or lines over time
    :param unit: Grafana's name of the values' unit
    :param queries: expressions by the text of their legend
    """

    title: str
    description: str
    kind: Any
    unit: str
    queries: dict[str, str]


PANELS = (
    Panel(
        "Releases by outcome",
        RELEASE_DURATION.description,
        stat.Panel,
        "none",
        {"{{outcome}}": f"sum by (outcome) ({grown(f'{RELEASE_DURATION.prometheus_name}_count', _MODEL)})"},
    ),
    Panel(
        "From upload to production",
        "Released runs, from their start to their end, the approver's time included.",
        stat.Panel,
        "s",
        {
            "average": average(RELEASE_DURATION.prometheus_name, "outcome", _MODEL, _RELEASED),
            "90 %": quantile(0.9, RELEASE_DURATION.prometheus_name, "outcome", _MODEL, _RELEASED),
        },
    ),
    Panel(
        "Time to decide",
        "From the question to the answer, on average.",
        stat.Panel,
        "s",
        {"{{decision}}": average(APPROVAL_DURATION.prometheus_name, "decision", _MODEL, 'stage="approve"')},
    ),
    Panel(
        "Time in each stage",
        "Attempts that ended well, with their waits, on average.",
        bargauge.Panel,
        "s",
        {"{{stage}}": average(STAGE_DURATION.prometheus_name, "stage", _MODEL, _SUCCESS)},
    ),
    Panel(
        "Failed attempts",
        "By the task that failed; a rejection is one of approve.",
        bargauge.Panel,
        "none",
        {"{{stage}}": f"sum by (stage) ({grown(f'{STAGE_DURATION.prometheus_name}_count', _MODEL, _FAILED)}) > 0"},
    ),
    Panel(
        "Retries",
        STAGE_RETRIES.description,
        bargauge.Panel,
        "none",
        {"{{stage}}": f"sum by (stage) ({grown(STAGE_RETRIES.prometheus_name, _MODEL)}) > 0"},
    ),
    Panel(
        "Requests to AWS a minute",
        "By service, those that botocore repeats too.",
        timeseries.Panel,
        "none",
        {"{{service}}": f"60 * sum by (service) (rate({AWS_REQUESTS.prometheus_name}[$__rate_interval]))"},
    ),
    Panel(
        "Throttled requests",
        "Answers of AWS that say: too many requests.",
        bargauge.Panel,
        "none",
        {
            "{{service}} {{operation}}": "sum by (service, operation) "
            f"({grown(AWS_REQUESTS.prometheus_name, _THROTTLED)}) > 0"
        },
    ),
    Panel(
        "Errors of AWS",
        "Some are usual: a look for what is not there yet is answered by one.",
        bargauge.Panel,
        "none",
        {
            "{{service}} {{code}}": "topk(10, sum by (service, code) "
            f"({grown(AWS_REQUESTS.prometheus_name, _ERROR)}) > 0)"
        },
    ),
    Panel(
        "What is live costs an hour",
        LIVE_COST.description,
        timeseries.Panel,
        "currencyUSD",
        {"{{model}} {{environment}}": f"sum by (model, environment) ({LIVE_COST.prometheus_name}{{{_MODEL}}})"},
    ),
    Panel(
        "Drift",
        DRIFT_FINDINGS.description,
        stat.Panel,
        "none",
        {"{{model}} {{environment}}": f"sum by (model, environment) ({DRIFT_FINDINGS.prometheus_name}{{{_MODEL}}})"},
    ),
    Panel(
        "Orphaned jobs and builds",
        ORPHANED_JOBS.description,
        stat.Panel,
        "none",
        {"{{model}} {{kind}}": f"sum by (model, kind) ({grown(ORPHANED_JOBS.prometheus_name, _MODEL)})"},
    ),
    Panel(
        "Images by outcome",
        IMAGE_BUILDS.description,
        stat.Panel,
        "none",
        {"{{outcome}}": f"sum by (outcome) ({grown(IMAGE_BUILDS.prometheus_name, _MODEL)})"},
    ),
)


def built() -> str:
    """Return the dashboard as JSON."""
    board = (
        dashboard.Dashboard("Slipway")
        .uid("slipway")
        .description("Releases of SageMaker models by Airflow. Made by make dashboard: change tools/dashboard.py.")
        .tags(["slipway"])
        .readonly()
        .time("now-24h", "now")
        .refresh("1m")
        .timezone("utc")
        .with_variable(
            dashboard.QueryVariable("model")
            .label("Model")
            .datasource(SOURCE)
            .query(f"label_values({STAGE_DURATION.prometheus_name}_count, model)")
            .include_all(True)
            .all_value(".+")
            .multi(True)
        )
    )
    for number, panel in enumerate(PANELS):
        row, column = divmod(number * _WIDTH, _COLUMNS)
        place = GridPos(h=_HEIGHT, w=_WIDTH, x=column, y=row * _HEIGHT)
        board = board.with_panel(_panel(panel, place).id(number + 1))
    return json.dumps(board.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _panel(panel: Panel, place: GridPos) -> Any:
    made = panel.kind().title(panel.title).description(panel.description).unit(panel.unit)
    made = made.datasource(SOURCE).grid_pos(place)
    over_time = panel.kind is timeseries.Panel
    if not over_time:
        made = made.reduce_options(ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    if panel.kind is bargauge.Panel:
        made = made.orientation(VizOrientation.HORIZONTAL)
    for number, (legend, expression) in enumerate(panel.queries.items()):
        target = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id("ABCDEF"[number])
        made = made.with_target(target.range() if over_time else target.instant())
    return made


def queries(text: str) -> Iterator[tuple[str, str]]:
    """Return each panel's title and expression of a dashboard, as Grafana would read it.

    :param text: the dashboard's JSON
    """
    for panel in json.loads(text)["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def shortened(expression: str) -> str:
    """Return an expression as the documentation shows it: ``grown(series)`` for what ``grown`` makes of a series."""
    grows = r"clamp_min\((\S+?) - \(\1 offset \$__range or \1 \* 0\), 0\)"
    return re.sub(grows, r"grown(\1)", expression)


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(built(), encoding="utf-8")
    print(f"Wrote {FILE.relative_to(ROOT)}")
