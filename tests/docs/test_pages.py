"""Every page can be reached, leads nowhere that does not exist, and begins with words."""

import json
import re
import runpy
from collections import Counter

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT, blocks, name, prose

LINK = re.compile(r"\]\(([^)\s]+)\)")
INLINE_CODE = re.compile(r"`[^`\n]*`")


def anchors(page):
    """Return the names that GitHub and the site give to the headings of a page."""
    found: Counter[str] = Counter()
    names = set()
    for heading in re.findall(r"^#{1,6} (.*)$", prose(page.read_text()), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
        slug = re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")
        names.add(f"{slug}-{found[slug]}" if found[slug] else slug)
        found[slug] += 1
    return names


def targets(page):
    """Return the links of a page that stay in the repository."""
    text = INLINE_CODE.sub("", prose(page.read_text()))
    return [link for link in LINK.findall(text) if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_link_is_dead(page):
    dead = []
    for link in targets(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_page_begins_with_a_table(page):
    blocks = [block for block in page.read_text().split("\n\n") if block.strip()]
    assert blocks[0].startswith("# ")
    first = blocks[0].partition("\n")[2].strip() or blocks[1]
    assert not first.startswith("|"), "say first what the reader can do with this page"


def test_the_navigation_lists_every_page_once():
    navigation = runpy.run_path(str(DOCS / "navigation.py"))["NAVIGATION"]
    listed = [page for pages in navigation.values() for page in pages]
    assert sorted([*listed, "docs/README.md"]) == sorted(map(name, PAGES))


def test_the_readme_leads_to_the_tutorial():
    more = (ROOT / "README.md").read_text().partition("\n## More\n")[2]
    first = LINK.search(more)
    assert first is not None and first[1] == "docs/tutorial/1-install.md"


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "json")], ids=name)
def test_json_is_valid(page):
    """A block is an object, or some of its members, or a line for each object."""
    for block in blocks(page, "json"):
        text = block if block.startswith(("{", "[")) else f"{{{block}}}"
        assert json.loads(text)
