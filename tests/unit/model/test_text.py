"""The text of a model file: whatever is wrong with it becomes that file's error, with line and column."""

import os
import socket
from itertools import pairwise

import pytest
import yaml

from slipway.errors import ModelFileError
from slipway.model import text as model_text
from slipway.model.text import parse, read_text
from tests.unit.request_samples import IRIS, iris

BOMB = "a: &a [x, x]\n" + "".join(
    f"{new}: &{new} [*{old}, *{old}]\n" for old, new in pairwise("abcdefghijklmnopqrstuvwxyz")
)


def test_a_model_file_means_what_yaml_says():
    assert parse(IRIS.read_text(), "iris.yaml") == iris()


@pytest.mark.parametrize(
    ("text", "line", "column", "expected"),
    [
        ("a: 1\nprefix: {{ name }}", 2, 10, "a key that is not text"),
        ("? [a, b]\n: 1", 1, 3, "a key that is not text"),
        ("1: x", 1, 1, "a key that is not text: put it in quotes"),
        ("yes: x", 1, 1, "a key that is not text"),
        ("a: !!int x", 1, 4, "the tag tag:yaml.org,2002:int is not allowed"),
        ("a: !!python/object/apply:os.system ['true']", 1, 4, "is not allowed"),
        ("a: ! x", 1, 4, "the tag ! is not allowed"),
        ("a: " + "1" * 5000, 1, 4, "a number of more than 40 characters"),
        ("a: 9223372036854775808", 1, 4, "a whole number of more than 64 bits"),
        ("a: &x [*x]", 1, 8, "the alias *x is undefined, or refers to a value that contains it"),
        (BOMB, 1, 4, "more than 5000 values"),
        ("a: *x", 1, 4, "the alias *x is undefined"),
        ("[" * 900, 1, 21, "more than 20 levels"),
        ("- " * 50_000, 1, 41, "more than 20 levels"),
        ("a: [" + "x," * 5000 + "]", 1, 9999, "more than 5000 values"),
        ('a: "\\0"', 1, 4, "the character U+0000 is not allowed"),
        ('a: "\\x9b"', 1, 4, "the character U+009B is not allowed"),
        ("a: 1\n---\nb: 1", 3, 1, "a second document"),
        ("prefix: a\nprefix: b", 2, 1, "the key 'prefix' appears twice"),
        ("policy:\n  tags: []\n  tags: []", 3, 3, "the key 'tags' appears twice"),
        ("a: '", 1, 5, "unexpected end of stream"),
        ("a: b: c", 1, 5, "mapping values are not allowed"),
    ],
)
def test_what_is_refused_is_shown_by_line_and_column(text, line, column, expected):
    with pytest.raises(ModelFileError) as refusal:
        parse(text, "a.yaml")
    assert refusal.value.resource == "a.yaml"
    assert refusal.value.why.startswith(f"line {line}, column {column}: ")
    assert expected in refusal.value.why


def test_brackets_without_end_are_refused():
    """PyYAML's parser refuses more than a thousand itself from 6.0.4 on."""
    with pytest.raises(ModelFileError) as refusal:
        parse("[" * 100_000, "a.yaml")
    assert refusal.value.why.endswith(("more than 20 levels", "exceeded maximum nesting depth"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: &x [1, {b: 2}]\nc: *x", {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}),
        (
            "a: &x 1\nb: &y {c: *x, d: &z [*x]}\ne: [*y, *z]",
            {"a": 1, "b": {"c": 1, "d": [1]}, "e": [{"c": 1, "d": [1]}, [1]]},
        ),
        ("a: &x b\n*x : c", {"a": "b", "b": "c"}),
        ("&x a: *x", {"a": "a"}),
    ],
)
def test_an_alias_is_what_its_anchor_is(text, value):
    assert parse(text, "a.yaml") == value == yaml.safe_load(text)


def test_aliases_do_not_go_deeper_than_written_values():
    text = "l0: &l0 [x]\n" + "".join(f"l{n + 1}: &l{n + 1} [*l{n}]\n" for n in range(30))
    with pytest.raises(ModelFileError, match="more than 20 levels"):
        parse(text, "a.yaml")


def test_a_character_that_yaml_does_not_know_is_shown_by_its_line():
    with pytest.raises(ModelFileError, match=r"line 2: the character U\+0000 is not allowed"):
        parse("ä: 1\nb: \0", "a.yaml")


@pytest.mark.parametrize(
    "text", ["2026-01-01T25:00:00Z", "2026-02-30", "2026-01-01", "=", "<<", "0b", "08", "+.", "__"]
)
def test_what_is_no_number_is_text(text):
    assert parse(f"a: {text}", "a.yaml") == {"a": text}


def test_what_a_database_cannot_hold_is_refused_however_it_is_written():
    with pytest.raises(ModelFileError):
        parse('a: "\\ud800"', "a.yaml")


def test_an_empty_file_holds_nothing():
    assert parse("", "a.yaml") is None
    assert parse("# nothing\n", "a.yaml") is None


def test_a_byte_order_mark_is_passed_over(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_text(path) == "a: 1"


def fifo(path):
    os.mkfifo(path)


def a_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (fifo, "no regular file"),
        (a_socket, "No such device"),
        (lambda path: path.mkdir(), "no regular file"),
        (lambda path: path.symlink_to("nowhere"), "No such file"),
        (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
        (lambda path: path.symlink_to("/dev/zero"), "no regular file"),
        (lambda path: path.write_bytes(b"a: 1\nb: \xe4"), "line 2 is not UTF-8"),
        (lambda path: path.write_bytes("a: 1".encode("utf-16")), "line 1 is not UTF-8"),
        (lambda path: path.write_bytes(b"#" * (model_text.MAX_BYTES + 1)), "more than 262144 bytes"),
    ],
)
def test_only_a_small_file_of_text_is_read(make, expected, tmp_path, monkeypatch):
    # A socket's path may have 107 bytes.
    monkeypatch.chdir(tmp_path)
    path = type(tmp_path)("a.yaml")
    make(path)
    with pytest.raises(ModelFileError, match=expected) as refusal:
        read_text(path)
    assert refusal.value.resource == "a.yaml"
