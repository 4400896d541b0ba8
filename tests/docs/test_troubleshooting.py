"""Each text that docs/troubleshooting.md explains is one that the code says."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.docs.pages import DOCS, ROOT

PAGE = DOCS / "troubleshooting.md"
TEXTS = re.findall(r"\*\*`([^`\n]+)`", PAGE.read_text())
FOLDERS = ("plugins/slipway", "tools")


def texts_of(source: str) -> Iterator[str]:
    """Yield the texts of a module, with … where a value is filled in."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)


@cache
def said() -> str:
    files = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
    return "\n".join(text for file in files for text in texts_of(file.read_text()))


@pytest.mark.parametrize("text", TEXTS)
def test_the_code_says_it(text):
    parts = [re.escape(part) for part in text.split("…")]
    assert re.search("[^\n]*?".join(parts), said())


def test_there_are_many_of_them():
    assert len(TEXTS) > 70
