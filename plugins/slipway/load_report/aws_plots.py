"""Plots of what AWS measured, on the time axis of the sender; each is None when there is nothing to show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from slipway.load_report.plots import legend, plain_log, time_axis
from slipway.load_report.svg import colour, draw, label, series_colour
from slipway.load_report.timeline import Timeline, epoch

_STATES = {"OK": "good", "ALARM": "bad", "INSUFFICIENT_DATA": "unknown"}
_MICROSECONDS_PER_MS = 1000.0
# With more rows than this, a plot is hard to read.
MAX_ALARMS = 20


def span(run: Timeline, document: Mapping[str, Any]) -> tuple[float, float]:
    """Return the first and the last moment to show: scaling and alarms come after the load that causes them.

    :param run: the run
    :param document: the report
    """
    watched = document.get("cloudwatch") or {}
    period = watched.get("period_seconds", 0)
    moments = [run.start, run.end]
    for series in watched.get("series", ()):
        moments += [epoch(at) + shift for at in series["timestamps"] for shift in (0, period)]
    for activity in document.get("scaling_activities") or ():
        moments += [epoch(activity[key]) for key in ("start", "end") if activity.get(key)]
    moments += [epoch(change["at"]) for alarm in document.get("alarms") or () for change in alarm["history"]]
    return min(moments), max(moments)


def instances(run: Timeline, activities: Sequence[Mapping[str, Any]], bounds: tuple[float, float]) -> str | None:
    """Plot the instances by variant, with the scaling activities.

    :param run: the run
    :param activities: scaling activities, in the order of the table
    :param bounds: as ``span`` returns them
    """
    points = [point for point in run.all_points if point.instances]
    names = sorted({name for point in points for name in point.instances})
    if not names and not activities:
        return None
    most = {name: max(point.instances.get(name, 0) for point in points) for name in names}

    def paint(axes: Any) -> None:
        for number, name in enumerate(names):
            times = [point.at - run.start for point in points] + [run.end - run.start]
            counts = [point.instances.get(name, 0) for point in points]
            axes.step(times, [*counts, counts[-1]], where="post", color=series_colour(number), label=label(name))
        for number, activity in enumerate(activities, 1):
            at = epoch(activity["start"]) - run.start
            axes.axvline(at, color=colour("ink"), linestyle=":", linewidth=1)
            axes.text(at, 1.02, str(number), transform=axes.get_xaxis_transform(), ha="center", va="bottom", fontsize=8)
        axes.set_ylim(0, max([*most.values(), 1]) + 0.5)
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.set_ylabel("instances")
        time_axis(axes, run, span=bounds)
        legend(axes)

    said = ", ".join(f"{name} {count}" for name, count in most.items()) or "not observed"
    return draw("instances", f"Instances over time, at most: {said}; {len(activities)} scaling activities", paint)


def alarms(run: Timeline, found: Sequence[Mapping[str, Any]], bounds: tuple[float, float]) -> str | None:
    """Plot the states of the alarms.

    :param run: the run
    :param found: alarms with their history
    :param bounds: as ``span`` returns them
    """
    shown = found[:MAX_ALARMS]
    if not shown:
        return None

    bars = [list(_stretches(alarm, bounds)) for alarm in shown]

    def paint(axes: Any) -> None:
        from matplotlib.patches import Patch

        for row, stretches in enumerate(bars):
            for start, end, state in stretches:
                hue = colour(_STATES.get(state, "unknown"))
                axes.broken_barh([(start - run.start, end - start)], (row - 0.35, 0.7), facecolors=hue, linewidth=0)
        axes.set_yticks(range(len(shown)), [str(number) for number in range(1, len(shown) + 1)])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_ylabel("alarm")
        axes.grid(False)
        time_axis(axes, run, span=bounds)
        patches = [Patch(facecolor=colour(hue), label=state) for state, hue in _STATES.items()]
        axes.legend(handles=patches, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)

    fired = [
        alarm["name"] for alarm, bar in zip(shown, bars, strict=True) if any(state == "ALARM" for *_, state in bar)
    ]
    said = f"States of {len(shown)} alarms over time. In ALARM at some time: {', '.join(fired) or 'none'}"
    return draw("alarms", said, paint, height_inches=0.9 + 0.22 * len(shown))


def requests(run: Timeline, watched: Mapping[str, Any], bounds: tuple[float, float]) -> str | None:
    """Plot CloudWatch's invocations each minute beside the sender's answers.

    :param run: the run
    :param watched: CloudWatch's series
    :param bounds: as ``span`` returns them
    """
    series = of_metric(watched, "Invocations", "Sum")
    if not series:
        return None
    period = watched["period_seconds"]

    def paint(axes: Any) -> None:
        bottoms: dict[float, float] = {}
        for number, one in enumerate(series):
            times = [epoch(at) for at in one["timestamps"]]
            axes.bar(
                [at - run.start for at in times],
                one["values"],
                width=period * 0.9,
                align="edge",
                bottom=[bottoms.get(at, 0.0) for at in times],
                color=series_colour(number),
                alpha=0.7,
                label=label(f"CloudWatch, {one['variant']}"),
            )
            for at, value in zip(times, one["values"], strict=True):
                bottoms[at] = bottoms.get(at, 0.0) + value
        marks = sorted(run.minutes.items())
        axes.plot(
            [at - run.start + period * 0.45 for at, _ in marks],
            [count for _, count in marks],
            linestyle="",
            marker="D",
            markersize=4,
            color=colour("ink"),
            label="the sender's answers",
        )
        axes.set_ylabel("per minute")
        axes.set_ylim(bottom=0)
        time_axis(axes, run, span=bounds)
        legend(axes)

    counted = sum(sum(one["values"]) for one in series)
    answered = sum(run.minutes.values())
    said = f"CloudWatch counts {counted:.0f} invocations in these minutes, the sender {answered} answers"
    return draw("invocations", said, paint)


def latencies(run: Timeline, watched: Mapping[str, Any], bounds: tuple[float, float]) -> str | None:
    """Plot ModelLatency and OverheadLatency each minute, and the sender's latency.

    :param run: the run
    :param watched: CloudWatch's series
    :param bounds: as ``span`` returns them
    """
    metrics = [metric for metric in ("ModelLatency", "OverheadLatency") if of_metric(watched, metric)]
    if not metrics:
        return None
    variants = sorted({one["variant"] for metric in metrics for one in of_metric(watched, metric)})
    styles = {"Average": ":", "p50": "-", "p99": "--"}

    def paint(panels: Any) -> None:
        for axes, metric in zip(panels if len(metrics) > 1 else [panels], metrics, strict=True):
            for one in of_metric(watched, metric):
                times = [epoch(at) - run.start + watched["period_seconds"] / 2 for at in one["timestamps"]]
                axes.plot(
                    times,
                    [value / _MICROSECONDS_PER_MS for value in one["values"]],
                    color=series_colour(variants.index(one["variant"])),
                    linestyle=styles.get(one["statistic"], "-."),
                    marker=".",
                    label=label(f"{one['variant']}, {one['statistic']}"),
                )
            if metric == "ModelLatency":
                for number, points in enumerate(run.points):
                    at = [point.at - run.start + point.seconds / 2 for point in points]
                    medians = [point.p50_ms or float("nan") for point in points]
                    name = None if number else "the sender's p50"
                    axes.plot(at, medians, color=colour("muted"), linewidth=0.9, label=name)
            axes.set_yscale("log")
            plain_log(axes.yaxis)
            axes.set_ylabel(f"{metric}, ms")
            time_axis(axes, run, span=bounds)
            legend(axes)

    return draw("cloudwatch-latency", f"{' and '.join(metrics)} of each minute by variant", paint, panels=len(metrics))


def of_metric(watched: Mapping[str, Any], metric: str, statistic: str | None = None) -> list[Mapping[str, Any]]:
    """Return the series of a metric that have values."""
    return [
        one
        for one in watched.get("series", ())
        if one["metric"] == metric and one["values"] and statistic in (None, one["statistic"])
    ]


def _stretches(alarm: Mapping[str, Any], bounds: tuple[float, float]) -> Iterable[tuple[float, float, str]]:
    changes = sorted(alarm["history"], key=lambda change: epoch(change["at"]))
    state, since = (changes[0]["from"] if changes else alarm["state"]), bounds[0]
    for change in changes:
        if epoch(change["at"]) > since:
            yield since, epoch(change["at"]), state
        state, since = change["to"], epoch(change["at"])
    yield since, bounds[1], state
