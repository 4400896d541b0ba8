"""How `make docs` builds the site from the pages of the repository.

The pages are the same files that GitHub shows, so they hold plain Markdown and no directives of Sphinx. The navigation
is here, and is added to the first page when the site is built. Sphinx fails on a page that it does not list.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from navigation import NAVIGATION
from pygments.lexers import JavascriptLexer
from sphinx.highlighting import lexers

project = "Slipway"
author = "the Slipway contributors"
# The source folder is the repository's root, because pages link to SECURITY.md and to files beside docs/.
root_doc = "docs/README"
include_patterns = ["docs/**", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
# Folders that need not be searched for pages.
exclude_patterns = [".*", "**/node_modules", "**/__pycache__", "site", "pictures", "build", "dist", "logs"]

extensions = ["myst_parser", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}
nitpicky = True
myst_heading_anchors = 4
# JSON with comments is written as JavaScript is.
lexers["jsonc"] = JavascriptLexer()

html_theme = "furo"
html_title = "Slipway"
html_extra_path = ["extra"]
html_static_path = ["static"]
html_css_files = ["wide.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
copybutton_exclude = ".linenos, .gp, .go"


def add_navigation(app: object, docname: str, source: list[str]) -> None:
    """Append the navigation to the first page, as Sphinx's own tables of contents."""
    if docname != root_doc:
        return
    for caption, pages in filter(lambda chapter: chapter[1], NAVIGATION.items()):
        listed = "\n".join(f"/{page.removesuffix('.md')}" for page in pages)
        source[0] += f"\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"


def setup(app) -> None:  # noqa: ANN001
    """Register the navigation with Sphinx, which reads all pages again when it has changed."""
    app.add_config_value("navigation", NAVIGATION, "env", dict)
    app.connect("source-read", add_navigation)
