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


def test_who_looks_again_sees_what_has_come_and_what_has_become_full(tmp_path):
    path = tmp_path / "ledger.jsonl"
    seen = ledger.Ledger(path)
    path.write_text('{"n": 1}\n{"n"')
    assert [call["n"] for call in seen.calls()] == [1]
    path.write_text('{"n": 1}\n{"n": 2}\n')
    seen.calls()[0]["n"] = "somebody's"
    assert [call["n"] for call in seen.calls()] == [1, 2]
    path.rename(tmp_path / "ledger.1.jsonl")
    path.write_text('{"n": 3}\n')
    assert [call["n"] for call in seen.calls()] == [1, 2, 3]
    # The oldest is removed, and another file may get its number on the disk.
    (tmp_path / "ledger.1.jsonl").write_text('{"n": 4}\n{"n": 5}\n{"n": 6}\n')
    assert [call["n"] for call in seen.calls()] == [4, 5, 6, 3]
    (tmp_path / "ledger.1.jsonl").unlink()
    path.write_text("")
    assert seen.calls() == []


def test_a_broken_line_is_told_each_time(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"n": 1}\n{"n"{"n": 3}\n')
    seen = ledger.Ledger(path)
    for _ in range(2):
        with pytest.raises(ValueError, match="delimiter"):
            seen.calls()
