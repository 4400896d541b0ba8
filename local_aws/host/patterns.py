"""Bounds for what callers have ministack compute: regular expressions, wildcards, aliases, queries.

Python's matching holds the whole process until it has ended. AllowedPattern is matched by a process of its own;
wildcards are matched in a way that never goes back; what is not needed here is refused.
"""

import json
import re
import select
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yaml.events import AliasEvent

PRIVATE_PARTS = {
    "ministack.core.responses": ("error_response_json",),
    "ministack.services.cloudformation.engine": ("CfnLoader", "_check_parameter_constraints", "_constraint_error"),
    "ministack.services.cloudwatch_logs": ("_filter_log_events", "_start_query"),
}

_MATCHER = Path(__file__).with_name("pattern_matcher.py")
# Beyond the matcher's own limit of CPU, on a machine that is busy with other things too.
_ANSWER_SECONDS = 5.0
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
_MAX_TEMPLATE_BYTES = 1024 * 1024
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
_MAX_FILTER_PATTERN = 1024


class PatternMatcher:
    """Compares texts with regular expressions in a process of its own, which is started when it is first needed."""

    def __init__(self) -> None:
        # Stacks of several threads ask at the same time.
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def fits(self, expression: str, texts: list[str]) -> bool:
        """Tell whether every text matches as a whole.

        :param expression: the regular expression
        :param texts: the texts
        :returns: whether they do
        :raises ValueError: it is none, or takes too long
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
            # It has come to its limit of memory.
            pass
        self._process.kill()
        self._process.wait()
        return {"error": "takes too long to match"}


def bound_cloudformation(modules: Mapping[str, Any]) -> None:
    """Let templates cost no more than AWS takes.

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

    def flat(loader: Any) -> Any:
        if len(loader.buffer.encode(errors="replace")) > _MAX_TEMPLATE_BYTES:
            raise ValueError(f"Template may not exceed {_MAX_TEMPLATE_BYTES} bytes in size.")
        return single(loader)

    compose, single = engine.CfnLoader.compose_node, engine.CfnLoader.get_single_data
    engine._check_parameter_constraints = checked
    engine.CfnLoader.compose_node = no_aliases
    engine.CfnLoader.get_single_data = flat


def bound_logs(modules: Mapping[str, Any]) -> None:
    """Refuse queries, whose regular expressions would run over every line here, and endless filters.

    :param modules: ministack's modules by name
    """
    logs = modules["ministack.services.cloudwatch_logs"]
    error = modules["ministack.core.responses"].error_response_json
    filtered = logs._filter_log_events

    def refuse(_: Any) -> Any:
        return error("UnknownOperationException", "The local AWS has no Logs Insights. See docs/local-aws.md.", 400)

    def within_bounds(data: Any) -> Any:
        if len(data.get("filterPattern") or "") > _MAX_FILTER_PATTERN:
            why = f"filterPattern must have length less than or equal to {_MAX_FILTER_PATTERN}"
            return error("InvalidParameterException", why, 400)
        return filtered(data)

    logs._start_query = refuse
    logs._filter_log_events = within_bounds


def wildcard(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    """Compile an IAM pattern so that a match takes no more than the lengths' product.

    Each part between two ``*`` is matched where it first fits, and never anew: that finds a match if there is one.
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
