"""The DAGs of the page on assets are those that the end-to-end tests run."""

from tests.docs.pages import DOCS, ROOT, blocks

RUN = ROOT / "tests/faults/stock/dags"


def test_the_page_shows_the_dags_that_were_run():
    shown = blocks(DOCS / "how-to/assets.md", "python")
    assert shown == [(RUN / f"{name}.py").read_text() for name in ("new_model", "etl")]
