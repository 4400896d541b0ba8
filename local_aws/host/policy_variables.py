"""Variables in the resources and conditions of policies, such as ``${aws:username}``, which ministack takes as text.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

PRIVATE_PARTS = {"ministack.core.iam_evaluator": ("_conditions_met", "_first_match", "_resolve_condition_key")}

# ${aws:username} or ${aws:username, 'nobody'}
_VARIABLE = re.compile(r"\$\{([\w:/.-]+)(?:,\s*'([^']*)')?\}")


class _Missing(Exception):
    """A variable has no value, and no default."""


def read_variables(modules: Mapping[str, Any]) -> None:
    """Let IAM put the values of variables into resources and conditions.

    :param modules: ministack's modules by name
    """
    evaluator = modules["ministack.core.iam_evaluator"]
    met, first_match = evaluator._conditions_met, evaluator._first_match

    def with_values(value: Any, context: Any) -> Any:
        if isinstance(value, dict):
            return {key: with_values(one, context) for key, one in value.items()}
        if isinstance(value, list):
            return [with_values(one, context) for one in value]
        return _VARIABLE.sub(lambda match: found(match, context), value) if isinstance(value, str) else value

    def found(match: re.Match[str], context: Any) -> str:
        value = evaluator._resolve_condition_key(match[1], context)
        if isinstance(value, str):
            return value
        if match[2] is None:
            raise _Missing
        return match[2]

    def conditions_met(conditions: dict[str, Any], context: Any) -> bool:
        try:
            return bool(met(with_values(conditions, context), context))
        except _Missing:
            # A statement whose variable has no value matches nothing.
            return False

    def resources_with_values(statement: Any, context: Any) -> Any:
        if not any("${" in one for one in (*statement.resources, *statement.not_resources)):
            return statement
        try:
            named = with_values([statement.resources, statement.not_resources], context)
        except _Missing:
            return None
        return replace(statement, resources=named[0], not_resources=named[1])

    def matching(context: Any, statements: Iterable[Any], effect: str) -> Any:
        known = (resources_with_values(one, context) for one in statements)
        return first_match(context, [one for one in known if one is not None], effect)

    evaluator._conditions_met = conditions_met
    evaluator._first_match = matching
