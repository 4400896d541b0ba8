"""Reading the ledger of calls while it is written."""

from __future__ import annotations

import pytest

from tools import ledger


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("", []), ('{"n": 1}\n{"n": 2}\n', [1, 2]), ('{"n": 1}\n{"n"', [1]), ('{"n": 1}\n{"n": 2}', [1]), ('{"n', [])],
)
def test_a_line_counts_once_it_is_whole(tmp_path, text, numbers):
    path = tmp_path / "ledger.jsonl"
    path.write_text(text)
    assert [call["n"] for call in ledger.read(path)] == numbers


def test_a_broken_line_in_the_middle_is_told(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"n": 1}\n{"n"{"n": 3}\n')
    with pytest.raises(ValueError, match="delimiter"):
        ledger.read(path)


def test_full_files_are_read_first(tmp_path):
    path = tmp_path / "ledger.jsonl"
    for number, name in [(1, "ledger.2.jsonl"), (2, "ledger.10.jsonl"), (3, "ledger.jsonl"), (0, "ledger.old.jsonl")]:
        (tmp_path / name).write_text(f'{{"n": {number}}}\n')
    assert [call["n"] for call in ledger.read(path)] == [1, 2, 3]
