"""What the pages are made of, without a server."""

import json
import math

import pytest

from local_aws.console import ledger_lines
from local_aws.console.arithmetic import Unknown, evaluate
from local_aws.console.html import Markup, tag
from local_aws.console.ledger_lines import Position
from local_aws.console.pages.jobs import metrics_of
from local_aws.console.parts import moment, plain, size, state, table
from local_aws.console.plots import plot
from local_aws.framework.disk import Disk
from local_aws.framework.store import Scope
from local_aws.host.object_views import ObjectViews
from local_aws.host.s3_index import S3Index
from local_aws.host.stack_views import StackViews

SCOPE = Scope("123456789012", "us-west-2")


class Scoped:
    def __init__(self, data):
        self._data = data


class Module:
    def __init__(self, **stores):
        for name, data in stores.items():
            setattr(self, name, Scoped(data))


def test_texts_are_escaped_and_markup_is_kept():
    made = tag("p", "<b>", Markup("<i>"), ["&", None, 1], title='"<', hidden=True, for_=None, aria_label="'")
    assert made == '<p title="&quot;&lt;" hidden aria-label="&#x27;">&lt;b&gt;<i>&amp;1</p>'
    assert tag("p", "a\x00\x1b\ud800\ufffe\tb\n") == "<p>a\ufffd\ufffd\ufffd\ufffd\tb\n</p>"
    made.encode()


def test_a_table_has_a_caption_and_headings():
    made = table("Things", ("name", "size"), [("<a>", size(1))])
    assert '<caption id="things-caption">Things</caption>' in made
    assert '<th scope="col" class="number">size</th>' in made
    assert '<th scope="row">&lt;a&gt;</th>' in made
    assert table("Things", ("name",), []) == '<p class="nothing">Things: there are none.</p>'


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("Completed", "good"),
        ("UPDATE_COMPLETE", "good"),
        ("UPDATE_ROLLBACK_COMPLETE", "bad"),
        ("CREATE_FAILED", "bad"),
        ("ROLLBACK_IN_PROGRESS", "busy"),
        ("Stopped", "idle"),
        ("<x>", "idle"),
    ],
)
def test_states_are_coloured_by_what_they_mean(value, kind):
    assert f'class="state {kind}"' in state(value)


def test_numbers_and_times_are_written_for_people():
    assert [plain(value) for value in (0, 1234567, 0.12345678, 1e30, 2.0)] == [
        "0",
        "1,234,567",
        "0.123457",
        "1e+30",
        "2",
    ]
    assert [size(value).content for value in (0, 999, 1500, 2_000_000, None)] == [
        "0 bytes",
        "999 bytes",
        "1.5 kB",
        "2 MB",
        "",
    ]
    assert "2023-11-14 22:13:20" in moment(1_700_000_000)
    assert "2026-01-02 03:04:05</time>" in moment("2026-01-02T03:04:05.678Z")
    assert moment(None) == ""


def test_metrics_are_read_from_xgboosts_lines():
    lines = [
        "[0]#011train-merror:0.5#011validation-mlogloss:1e-3",
        "[1]\ttrain-merror:-inf",
        "[2] train-map@5:0.1",
        "[3]#011train-merror:high",
        "[x] a:1",
        "[0] " + "a" * 100_000,
        "[0]" + "\t" * 100_000,
        "anything",
    ]
    assert metrics_of(lines) == {
        "train-merror": [(0.0, 0.5), (1.0, -math.inf)],
        "validation-mlogloss": [(0.0, 0.001)],
        "train-map@5": [(2.0, 0.1)],
    }


def test_plots_survive_any_numbers():
    for points in ([], [(1, 1)], [(1, 0), (2, 0)], [(1, math.nan), (2, math.inf)], [(1, -5), (1, 1e300), (3, -1e300)]):
        made = plot("<t>", [("<a>", points), ("b", [])], limit=5, along="round")
        assert "<t>" not in made
        assert "nan" not in made
    assert 'class="limit"' in plot("t", [("a", [(1, 1)])], limit=0.5)


def test_metric_math_is_the_four_operations():
    used, calculate = evaluate("(a + b) * 2 / c - 1", {"a", "b", "c", "d"})
    assert used == {"a", "b", "c"}
    assert calculate({"a": 1, "b": 2, "c": 3}) == 1
    assert calculate({"a": 1, "b": 2, "c": 0}) is None
    for wrong in (
        "a ** 9",
        "SUM(a)",
        "x",
        "a.b",
        "[a]",
        "__import__('os')",
        "'a' * 9",
        "True",
        "1j",
        "",
        "(" * 900,
        "a\x00",
    ):
        with pytest.raises(Unknown):
            evaluate(wrong, {"a"})


def test_the_newest_calls_are_read_from_the_end_of_all_files(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger_lines, "_CHUNK_BYTES", 50)
    path = tmp_path / "ledger.jsonl"
    written = [json.dumps({"number": number, "pad": "x" * (number % 7 * 20)}) + "\n" for number in range(60)]
    path.with_name("ledger.9.jsonl").write_text("".join(written[:20]))
    path.with_name("ledger.10.jsonl").write_text("".join(written[20:40]))
    path.write_text("".join(written[40:]) + '{"number": 60')
    found, before = [], None
    while True:
        part = ledger_lines.read(path, lambda call: call["number"] % 3 == 0, 4, before)
        found += [call["number"] for call in part.calls]
        if part.next is None:
            break
        before = Position.of(str(part.next))
    assert found == list(range(57, -1, -3))


def test_a_search_that_finds_little_stops_and_goes_on(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_text("".join(json.dumps({"number": number}) + "\n" for number in range(100)))

    def read(before):
        return ledger_lines.read(path, lambda call: call["number"] == 0, 4, before, most_bytes=300)

    steps, part = 0, read(None)
    while part.next is not None:
        assert part.calls == []
        steps, part = steps + 1, read(part.next)
    assert (part.calls, steps > 2) == ([{"number": 0}], True)


@pytest.mark.parametrize("written", ["", "x", "1", "1-", "-1", "1-²", "1-1-1", "9" * 50 + "-1"])
def test_what_is_no_position_is_none(written):
    assert Position.of(written) is None


def test_a_page_of_ten_thousand_keys(tmp_path):
    objects = {f"key-{number:05}": {"size": 1, "etag": '"e"', "last_modified": "2026"} for number in range(10_000)}
    holder = SCOPE.account_id, "b"
    index = S3Index(tmp_path / "s3.sqlite", Disk(tmp_path))
    index.begin()
    for key, record in objects.items():
        index.put_object(holder, key, record)
    index.commit([], [])
    stores = {"_buckets": {holder: {"created": "2026", "objects": objects}}, "_bucket_versioning": {}}
    views = ObjectViews({"ministack.services.s3": Module(**stores)}, index)
    work = index.work
    page = views.keys(SCOPE, "b", "key-", "key-04999", 3)
    assert [one.key for one in page] == ["key-05000", "key-05001", "key-05002"]
    assert index.work - work < 30
    assert views.keys(SCOPE, "other", "", "", 3) is None
    assert [name for name, _ in views.buckets(SCOPE)] == ["b"]
    assert [views.count(SCOPE, "b", most) for most in (100, 20_000)] == [100, 10_000]


def test_stacks_of_another_account_or_region_are_not_shown():
    stacks = {
        (account, region, "s"): {"StackId": f"{account}/{region}", "StackName": "s", "Parameters": []}
        for account in ("1", "2")
        for region in ("a", "b")
    }
    views = StackViews({"ministack.services.cloudformation": Module(_stacks=stacks, _stack_events={})})
    assert [one["StackId"] for one in views.stacks(Scope("1", "b"))] == ["1/b"]
    assert views.stack(Scope("1", "c"), "s") is None
