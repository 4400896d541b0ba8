"""The four operations of metric math; its functions are not here.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any

_OPERATIONS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_MOST_CHARACTERS = 500


class Unknown(Exception):
    """An expression that is more than the four operations."""


def evaluate(expression: str, names: Collection[str]) -> tuple[set[str], Callable[[Mapping[str, float]], float | None]]:
    """Read an expression.

    :param expression: such as ``requests / instances``
    :param names: which it may use
    :returns: the names that it uses, and what calculates it from their values: None where it divides by 0
    :raises Unknown: it is not understood
    """
    try:
        tree = ast.parse(expression[:_MOST_CHARACTERS], mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Unknown from None
    used: set[str] = set()
    _check(tree, names, used)

    def calculate(values: Mapping[str, float]) -> float | None:
        try:
            return _value(tree, values)
        except (ZeroDivisionError, OverflowError):
            return None

    return used, calculate


def _check(node: Any, names: Collection[str], used: set[str]) -> None:
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        _check(node.left, names, used)
        _check(node.right, names, used)
    elif isinstance(node, ast.Name) and node.id in names:
        used.add(node.id)
    elif not (isinstance(node, ast.Constant) and type(node.value) in (int, float)):
        raise Unknown


def _value(node: Any, values: Mapping[str, float]) -> float:
    if isinstance(node, ast.BinOp):
        return _OPERATIONS[type(node.op)](_value(node.left, values), _value(node.right, values))
    return float(values[node.id] if isinstance(node, ast.Name) else node.value)
