"""Plots of what the sender measured; each is None when there is nothing to show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from slipway.load_report.svg import colour, draw, label, series_colour
from slipway.load_report.timeline import Point, Timeline

# Possible distances of the ticks of a time axis, in seconds; the first that gives few enough is used.
_TICKS_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800)
_MOST_TICKS = 12
# Points of the distribution, evenly spaced in the number of nines of their percentiles.
_NINES_STEP = 0.02
_MOST_NINES = 5.0
# A share of fewer answers says too little.
_FEWEST_ANSWERS = 20


def throughput(run: Timeline) -> str | None:
    """Plot answers and errors each second."""
    points = run.all_points
    if not points:
        return None
    peak = max(point.answered / point.seconds for point in points)
    errors = sum(point.errors for point in points)

    def paint(axes: Any) -> None:
        _lines(axes, run, lambda point: point.answered / point.seconds, colour("series-1"), "answers")
        if errors:
            _lines(axes, run, lambda point: point.errors / point.seconds, colour("bad"), "errors")
        axes.set_ylabel("per second")
        axes.set_ylim(bottom=0)
        time_axis(axes, run, named=True)
        legend(axes)

    said = f"Answers each second over the run, {peak:.0f} at most; {errors} errors in all"
    return draw("throughput", said, paint)


def latency(run: Timeline) -> str | None:
    """Plot percentiles of the latency, second by second."""
    if not any(point.answered for point in run.all_points):
        return None
    worst = max(point.p99_ms for point in run.all_points)

    def paint(axes: Any) -> None:
        _lines(axes, run, lambda point: point.p50_ms or math.nan, colour("series-1"), "p50")
        _lines(axes, run, lambda point: point.p99_ms or math.nan, colour("series-2"), "p99")
        axes.set_yscale("log")
        axes.set_ylabel("latency, ms")
        plain_log(axes.yaxis)
        time_axis(axes, run, named=True)
        legend(axes)

    return draw("latency", f"Median and 99th percentile of the latency over the run; p99 reaches {worst:.0f} ms", paint)


def distribution(phases: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str | None:
    """Plot the latency by percentile, a line for each phase.

    https://hdrhistogram.github.io/HdrHistogram/plotFiles.html

    :param phases: the phases of the load
    :param names: their names
    """
    curves = [(name, _by_nines(phase)) for name, phase in zip(names, phases, strict=True) if phase["answered"]]
    if not curves:
        return None

    def paint(axes: Any) -> None:
        for number, (name, (nines, values)) in enumerate(curves):
            axes.plot(nines, values, color=series_colour(number), label=label(name))
        most = max(nines[-1] for _, (nines, _) in curves)
        ticks = [(0, "0"), (0.30103, "50 %"), (1, "90 %"), (2, "99 %"), (3, "99.9 %"), (4, "99.99 %"), (5, "99.999 %")]
        shown = [tick for tick in ticks if tick[0] <= most + 0.01]
        axes.set_xticks([place for place, _ in shown], [text for _, text in shown])
        axes.set_xlim(0, max(most, 1))
        axes.set_yscale("log")
        plain_log(axes.yaxis)
        axes.set_ylabel("latency, ms")
        axes.set_xlabel("share of the answers that were this fast or faster")
        legend(axes)

    tails = "; ".join(
        f"{name}: p99 {phase['latency_ms'].get('p99', 0):.1f} ms" for name, phase in zip(names, phases, strict=True)
    )
    return draw("distribution", f"Latency by percentile. {tails}", paint)


def variant_shares(run: Timeline) -> str | None:
    """Plot the share of the answers by variant."""
    points = [point for point in run.all_points if point.answered]
    if not points:
        return None
    names = [name for name in run.variants if any(point.variants[name] for point in points)]

    def paint(axes: Any) -> None:
        low = [0.0] * len(points)
        for number, name in enumerate(names):
            high = [base + 100 * point.variants[name] / point.answered for base, point in zip(low, points, strict=True)]
            times = [point.at - run.start for point in points]
            axes.fill_between(
                times, low, high, color=series_colour(number), alpha=0.75, linewidth=0, label=label(name or "unnamed")
            )
            low = high
        axes.set_ylim(0, 100)
        axes.set_ylabel("% of answers")
        time_axis(axes, run)
        legend(axes)

    whole = sum(point.answered for point in points)
    shares = ", ".join(f"{name} {sum(p.variants[name] for p in points) / whole:.1%}" for name in names)
    return draw("shares", f"Share of the answers by variant: {shares}", paint)


def accuracy(run: Timeline) -> str | None:
    """Plot the share of correct answers by variant."""
    names = [name for name in run.variants if any(point.variants[name] for point in run.all_points)]
    curves = {name: _accuracy(run, name) for name in names}
    if not any(values for _, values in curves.values()):
        return None

    def paint(axes: Any) -> None:
        for number, (name, (times, values)) in enumerate(curves.items()):
            axes.plot(times, values, color=series_colour(number), label=label(name or "unnamed"))
        axes.set_ylabel("% correct")
        axes.set_ylim(min(90.0, *(min(values) - 2 for _, values in curves.values() if values)), 100.5)
        time_axis(axes, run)
        legend(axes)

    shares = ", ".join(
        f"{name} {sum(p.rights[name] for p in run.all_points) / sum(p.variants[name] for p in run.all_points):.1%}"
        for name in names
    )
    return draw("accuracy", f"Share of correct answers by variant: {shares}", paint)


def time_axis(axes: Any, run: Timeline, named: bool = False, span: tuple[float, float] | None = None) -> None:
    """Give a plot the time axis of the run, with every other phase shaded.

    :param axes: axes of matplotlib
    :param run: the run
    :param named: whether to show the names of the phases
    :param span: first and last moment, in seconds since the epoch; None for the whole run
    """
    low, high = span or (run.start, run.end)
    low, high = low - run.start, max(high - run.start, low - run.start + 1)
    for number, phase in enumerate(run.phases):
        start, end = phase.start - run.start, phase.end - run.start
        if number % 2 == 0:
            axes.axvspan(start, end, color=colour("grid"), alpha=0.35, linewidth=0, zorder=0)
        if named and (end - start) / (high - low) > 0.06:
            axes.text(
                (start + end) / 2, 1.02, label(phase.name), transform=axes.get_xaxis_transform(),
                ha="center", va="bottom", fontsize=8, color=colour("muted"),
            )  # fmt: skip
    enough = (high - low) / _MOST_TICKS
    step = next((step for step in _TICKS_SECONDS if step >= enough), math.ceil(enough / 3600) * 3600)
    first = math.ceil(low / step)
    axes.set_xticks([number * step for number in range(first, math.floor(high / step) + 1)])
    axes.xaxis.set_major_formatter(_clock)
    axes.set_xlim(low, high)
    if axes.get_subplotspec() is None or axes.get_subplotspec().is_last_row():
        axes.set_xlabel("minutes and seconds since the start")


def legend(axes: Any) -> None:
    """Put a legend beside the plot."""
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)


def plain_log(axis: Any) -> None:
    """Label a logarithmic axis by plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def _clock(value: float, _: int | None = None) -> str:
    sign, seconds = ("-" if value < 0 else ""), abs(round(value))
    return f"{sign}{seconds // 60}:{seconds % 60:02}"


def _lines(axes: Any, run: Timeline, value: Any, hue: str, name: str) -> None:
    # One line for each phase: between phases nothing was sent.
    for number, points in enumerate(run.points):
        times = [point.at - run.start + point.seconds / 2 for point in points]
        marker = "." if len(points) < 3 else None
        axes.plot(times, [value(point) for point in points], color=hue, marker=marker, label=None if number else name)


def _by_nines(phase: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    from hdrh.histogram import HdrHistogram

    latencies = HdrHistogram.decode(phase["latency_hdr"])
    # Every higher percentile is the slowest answer.
    most = min(_MOST_NINES, math.log10(max(latencies.get_total_count(), 2)))
    nines = [number * _NINES_STEP for number in range(math.ceil(most / _NINES_STEP))] + [most]
    percentiles = [100 * (1 - 10**-place) for place in nines]
    # In one pass over the histogram.
    found = latencies.get_percentile_to_value_dict(percentiles)
    return nines, [found[percentile] / 1000 for percentile in percentiles]


def _accuracy(run: Timeline, name: str) -> tuple[list[float], list[float]]:
    """Return times and accuracies, merging points until they have enough answers."""
    times, values, waiting = [], [], Point(run.start)
    for point in run.all_points:
        waiting.variants.update(point.variants)
        waiting.rights.update(point.rights)
        if waiting.variants[name] >= _FEWEST_ANSWERS:
            times.append(point.at - run.start)
            values.append(100 * waiting.rights[name] / waiting.variants[name])
            waiting = Point(point.at)
    return times, values
