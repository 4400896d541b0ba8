"""The pages of the documentation, and their fenced blocks."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def name(page):
    """Return a page's path from the repository's root."""
    return str(page.relative_to(ROOT))


def blocks(page, language):
    """Return the texts of a page's fenced blocks of one language."""
    return [text for _, found, text in _FENCE.findall(page.read_text()) if found == language]


def prose(text):
    """Return a page's text without its fenced blocks."""
    return _FENCE.sub("", text)


def without_comments(text):
    """Return the JSON of a block without the comments from // to the end of the line."""
    return re.sub(r'^((?:[^"/\n]|"(?:[^"\\]|\\.)*"|/(?!/))*?)\s*//.*$', r"\1", text, flags=re.MULTILINE)
