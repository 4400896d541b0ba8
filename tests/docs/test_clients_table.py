"""The table of clients in the documentation is the one that the suites of `make test-clients` check."""

from pathlib import Path

from tests.clients.operations import OPERATIONS, expected, table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "local-aws.md"


def test_the_page_has_the_table():
    assert table() in PAGE.read_text()


def test_every_operation_is_some_clients():
    assert {one for client in ("cli1", "cli2", "sdk2", "sdk3", "javascript", "cdk") for one in expected(client)} == set(
        OPERATIONS
    )
