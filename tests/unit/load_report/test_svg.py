"""Plots as part of a page: the page's colours, ids that do not clash, texts that can do no harm."""

from xml.etree.ElementTree import fromstring

import pytest

from slipway.load_report.svg import clean, colour, draw, label, series_colour

HOSTILE = "<script>alert(1)</script> $\\frac{$ & \"' \x00\x0b\ud800"


def parsed(drawn):
    return fromstring(drawn)  # noqa: S314 - drawn here


def plot(name="one", text="model-a"):
    def paint(axes):
        axes.plot([0, 1, 2], [3, 1, 2], color=series_colour(0), marker=".", label=label(text))
        axes.axvline(1, color=colour("bad"))
        axes.legend()

    return draw(name, f"About {text}", paint)


def test_colours_are_the_pages():
    drawn = plot()
    assert "var(--series-1)" in drawn
    assert "var(--bad)" in drawn
    assert "var(--ink)" in drawn
    assert "#0a00" not in drawn


def test_ids_are_kept_only_where_they_are_used_and_differ_between_plots():
    roots = [parsed(plot(name)) for name in ("one", "two")]
    ids = [{element.get("id") for element in root.iter() if element.get("id")} for root in roots]
    assert ids[0]
    assert not ids[0] & ids[1]
    for root, known in zip(roots, ids, strict=True):
        for element in root.iter():
            reference = element.get("href", "")
            assert not reference or reference.removeprefix("#") in known
            if "url(" in (clip := element.get("clip-path", "")):
                assert clip.removeprefix("url(#").removesuffix(")") in known


def test_a_hostile_text_stays_a_text():
    drawn = plot(text=HOSTILE)
    assert "<script" not in drawn
    root = parsed(drawn)
    assert any("<script>alert(1)</script>" in (element.text or "") for element in root.iter())
    drawn.encode()


def test_a_plot_fits_its_page_and_is_described():
    root = parsed(plot())
    assert (root.get("width"), root.get("height")) == (None, None)
    assert root.get("viewBox")
    assert (root.get("role"), root.get("aria-label")) == ("img", "About model-a")


def test_nothing_leads_out_of_the_page():
    drawn = plot()
    assert drawn.count("http") == drawn.count('xmlns="http://www.w3.org/2000/svg"') == 1
    # A style in a plot would be the whole page's.
    assert "<style" not in drawn


@pytest.mark.parametrize(
    ("text", "expected"),
    [("model-a", "model-a"), ("_hidden", "\u200b_hidden"), ("a\nb", "a b"), ("x" * 50, "x" * 27 + "…"), ("\x00", "�")],
)
def test_labels(text, expected):
    assert label(text) == expected


def test_cleaning_keeps_what_can_be_shown():
    assert clean("é → 😀\n") == "é → 😀\n"


def test_colours_of_series_begin_again():
    assert series_colour(6) == series_colour(0) != series_colour(1)
