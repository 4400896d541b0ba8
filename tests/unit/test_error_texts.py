"""Every error that ends a task says why and what to do, or the reason stands here."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import slipway
from slipway import errors

ROOT = Path(slipway.__file__).parent
CLASSES = {
    name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, errors.SlipwayError)
}
# File and class of an error without a fix, and why there is none.
NOTHING_TO_DO = {
    ("deployment/roll_back.py", "Skipped"): "the run releases an upload, so the task of a roll-back is skipped",
    ("source/pin.py", "Skipped"): "the run rolls production back, so the tasks of a release are skipped",
    ("waiting/polling.py", "AwsError"): "the wait looks again by itself",
}
# Texts that tell nobody what to do.
EMPTY_FIXES = ("check the log", "see the log", "contact", "try again later", "deploy again", "run it again")


def errors_made() -> Iterator[tuple[str, ast.Call, str]]:
    """Find each call that makes an error: by its class, or by a variable that holds one."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            given = {keyword.arg for keyword in node.keywords}
            if name in CLASSES or (name == "kind" and given & {"why", "fix"}):
                yield path.relative_to(ROOT).as_posix(), node, name


def text_of(call: ast.Call, part: str) -> str | None:
    """Return the source of a part of an error; None where it is missing or always empty."""
    value = next((keyword.value for keyword in call.keywords if keyword.arg == part), None)
    if value is None or (isinstance(value, ast.Constant) and not value.value):
        return None
    return ast.unparse(value)


MADE = list(errors_made())


@pytest.mark.parametrize(
    ("place", "call", "name"), MADE, ids=[f"{place}:{call.lineno}:{name}" for place, call, name in MADE]
)
def test_every_error_says_why_and_what_to_do(place, call, name):
    assert text_of(call, "why"), "say why, in the words of whoever reported it"
    fix = text_of(call, "fix")
    assert bool(fix) is ((place, name) not in NOTHING_TO_DO), "name the task to clear, the field to change, the command"
    assert not any(empty in (fix or "") for empty in EMPTY_FIXES)


def test_the_scan_finds_the_errors():
    """Otherwise a renamed class or another way of making errors would leave this file without effect."""
    assert len(MADE) > 100
    assert {(place, name) for place, _, name in MADE} >= set(NOTHING_TO_DO)
