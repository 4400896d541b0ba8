"""The notebooks of the labs are committed as a person begins them."""

import ast
import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return json.loads(request.param.read_text())


def source(cell):
    return "".join(cell["source"])


def test_there_is_one_for_each_part_of_the_labs():
    assert [path.stem.partition("_")[0] for path in NOTEBOOKS] == ["lab1", "lab2a", "lab2b", "lab2c"]


def test_it_has_no_outputs(notebook):
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []


def test_every_cell_is_python_and_is_explained(notebook):
    kinds = [cell["cell_type"] for cell in notebook["cells"]]
    assert kinds[0] == kinds[-1] == "markdown"
    assert kinds.count("markdown") >= kinds.count("code") / 2
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            ast.parse(source(cell))


def test_it_names_the_next_step_and_its_links_lead_somewhere(notebook):
    texts = [source(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    assert "**Next**" in texts[-1] and "**Before you begin**" in "".join(texts[:2])
    links = re.findall(r"\]\((?!https?:)([^)#]+)", "\n".join(texts))
    assert links and [link for link in links if not (FOLDER / link).exists()] == []


def test_it_names_no_account_region_or_address(notebook):
    text = "\n".join(source(cell) for cell in notebook["cells"])
    assert re.findall(r"(?<!\d)\d{12}(?!\d)|[a-z]{2}-[a-z]+-\d|127\.0\.0\.1|localhost", text) == []
