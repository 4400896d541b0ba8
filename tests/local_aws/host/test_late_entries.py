"""Entries that are read from their text when somebody asks for them: nobody notices but who counts."""

import copy
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from local_aws.host.late_entries import LateEntries, Unread, mentioning
from local_aws.host.state_entries import Pieces, Whole, changed, written


class Counting(Whole):
    def __init__(self, reads: list) -> None:
        super().__init__()
        self.reads = reads

    def join(self, parts):
        value = super().join(parts)
        self.reads.append(value["name"])
        return value


class Store:
    """A store with some unread entries."""

    def __init__(self, count: int = 3) -> None:
        self.reads: list[str] = []
        self.kept = [Counting(self.reads) for _ in range(count)]
        self.entries = LateEntries()
        for number, entry in enumerate(self.kept):
            text = written({"name": f"n{number}", "status": "IN_PROGRESS" if number == 1 else "COMPLETE"})
            self.entries[f"k{number}"] = Unread(entry, [("", text)])


@pytest.fixture
def store():
    return Store()


def test_only_what_is_asked_for_is_read_and_once(store):
    assert len(store.entries) == 3 and "k0" in store.entries and list(store.entries) == ["k0", "k1", "k2"]
    assert store.reads == []
    first = store.entries["k1"]
    first["changed"] = True
    assert store.entries.get("k1") is store.entries.setdefault("k1", None) is first
    assert store.entries.get("none", 1) == 1
    assert store.reads == ["n1"]


@pytest.mark.parametrize(
    "everything",
    [
        dict,
        copy.copy,
        copy.deepcopy,
        LateEntries.copy,
        lambda entries: {**entries},
        lambda entries: entries | {},
        lambda entries: {} | entries,
        lambda entries: dict(entries.items()),
        lambda entries: dict(zip(entries, entries.values(), strict=True)),
        lambda entries: dict([entries.popitem(), *entries.items()]),
        lambda entries: json.loads(json.dumps(entries)),
        lambda entries: {key: entries.pop(key) for key in list(entries)},
    ],
)
def test_whoever_takes_all_gets_values(store, everything):
    taken = everything(store.entries)
    assert {key: taken[key]["name"] for key in sorted(taken)} == {"k0": "n0", "k1": "n1", "k2": "n2"}


def test_another_dictionary_takes_entries_over_without_reading_them(store):
    other = LateEntries({"k0": "former", "own": 1})
    other.update(store.entries)
    other |= {"more": 2}
    assert store.reads == []
    assert other["k2"] is store.entries["k2"]
    assert other["k0"]["name"] == "n0" and other["own"] == 1 and other["more"] == 2
    assert store.reads == ["n2", "n0"]


def test_only_entries_that_may_mean_it_are_read(store):
    assert [key for key, _ in mentioning(store.entries, 'IN_PROGRESS"')] == ["k1"]
    assert store.reads == ["n1"]
    assert list(mentioning({"plain": 1}, "any")) == [("plain", 1)]


def test_threads_that_ask_at_a_time_get_the_same(store):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: store.entries["k0"], range(64)))
    assert all(one is found[0] for one in found)
    assert store.reads == ["n0"]


def test_what_is_read_late_counts_as_being_on_disk(store):
    assert list(changed(store.kept[0], store.entries["k0"])) == []
    store.entries["k0"]["name"] = "other"
    assert [part for part, _ in changed(store.kept[0], store.entries["k0"])] == [""]


def test_rows_of_what_is_replaced_unread_are_known():
    entry, entries = Pieces(), LateEntries()
    entries["list"] = Unread(entry, [("0", json.dumps(list(range(32)))), ("1", "[32]")])
    entries["list"] = ["new"]
    assert list(changed(entry, entries["list"])) == [("0", '["new"]'), ("1", None)]
