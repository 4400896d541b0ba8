"""What CloudFormation refuses in a template when it is asked, and ministack accepts.

Each check is one of ministack's gaps. tests/local_aws/host/test_ministack_gaps.py fails when a new ministack has closed
one, so that the check here can go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from local_aws.host.template_form import FORMAT, check_form
from local_aws.host.template_references import check_conditions, check_made, check_order, check_references

PRIVATE_PARTS = {
    "ministack.services.cloudformation.changesets": (
        "_error",
        "_evaluate_conditions",
        "_parse_template",
        "_resolve_parameters",
        "validate_template_support",
    ),
    "ministack.services.cloudformation.engine": ("_parse_template", "_topological_sort"),
    "ministack.services.cloudformation.handlers": (
        "_capabilities_enforced",
        "_error",
        "_evaluate_conditions",
        "_parse_template",
        "_resolve_parameters",
        "validate_template_support",
    ),
    "ministack.services.cloudformation.stacks": ("_evaluate_conditions",),
}

_CLOUDFORMATION = "ministack.services.cloudformation"
# ministack writes FORMAT before whatever is wrong with a template; not every text of AWS's begins so.
_OWN_BEGINNING = (FORMAT, "Template error: ", "Invalid template ")
_NOT_WELL_FORMED = ("ParserError", "ScannerError")
# ministack's texts for the value of a parameter, and AWS's.
_PARAMETER_TEXTS = (
    (re.compile(r"Parameter '(\w+)' value '.*' is not in AllowedValues: .*", re.S), "must be one of AllowedValues"),
    (re.compile(r"Parameter '(\w+)' value '.*' is not a valid (?:Number|List<Number>)", re.S), "must be a number"),
)


def check_templates(modules: Mapping[str, Any]) -> None:
    """Let CreateStack, UpdateStack and CreateChangeSet refuse what AWS refuses in a template.

    :param modules: ministack's modules by name
    """
    handlers, changesets = modules[f"{_CLOUDFORMATION}.handlers"], modules[f"{_CLOUDFORMATION}.changesets"]
    engine = modules[f"{_CLOUDFORMATION}.engine"]
    sort, parse = engine._topological_sort, engine._parse_template
    resolve, support = handlers._resolve_parameters, handlers.validate_template_support
    evaluate, error = handlers._evaluate_conditions, handlers._error

    def parsed(body: str) -> Any:
        # A template that is wrong is refused before its parameters are looked at.
        template = _parsed(parse, body)
        check_form(template)
        check_references(template)
        check_conditions(template)
        return template

    def refused(code: str, message: str, *status: int) -> Any:
        rest = message.removeprefix(FORMAT)
        return error(code, rest if rest.startswith(_OWN_BEGINNING) else message, *status)

    def resolved(template: dict[str, Any], provided: list[dict[str, Any]], *previous: Any) -> Any:
        _check_provided(template, provided)
        try:
            return resolve(_with_texts(template, "Parameters"), provided, *previous)
        except ValueError as wrong:
            raise ValueError(_parameter_text(str(wrong))) from None

    def supported(template: dict[str, Any], conditions: dict[str, bool], params: Any = None) -> Any:
        if not template.get("Transform"):
            check_made(template, conditions)
            check_order(template, conditions, sort)
        return support(template, conditions, params=params)

    def evaluated(template: dict[str, Any], params: dict[str, Any]) -> Any:
        return evaluate(_with_texts(template, "Conditions"), params)

    for module in (handlers, changesets):
        module._error = refused
        module._resolve_parameters = resolved
        module.validate_template_support = supported
    for module in (handlers, changesets, engine):
        module._parse_template = parsed
    for module in (handlers, changesets, modules[f"{_CLOUDFORMATION}.stacks"]):
        module._evaluate_conditions = evaluated
    # ministack asks for capabilities only where it enforces IAM; AWS always does.
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-template.html
    handlers._capabilities_enforced = lambda: True


def _parsed(parse: Callable[[str], Any], body: str) -> Any:
    """Read a template, and say as AWS does where it is not well-formed."""
    try:
        return parse(body)
    except json.JSONDecodeError as wrong:
        raise ValueError(f"{FORMAT}JSON not well-formed. (line {wrong.lineno}, column {wrong.colno})") from None
    except Exception as wrong:
        mark = getattr(wrong, "problem_mark", None)
        if mark is not None and type(wrong).__name__ in _NOT_WELL_FORMED:
            raise ValueError(
                f"{FORMAT}YAML not well-formed. (line {mark.line + 1}, column {mark.column + 1})"
            ) from None
        if "must be a JSON or YAML mapping" in str(wrong):
            raise ValueError(f"{FORMAT}unsupported structure.") from None
        raise


def _check_provided(template: dict[str, Any], provided: list[dict[str, Any]]) -> None:
    """Check that the request names the template's parameters, and leaves out none that has no default.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html

    :raises ValueError: naming those that do not exist, or have no value
    """
    declared = template.get("Parameters") or {}
    given = {one["Key"] for one in provided if "Key" in one}
    if unknown := sorted(given - set(declared)):
        raise ValueError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    if missing := [name for name, one in declared.items() if "Default" not in one and name not in given]:
        raise ValueError(f"Parameters: [{', '.join(missing)}] must have values")


def _parameter_text(text: str) -> str:
    for pattern, wanted in _PARAMETER_TEXTS:
        if match := pattern.fullmatch(text):
            return f"Parameter '{match[1]}' {wanted}"
    return text


def _with_texts(template: dict[str, Any], block: str) -> dict[str, Any]:
    """Return a template in one block of which true, 1 and 1.5 are the texts that CloudFormation makes of them.

    YAML reads an unquoted true as a truth value, and Python writes it True; CloudFormation's parameters are texts.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-conditions.html
    """
    return {**template, block: _as_texts(template[block])} if template.get(block) else template


def _as_texts(node: Any) -> Any:
    if isinstance(node, bool):
        return "true" if node else "false"
    if isinstance(node, dict):
        return {key: _as_texts(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_as_texts(value) for value in node]
    return str(node) if isinstance(node, int | float) else node
