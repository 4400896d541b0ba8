"""The clients of an operator."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

H = TypeVar("H")


def client(hook_class: Callable[..., H]) -> cached_property[H]:
    """Declare a client in the body of an operator's class: ``registry = client(ModelRegistryHook)``.

    :param hook_class: the hook's class
    :returns: a property that makes the hook from the operator's ``aws_conn_id`` when it is first used, and keeps it
    """

    def make(operator: Any) -> H:
        return hook_class(aws_conn_id=operator.aws_conn_id)

    return cached_property(make)
