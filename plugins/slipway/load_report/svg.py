"""Draw plots by matplotlib as SVG for a page: with the page's colours and fonts, unique ids and a description.

https://matplotlib.org/stable/users/explain/figure/backends.html
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as Xml

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_INCHES, HEIGHT_INCHES = 9.0, 2.7
# The same for every plot, so that their time axes are aligned; the legend is on the right.
_LEFT_INCHES, _RIGHT_INCHES, _TOP_INCHES, _BOTTOM_INCHES = 0.8, 1.7, 0.25, 0.5
# matplotlib writes colours by value; these stand for colours of the page, which has a light and a dark theme.
_PAGE_COLOURS = {
    "#0a0001": "ink",
    "#0a0002": "muted",
    "#0a0003": "grid",
    "#0a0004": "good",
    "#0a0005": "bad",
    "#0a0006": "unknown",
    "#0a0011": "series-1",
    "#0a0012": "series-2",
    "#0a0013": "series-3",
    "#0a0014": "series-4",
    "#0a0015": "series-5",
    "#0a0016": "series-6",
}
_BY_NAME = {name: value for value, name in _PAGE_COLOURS.items()}
_SERIES = [value for value, name in _PAGE_COLOURS.items() if name.startswith("series")]
# Characters that XML does not allow, including surrogates.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MAX_LABEL = 28
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_URL = re.compile(r"url\(#([^)]+)\)")
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.edgecolor": _BY_NAME["muted"],
    "axes.labelcolor": _BY_NAME["ink"],
    "axes.titlecolor": _BY_NAME["ink"],
    "text.color": _BY_NAME["ink"],
    "xtick.color": _BY_NAME["muted"],
    "ytick.color": _BY_NAME["muted"],
    "grid.color": _BY_NAME["grid"],
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "path.simplify": True,
    # A variant may be called $x$.
    "text.parse_math": False,
}


def colour(name: str) -> str:
    """Return the value that stands for a colour of the page, by its name in the style sheet."""
    return _BY_NAME[name]


def series_colour(number: int) -> str:
    """Return the colour of a series; there are six, then they repeat."""
    return _SERIES[number % len(_SERIES)]


def clean(text: object) -> str:
    """Return the text without characters that HTML and XML do not allow."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", str(text))


def label(text: object) -> str:
    """Return a text that fits into a plot's legend."""
    cleaned = " ".join(clean(text).split())
    # A leading underscore hides a series from the legend.
    cleaned = f"\N{ZERO WIDTH SPACE}{cleaned}" if cleaned.startswith("_") else cleaned
    return cleaned if len(cleaned) <= _MAX_LABEL else f"{cleaned[: _MAX_LABEL - 1]}…"


@contextmanager
def _quiet_settings() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context(_SETTINGS):
        yield


def draw(
    name: str, description: str, paint: Callable[[Any], None], panels: int = 1, height_inches: float = HEIGHT_INCHES
) -> str:
    """Draw a plot.

    :param name: unique in the page: letters and hyphens
    :param description: for people who cannot see the plot
    :param paint: draws on the axes it is given, a list of axes when there are several panels
    :param panels: how many, one below the other, on one time axis
    :param height_inches: height of each panel
    :returns: an ``svg`` element
    """
    with _quiet_settings():
        # Imported here: matplotlib takes half a second to import. Not pyplot, which would keep every figure in memory.
        from matplotlib.figure import Figure

        height = height_inches * panels
        figure: Figure = Figure(figsize=(WIDTH_INCHES, height))
        figure.subplots_adjust(
            left=_LEFT_INCHES / WIDTH_INCHES,
            right=1 - _RIGHT_INCHES / WIDTH_INCHES,
            top=1 - _TOP_INCHES / height,
            bottom=_BOTTOM_INCHES / height,
        )
        axes: list[Axes] = list(figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0])
        paint(axes[0] if panels == 1 else axes)
        written = io.StringIO()
        figure.savefig(
            written,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    return _part_of_page(written.getvalue(), name, description)


def _part_of_page(document: str, name: str, description: str) -> str:
    root = Xml.fromstring(document)  # noqa: S314 - matplotlib has just written it, every text of it escaped
    for parent in list(root.iter()):
        for child in list(parent):
            # This style would apply to every element of the page.
            if child.tag == f"{{{_SVG}}}defs" and child.find(f"{{{_SVG}}}style") is not None:
                parent.remove(child)
    used = set()
    for element in root.iter():
        if (reference := element.attrib.pop(f"{{{_XLINK}}}href", None)) is not None:
            used.add(reference.removeprefix("#"))
            element.set("href", f"#{name}-{reference.removeprefix('#')}")
        for key, value in list(element.attrib.items()):
            used.update(_URL.findall(value))
            element.set(key, _on_page(value, name))
    for element in root.iter():
        identity = element.attrib.pop("id", None)
        if identity in used:
            element.set("id", f"{name}-{identity}")
    for dimension in ("width", "height", "version"):
        root.attrib.pop(dimension, None)
    root.attrib.update({"role": "img", "aria-label": clean(description)})
    Xml.register_namespace("", _SVG)
    return Xml.tostring(root, encoding="unicode")


def _on_page(value: str, name: str) -> str:
    for found, page_colour in _PAGE_COLOURS.items():
        value = value.replace(found, f"var(--{page_colour})")
    return _URL.sub(lambda match: f"url(#{name}-{match[1]})", value)
