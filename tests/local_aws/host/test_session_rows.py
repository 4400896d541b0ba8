"""What an assumed role costs does not follow how many sessions there are: each is a row."""

import json
import sqlite3
from contextlib import closing

import pytest

from local_aws.host.state_entries import Unchanging, written
from tests.local_aws.gateway_script import run_with_gateway

# Runs where ministack is installed; prints the rows that one more session and the end of an old one have written, and
# the sessions that a start finds.
SAVE = """
import time
from ministack.services import sts

app._load_persisted_state()
found = sorted(sts._sessions)
rows = []
write = built.persistence._rows.write

def noted(changes, formats):
    changes = list(changes)
    rows.extend([part, text is None] for _, part, text in changes)
    write(changes, formats)

built.persistence._rows.write = noted

def told():
    del rows[:]
    built.persistence.save_service("sts")
    return sorted(rows)

expires = time.time() + 3600
for number in range(int(sys.argv[2])):
    sts.register_session(f"ASIA{number:04}", {"Expiration": expires, "SessionToken": "t" * 300})
first = told()
sts.register_session("NEW", {"Expiration": expires})
one = told()
sts._sessions["ASIA0000"] = {**sts._sessions["ASIA0000"], "Expiration": 1}
sts.register_session("LAST", {"Expiration": expires})
print(json.dumps([found, len(first), one, told(), told()]))
"""


@pytest.mark.local_aws
@pytest.mark.parametrize("count", [10, 300])
def test_one_more_session_writes_one_row(tmp_path, count):
    found, first, one, gone, none = json.loads(run_with_gateway(SAVE, tmp_path, str(count)))
    assert (found, first, one, none) == ([], count, [["NEW", False]], [])
    assert gone == [["ASIA0000", True], ["LAST", False]]
    found, *_ = json.loads(run_with_gateway(SAVE, tmp_path, "1"))
    assert len(found) == count + 1 and {"ASIA0001", "NEW", "LAST"} <= {*found} and "ASIA0000" not in found


@pytest.mark.local_aws
def test_the_sessions_of_an_earlier_version_are_taken_over(tmp_path):
    run_with_gateway(SAVE, tmp_path, "1")
    former = json.dumps({"FORMER": {"Expiration": 4e9}, "EXPIRED": {"Expiration": 1}})
    with closing(sqlite3.connect(tmp_path / "ministack/state.sqlite")) as file, file:
        file.execute("DELETE FROM entries WHERE state = 'sts'")
        file.execute(
            "INSERT INTO entries (state, member, key, part, body) VALUES ('sts', 'sessions', '', '', ?)", (former,)
        )
    found, first, *_ = json.loads(run_with_gateway(SAVE, tmp_path, "1"))
    # The one row goes, and each session has its own.
    assert (found, first) == (["FORMER"], 3)
    found, *_ = json.loads(run_with_gateway(SAVE, tmp_path, "1"))
    assert found == ["FORMER", "LAST", "NEW"]


def changes(entry, value):
    return sorted(entry.changes(value))


def test_rows_of_what_does_not_change():
    entry, value = Unchanging(), {"a": {"n": 1}, "b": {"n": 2}}
    assert changes(entry, value) == [("a", written({"n": 1})), ("b", written({"n": 2}))]
    assert changes(entry, dict(value)) == []
    assert changes(entry, {"a": value["a"], "c": {}}) == [("b", None), ("c", "{}")]
    again = Unchanging()
    read = again.join([("a", '{"n": 1}')])
    assert read == {"a": {"n": 1}} and changes(again, dict(read)) == []
    assert changes(again, {"a": {"n": 3}}) == [("a", '{"n": 3}')]
    former = Unchanging()
    read = former.join([("", '{"a": {"n": 1}}'), ("b", '{"n": 2}')])
    assert sorted(former.changes(read), key=str) == [("", None), ("a", '{"n": 1}'), ("b", '{"n": 2}')]
    assert changes(former, read) == []
