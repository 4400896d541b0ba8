"""The pages for developers name files that exist."""

import re

import pytest

from tests.docs.pages import PAGES as PAGES_OF_ALL
from tests.docs.pages import ROOT, name

PACKAGE = ROOT / "plugins" / "slipway"
NAMED = re.compile(r"`([a-z_]+(?:/[a-zA-Z_<>]+)*(?:/|\.(?:py|yaml|md)))`")
PAGES = {
    "architecture.md": ("## One release, file by file", "## What each task leaves behind"),
    "development.md": ("## Where does this go?", "## Tests"),
}


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_the_page_names_is_there(page):
    begin, end = PAGES[page]
    text = (ROOT / "docs" / page).read_text()
    named = set(NAMED.findall(text[text.index(begin) : text.index(end)]))
    assert len(named) > 20
    assert {name for name in named if not (PACKAGE / name).exists() and not (ROOT / name).exists()} == set()


def test_the_tree_shows_every_room():
    text = (ROOT / "docs" / "architecture.md").read_text()
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and not path.name.startswith("__")}
    assert {room for room in rooms if f"{room}/" not in text} == set()
    loose = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py"}
    assert {name for name in loose if name not in text} == set()


PLACES = "tests|plugins|dags|include|local_aws|tools|bench|demo|docs"
# The tutorial has the reader make it.
MADE_BY_THE_READER = {"include/models/wine-model.yaml"}
PATH = re.compile(rf"`((?:{PLACES})/[\w./-]+?)(?:::\w+)?/?`")


@pytest.mark.parametrize("page", PAGES_OF_ALL, ids=name)
def test_every_path_on_every_page_is_there(page):
    named = set(PATH.findall(page.read_text())) - MADE_BY_THE_READER
    assert {path for path in named if not (ROOT / path).exists()} == set()
