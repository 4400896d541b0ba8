"""Limits the work that callers' regular expressions, wildcards, aliases and queries can cause.

A match in Python blocks the whole process until it ends. AllowedPattern is matched by another process, wildcards are
matched without backtracking, and what is not needed here is refused.
"""

import copy
import json
import re
import select
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yaml.events import AliasEvent

PRIVATE_PARTS = {
    "ministack.core.responses": ("error_response_json",),
    "ministack.services.cloudformation.engine": ("CfnLoader", "_check_parameter_constraints", "_constraint_error"),
    "ministack.services.cloudwatch_logs": (
        "_filter_log_events",
        "_get_log_record",
        "_get_query_results",
        "_log_records",
        "_start_query",
        "_stop_query",
        "get_state",
    ),
}

_MATCHER = Path(__file__).with_name("pattern_matcher.py")
# Longer than the matcher's own limit of CPU time, because the machine may be busy.
_ANSWER_SECONDS = 5.0
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
_MAX_TEMPLATE_BYTES = 1024 * 1024
# How many templates that were read last are kept as read.
_KNOWN_TEMPLATES = 16
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
_MAX_FILTER_PATTERN = 1024


class PatternMatcher:
    """Matches texts with regular expressions in another process, which is started when it is first needed."""

    def __init__(self) -> None:
        # Stacks may ask from several threads at once.
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def fits(self, expression: str, texts: list[str]) -> bool:
        """Tell whether every text matches as a whole.

        :param expression: the regular expression
        :param texts: the texts
        :raises ValueError: the expression is invalid, or takes too long
        """
        with self._lock:
            answer = self._asked(json.dumps([expression, texts]))
        if "error" in answer:
            raise ValueError(answer["error"])
        return bool(answer["match"])

    def _asked(self, question: str) -> dict[str, Any]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_MATCHER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                env={},
                start_new_session=True,
            )
        asked, told = self._process.stdin, self._process.stdout
        assert asked is not None and told is not None  # noqa: S101 - pipes
        try:
            asked.write(question + "\n")
            asked.flush()
            if select.select([told], [], [], _ANSWER_SECONDS)[0] and (line := told.readline()):
                answer: dict[str, Any] = json.loads(line)
                return answer
        except OSError:
            # The process reached its memory limit.
            pass
        self._process.kill()
        self._process.wait()
        return {"error": "takes too long to match"}


def bound_cloudformation(modules: Mapping[str, Any]) -> None:
    """Refuse templates that cost more than AWS allows.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html

    :param modules: ministack's modules by name
    """
    engine = modules["ministack.services.cloudformation.engine"]
    matcher, check = PatternMatcher(), engine._check_parameter_constraints

    def checked(name: str, definition: dict[str, Any], kind: str, value: str) -> None:
        pattern = definition.get("AllowedPattern")
        if pattern is not None and kind != "Number":
            members = [part.strip() for part in value.split(",")] if kind == "CommaDelimitedList" else [value]
            try:
                fits = matcher.fits(str(pattern), members)
            except ValueError as error:
                raise ValueError(f"Parameter '{name}' has an invalid AllowedPattern: {error}") from None
            if not fits:
                raise engine._constraint_error(name, definition, f"must match pattern {pattern}")
        rest = {member: given for member, given in definition.items() if member != "AllowedPattern"}
        check(name, rest, kind, value)

    def no_aliases(loader: Any, parent: Any, index: Any) -> Any:
        if loader.check_event(AliasEvent):
            raise ValueError("Template error: YAML aliases are not allowed in CloudFormation templates")
        return compose(loader, parent, index)

    known: OrderedDict[str, Any] = OrderedDict()

    def flat(loader: Any) -> Any:
        text = loader.buffer
        if len(text.encode(errors="replace")) > _MAX_TEMPLATE_BYTES:
            raise ValueError(f"Template may not exceed {_MAX_TEMPLATE_BYTES} bytes in size.")
        # One deployment sends the same text several times, and reading it takes a hundred times as long as copying.
        if text not in known:
            known[text] = single(loader)
        known.move_to_end(text)
        while len(known) > _KNOWN_TEMPLATES:
            known.popitem(last=False)
        return copy.deepcopy(known[text])

    compose, single = engine.CfnLoader.compose_node, engine.CfnLoader.get_single_data
    engine._check_parameter_constraints = checked
    engine.CfnLoader.compose_node = no_aliases
    engine.CfnLoader.get_single_data = flat


class _NoRecords(dict[Any, Any]):
    """Takes a log line's copy for Logs Insights, and keeps none."""

    def __setitem__(self, pointer: Any, record: Any) -> None:
        pass

    def update(self, *records: Any, **more: Any) -> None:
        pass


def bound_logs(modules: Mapping[str, Any]) -> None:
    """Refuse Logs Insights queries, whose regular expressions would run on every line, and very long filters.

    ministack keeps each line a second time for these queries, and goes through all of them when a group is deleted.

    :param modules: ministack's modules by name
    """
    logs = modules["ministack.services.cloudwatch_logs"]
    error = modules["ministack.core.responses"].error_response_json
    filtered, state = logs._filter_log_events, logs.get_state

    def refuse(_: Any) -> Any:
        return error("UnknownOperationException", "The local AWS has no Logs Insights. See docs/local-aws.md.", 400)

    def within_bounds(data: Any) -> Any:
        if len(data.get("filterPattern") or "") > _MAX_FILTER_PATTERN:
            why = f"filterPattern must have length less than or equal to {_MAX_FILTER_PATTERN}"
            return error("InvalidParameterException", why, 400)
        return filtered(data)

    def without_records() -> dict[str, Any]:
        return {member: value for member, value in state().items() if member != "log_records"}

    logs._start_query = logs._get_query_results = logs._stop_query = logs._get_log_record = refuse
    logs._log_records = _NoRecords()
    logs.get_state = without_records
    logs._filter_log_events = within_bounds


def wildcard(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    """Compile an IAM pattern so that a match takes at most the product of the two lengths.

    Each part between two ``*`` is matched where it first fits, without backtracking; that finds any match there is.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html

    :param pattern: with ``*`` for any characters and ``?`` for one
    :param ignore_case: whether capitals match small letters
    :returns: the expression
    """
    first, *others = ["".join("." if char == "?" else re.escape(char) for char in part) for part in pattern.split("*")]
    expression = first
    if others:
        *between, last = others
        expression += "".join(f"(?>.*?{part})" for part in between) + f".*{last}"
    return re.compile(f"{expression}\\Z", re.DOTALL | (re.IGNORECASE if ignore_case else 0))
