"""How many inputs the tests that make their own may make: a few in each run, many after `make generated`."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# Examples by test; EXAMPLES is their number in total, of which each test has the same share.
FEW = {
    "random bytes": 200,
    "damaged zips": 300,
    "hostile zips": 300,
    "changed requests": 300,
    "changed model files": 100,
    "model files as text": 200,
    "stored documents": 300,
    "stored bytes": 100,
    "model packages": 100,
    "boards and claims": 100,
    "requests to the board": 200,
    "histories of models": 40,
}
_TOTAL = int(os.environ.get("EXAMPLES") or 0)

# JSON and YAML can hold these; no reader may assume the others.
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=40)
    | st.sampled_from(
        [
            10**400,
            -(2**63),
            1e308,
            "",
            " ",
            "0",
            "\0",
            "\ud800",
            "é",
            "../",
            "2024-02-30",
            "s3://b",
            "{account}",
            "a" * 300,
        ]
    )
    | st.sampled_from(["9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+14:00", "arn:aws:iam::1:role/x", "a" * 300]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def examples(name: str) -> settings:
    """Return Hypothesis' settings of a test.

    :param name: one of FEW
    """
    many = _TOTAL // len(FEW)
    return settings(
        max_examples=many or FEW[name],
        # The same examples in each ordinary run: what is new is to be found by `make generated`.
        derandomize=not many,
        database=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
    )


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the place of every value of a document."""
    children = document.items() if isinstance(document, dict) else enumerate(document)
    return [
        place
        for key, child in children
        for place in ((*path, key), *(places(child, (*path, key)) if isinstance(child, dict | list) else ()))
    ]


def change(document: Any, draw: Any, replacements: st.SearchStrategy[Any] = values) -> None:
    """Replace, remove, add or rename one value of a document, wherever it is."""
    where = places(document)
    if not where:
        return
    *parents, last = draw(st.sampled_from(where))
    target = document
    for key in parents:
        target = target[key]
    match draw(st.sampled_from(["replace", "replace", "remove", "add", "rename"])):
        case "replace":
            target[last] = draw(replacements)
        case "remove":
            del target[last]
        case "add" if isinstance(target, dict):
            target[draw(st.text(max_size=12))] = draw(replacements)
        case "rename" if isinstance(target, dict):
            target[f"{last}_"] = target.pop(last)
        case _:
            target.insert(last, draw(replacements))
