"""Plots of numbers as SVG, with their values in a table for those who do not see them."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from local_aws.console.html import Markup, tag
from local_aws.console.parts import folded, moment, number, plain, slug, table

Points = Sequence[tuple[float, float]]

_COLOURS = 6
_WIDTH, _HEIGHT = 1000, 100
# Rows of the table of values: the last ones.
_VALUES = 200


def plot(
    title: str,
    series: Sequence[tuple[str, Points]],
    *,
    limit: float | None = None,
    span: tuple[float, float] | None = None,
    along: str = "time",
) -> Markup:
    """Draw numbers.

    :param title: what they are, with the unit; unique on its page
    :param series: a label and points each
    :param limit: a level to draw, such as an alarm's threshold
    :param span: of the x axis; that of the points when None
    :param along: what x is: ``time``, epoch seconds, or the name of a count
    """
    drawn = [(label, [point for point in points if all(map(math.isfinite, point))]) for label, points in series]
    drawn = [(label, points) for label, points in drawn if points]
    caption = tag("figcaption", title)
    if not drawn:
        return tag("figure", caption, tag("p", "There are no values.", class_="nothing"))
    every = [point for _, points in drawn for point in points]
    left, right = span or (min(x for x, _ in every), max(x for x, _ in every))
    heights = [y for _, y in every] + ([limit] if limit is not None else [])
    bottom, top = min(0.0, *heights), max(heights)
    top = top if top > bottom else bottom + 1

    def place(point: tuple[float, float]) -> tuple[float, float]:
        x = (point[0] - left) / (right - left) * _WIDTH if right > left else _WIDTH / 2
        return x, _HEIGHT - (point[1] - bottom) / (top - bottom) * _HEIGHT

    lines = [_line([place(point) for point in points], index) for index, (_, points) in enumerate(drawn)]
    if limit is not None:
        level = place((left, limit))[1]
        lines.append(tag("path", d=f"M0 {level:.1f}H{_WIDTH}", class_="limit"))
    last = ", ".join(f"{label} {plain(points[-1][1])}" for label, points in drawn)
    svg = tag(
        "svg",
        lines,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{title}: from {plain(bottom)} to {plain(top)}; last {last}",
    )
    axis = tag("div", tag("span", plain(top)), tag("span", plain(bottom)), class_="y", aria_hidden="true")
    ends = tag("div", tag("span", _end(left, along)), tag("span", _end(right, along)), class_="x", aria_hidden="true")
    key = [tag("li", tag("span", label), class_=f"s{index % _COLOURS}") for index, (label, _) in enumerate(drawn)]
    names = tag("ul", key, class_="key") if len(drawn) > 1 else None
    return tag("figure", caption, tag("div", axis, svg, ends, class_="plot"), names, _values(title, drawn, along))


def _line(points: Sequence[tuple[float, float]], index: int) -> Markup:
    # A line of no length is a dot.
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in points) if len(points) > 1 else "{:.1f} {:.1f}h0".format(*points[0])
    kind = f"s{index % _COLOURS}" + (" dots" if len(points) == 1 else "")
    return tag("path", d=f"M{steps}", class_=kind)


def _values(title: str, drawn: Sequence[tuple[str, Points]], along: str) -> Markup:
    by_label = [(label, dict(points)) for label, points in drawn]
    places = sorted({x for _, points in drawn for x, _ in points}, reverse=True)[:_VALUES]
    rows = [
        (moment(x) if along == "time" else plain(x), *(number(values.get(x)) for _, values in by_label)) for x in places
    ]
    heads = (along, *(label for label, _ in drawn))
    return folded(f"values-{slug(title)}", "Values", table(f"Values of {title}", heads, rows))


def _end(value: float, along: str) -> str:
    return datetime.fromtimestamp(value, UTC).strftime("%H:%M:%S") if along == "time" else plain(value)
