"""The AWS call that is being answered."""

import json
import re
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from local_aws.framework import forms
from local_aws.host.authentication import Caller
from local_aws.host.refusal import Refusal
from local_aws.host.requests import HttpRequest

_MEMBER = re.compile(r"(\w+)\.member\.\d+")


@dataclass
class Current:
    """An AWS call from outside this process's services.

    :param request: with its body
    :param caller: who signed it
    :param refusal: what IAM refuses of it; set by whoever asks IAM, also in other threads
    :param decisions: what IAM has said about it, for the ledger
    """

    request: HttpRequest
    caller: Caller
    refusal: Refusal | None = None
    decisions: list[dict[str, Any]] = field(default_factory=list)

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """The first level of a request of a JSON or a query service; a query's lists of texts are lists."""
        return _parameters(self.request)


def _parameters(request: HttpRequest) -> dict[str, Any]:
    if request.headers.get("x-amz-target"):
        try:
            found = json.loads(request.body or b"{}")
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}
    sent = {**request.query, **forms.parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True)}
    parameters: dict[str, Any] = {}
    for name, values in sent.items():
        if match := _MEMBER.fullmatch(name):
            parameters.setdefault(match[1], []).extend(values)
        else:
            parameters[name] = values[0]
    return parameters


current: ContextVar[Current] = ContextVar("local_aws.current_call")
