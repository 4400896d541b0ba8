"""Pages of documents, and the files of earlier versions."""

import json
import sqlite3
from functools import partial

import pytest

from local_aws.framework import store as store_module
from local_aws.framework.listing import page_by_name, page_newest, page_of
from local_aws.framework.store import Scope, Store

EARLIER = (
    "CREATE TABLE documents (kind TEXT, account TEXT, region TEXT, name TEXT, body TEXT NOT NULL,"
    " PRIMARY KEY (kind, account, region, name)) WITHOUT ROWID"
)
SCOPE = Scope("123456789012", "us-west-2")


class Writes:
    """A disk that is never full."""

    def write(self, work):
        return work()


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store.sqlite", Writes())
    yield made
    made.close()


def pages_of(collection, count, **wanted):
    """Return the names of all pages."""
    found, before = [], None
    while page := collection.newest(SCOPE, count, before, **wanted):
        found.append([name for name, _ in page])
        before = (page[-1][1].get("CreationTime", 0), page[-1][0])
    return found


def test_pages_are_by_creation_and_have_each_document_once(store):
    collection = store.collection("things")
    for name, created in (("a", 3.0), ("b", 1), ("c", 2.5), ("d", 2.5), ("e", None)):
        collection.put(SCOPE, name, {"CreationTime": created} if created else {})
    collection.put(Scope("123456789012", "eu-west-1"), "x", {"CreationTime": 9})
    store.collection("others").put(SCOPE, "y", {"CreationTime": 9})
    assert pages_of(collection, 2) == [["a", "d"], ["c", "b"], ["e"]]
    assert collection.count(SCOPE) == 5
    # A change keeps the place.
    collection.update(SCOPE, "b", lambda document: document.update(Changed=True))
    assert pages_of(collection, 5)[0] == ["a", "d", "c", "b", "e"]


def test_names_narrow_a_page(store):
    collection = store.collection("things")
    for number, name in enumerate(("g/1", "g/2", "gg/1", "%/1", "_")):
        collection.put(SCOPE, name, {"CreationTime": number})
    assert pages_of(collection, 9, under="g/") == [["g/2", "g/1"]]
    assert pages_of(collection, 9, containing="g/1") == [["gg/1", "g/1"]]
    assert pages_of(collection, 9, containing="%") == [["%/1"]]
    assert pages_of(collection, 9, containing="none") == []


def test_a_page_of_ten_thousand_reads_only_its_own(store, monkeypatch):
    collection = store.collection("things")
    for number in range(10_000):
        collection.put(SCOPE, f"thing-{number:05}", {"CreationTime": number, "Rest": "x" * 100})
    read = []
    loads = json.loads
    monkeypatch.setattr(json, "loads", lambda body: read.append(1) or loads(body))
    assert [name for name, _ in collection.newest(SCOPE, 3)] == ["thing-09999", "thing-09998", "thing-09997"]
    assert len(read) == 3
    plan = store.execute(
        "EXPLAIN QUERY PLAN SELECT name, body FROM documents WHERE kind = ? AND account = ? AND region = ?"
        " AND (created, name) < (?, ?) ORDER BY created DESC, name DESC LIMIT 3",
        ("things", SCOPE.account_id, SCOPE.region, 5000.0, "x"),
    )
    assert "documents_by_creation" in str(plan)
    assert "TEMP B-TREE" not in str(plan)


class FullAtFirst:
    """A disk that has space when something is tried again."""

    def write(self, work):
        with pytest.raises(sqlite3.OperationalError):
            work()
        return work()


def test_a_file_that_was_not_ordered_completely_is_ordered_later(tmp_path, monkeypatch):
    path = tmp_path / "store.sqlite"
    earlier = sqlite3.connect(path, isolation_level=None)
    earlier.execute(EARLIER)
    earlier.execute("INSERT INTO documents VALUES ('things', ?, ?, 'a', '{}')", tuple(vars(SCOPE).values()))
    earlier.close()
    failures = [sqlite3.OperationalError("database or disk is full")]

    def once(document):
        if failures:
            raise failures.pop()
        return 7.0

    monkeypatch.setattr(store_module, "_created", once)
    Store(path, FullAtFirst()).close()
    store = Store(path, Writes())
    assert store.execute("SELECT created FROM documents", ()) == [(7.0,)]
    store.close()


def test_the_file_of_an_earlier_version_is_ordered_too(tmp_path):
    path = tmp_path / "store.sqlite"
    earlier = sqlite3.connect(path, isolation_level=None)
    earlier.execute(EARLIER)
    # A metric may be NaN, which is no JSON to SQLite.
    for name, body in (("a", '{"CreationTime": 1.5, "Value": NaN}'), ("b", '{"CreationTime": 1}'), ("c", "{}")):
        earlier.execute("INSERT INTO documents VALUES ('things', ?, ?, ?, ?)", (*vars(SCOPE).values(), name, body))
    earlier.close()
    for _ in range(2):
        store = Store(path, Writes())
        assert pages_of(store.collection("things"), 5) == [["a", "b", "c"]]
        store.close()


def work_of(store, call):
    """Return how much SQLite did for a call, in its own steps."""
    steps = []
    store._database.connection.set_progress_handler(lambda: steps.append(1) and None, 10)
    call()
    store._database.connection.set_progress_handler(None, 0)
    return len(steps)


def test_the_file_of_a_version_without_statuses_gets_them(tmp_path):
    path = tmp_path / "store.sqlite"
    store = Store(path, Writes())
    jobs = store.collection("jobs")
    for name, status in (("a", "InProgress"), ("b", "Completed")):
        jobs.put(SCOPE, name, {"CreationTime": 1, "Name": name, "TrainingJobStatus": status})
    # SQLite cannot read NaN as JSON.
    jobs.put(SCOPE, "c", {"CreationTime": 2, "Name": "c", "EndpointStatus": "InProgress", "Value": float("nan")})
    store.execute("DROP INDEX documents_by_status", ())
    store.execute("ALTER TABLE documents DROP COLUMN status", ())
    store.close()
    for _ in range(2):
        store = Store(path, Writes())
        assert listed(store.collection("jobs"), StatusEquals="InProgress") == ["a", "c"]
        store.close()


def listed(collection, **asked):
    asked = {"SortOrder": "Ascending", **asked}
    page, _ = page_of(collection, SCOPE, asked, name_field="Name", sort_fields={"CreationTime": "CreationTime"})
    return [one["Name"] for one in page]


def test_documents_of_a_status_are_found_without_the_others(store):
    jobs, work, have = store.collection("jobs"), {}, 0
    for size in (50, 3000):
        store.execute("BEGIN", ())
        for number in range(have, size):
            job = {"Name": f"mlops-{number:05}", "CreationTime": number, "TrainingJobStatus": "Completed"}
            jobs.put(SCOPE, job["Name"], job)
        store.execute("COMMIT", ())
        have = size
        jobs.put(SCOPE, "mlops-now", {"Name": "mlops-now", "CreationTime": size, "TrainingJobStatus": "InProgress"})
        asked = {"NameContains": "mlops-", "CreationTimeBefore": 9e9, "StatusEquals": "InProgress"}
        assert listed(jobs, **asked) == listed(jobs, **asked, SortOrder="Descending") == ["mlops-now"]
        work[size] = work_of(store, lambda asked=asked: listed(jobs, **asked))
    assert work[3000] <= work[50] + 5, work
    # What has another status now is found by that one alone.
    jobs.update(SCOPE, "mlops-now", lambda job: job.update(TrainingJobStatus="Stopped"))
    assert (listed(jobs, StatusEquals="InProgress"), listed(jobs, StatusEquals="Stopped")) == ([], ["mlops-now"])


def renew(document):
    document["Renewed"] = True


def test_a_page_and_a_change_cost_the_same_whatever_there_is(store):
    collection = store.collection("things")
    work = {}
    for size in (50, 2000):
        store.execute("BEGIN", ())
        for number in range(size):
            for name in (f"{number:05}", f"of/{number:05}"):
                collection.put(SCOPE, name, {"Name": name, "CreationTime": float(number)})
        store.execute("COMMIT", ())

        def listed(by, family, **more):
            return page_of(
                collection,
                SCOPE,
                {"SortBy": by, "MaxResults": 20, **more},
                name_field="Name",
                sort_fields={"CreationTime": "CreationTime", "Name": "Name"},
                family=family,
            )

        for by, family in (("CreationTime", ""), ("CreationTime", "of/"), ("Name", "of/")):
            _, token = listed(by, family)
            page, _ = listed(by, family, NextToken=token)
            assert [one["Name"] for one in page] == [f"{family}{n:05}" for n in range(size - 21, size - 41, -1)]
            steps = work_of(store, lambda by=by, family=family, token=token: listed(by, family, NextToken=token))
            work[size, by, family] = steps
        work[size, "change"] = work_of(store, lambda: collection.update(SCOPE, "00007", renew))
    for size, *what in list(work):
        if size == 50:
            assert work[2000, *what] <= work[50, *what] + 5, (what, work)


# --- several documents at once ----------------------------------------------------------------------------------------


def test_together_writes_all_or_nothing(store):
    names = store.collection("names")
    names.put(SCOPE, "a", {"count": 1})

    def change():
        names.update(SCOPE, "a", lambda document: document.update(count=2))
        names.put(SCOPE, "b", {"count": 1})
        # What was written is seen within, and `together` within `together` is a part of it.
        store.together(lambda: names.delete(SCOPE, "b"))
        assert names.get(SCOPE, "b") is None
        names.put(SCOPE, "c", {})

    store.together(change)
    assert (names.get(SCOPE, "a"), names.get(SCOPE, "c")) == ({"count": 2}, {})

    def fail():
        names.delete(SCOPE, "a")
        names.put(SCOPE, "d", {})
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.together(fail)
    assert (names.get(SCOPE, "a"), names.get(SCOPE, "d")) == ({"count": 2}, None)


def test_together_is_one_write_which_the_disk_may_repeat(tmp_path):
    class Counting(Writes):
        writes = 0

        def write(self, work):
            self.writes += 1
            return work()

    disk = Counting()
    made = Store(tmp_path / "store.sqlite", disk)
    before = disk.writes
    made.together(lambda: [made.collection("names").put(SCOPE, name, {}) for name in "abc"])
    assert disk.writes == before + 1
    made.close()


def test_pages_by_name_are_of_a_part_of_the_names(store):
    names = store.collection("names")
    for name in ("a/1", "a/2", "a/3", "a:b/1", "b/1"):
        names.put(SCOPE, name, {"CreationTime": 1})
    page, token = page_by_name(names, SCOPE, 2, None, under="a/", conditions=[])
    assert [name for name, _ in page] == ["a/1", "a/2"]
    page, token = page_by_name(names, SCOPE, 2, token, under="a/", conditions=[])
    assert ([name for name, _ in page], token) == (["a/3"], None)
    page, token = page_by_name(names, SCOPE, 2, None, under="a/", descending=True, conditions=[])
    assert [name for name, _ in page] == ["a/3", "a/2"]
    last, _ = page_by_name(names, SCOPE, 2, token, under="a/", descending=True, conditions=[])
    assert [name for name, _ in last] == ["a/1"]
    # The token of another list does not lead out of the names.
    page, _ = page_by_name(names, SCOPE, 9, token, under="b/", conditions=[])
    assert [name for name, _ in page] == ["b/1"]
    assert page_by_name(names, SCOPE, 9, token, under="b/", descending=True, conditions=[])[0] == []


def test_the_last_page_of_a_part_of_the_names_costs_what_the_first_does(store):
    names = store.collection("names")
    store.execute("BEGIN", ())
    for number in range(3000):
        names.put(SCOPE, f"a/{number:05}", {})
    store.execute("COMMIT", ())
    for descending in (False, True):
        work, token = [], None
        while token or not work:
            read = partial(page_by_name, names, SCOPE, 500, token, under="a/", descending=descending, conditions=[])
            work.append(work_of(store, read))
            _, token = read()
        assert len(work) == 6 and max(work) <= min(work) + 5, work


def test_pages_by_time_go_on_when_documents_come(store):
    names = store.collection("names")
    for number in range(3):
        names.put(SCOPE, f"n{number}", {"CreationTime": number})
    page, token = page_newest(names, SCOPE, 2, None, descending=True, conditions=[])
    names.put(SCOPE, "newer", {"CreationTime": 9})
    rest, last = page_newest(names, SCOPE, 2, token, descending=True, conditions=[])
    assert ([name for name, _ in page], [name for name, _ in rest], last) == (["n2", "n1"], ["n0"], None)
