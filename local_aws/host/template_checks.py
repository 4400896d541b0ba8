"""What CloudFormation refuses in a template when it is asked, and ministack accepts.

Each check is one of ministack's gaps. tests/local_aws/host/test_ministack_gaps.py fails when a new ministack has closed
one, so that the check here can go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

PRIVATE_PARTS = {
    "ministack.services.cloudformation.changesets": (
        "_evaluate_conditions",
        "_resolve_parameters",
        "validate_template_support",
    ),
    "ministack.services.cloudformation.engine": ("_topological_sort",),
    "ministack.services.cloudformation.handlers": (
        "_capabilities_enforced",
        "_evaluate_conditions",
        "_resolve_parameters",
        "validate_template_support",
    ),
    "ministack.services.cloudformation.stacks": ("_evaluate_conditions",),
}

_CLOUDFORMATION = "ministack.services.cloudformation"
# ${Name}, ${Name.Attribute}; not ${!Literal}.
_SUBSTITUTED = re.compile(r"\$\{([^!}][^}]*)\}")
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html
_PSEUDO = "AWS::"
_REFERS = ("Ref", "Fn::GetAtt", "Fn::Sub")


def check_templates(modules: Mapping[str, Any]) -> None:
    """Let CreateStack, UpdateStack and CreateChangeSet refuse what AWS refuses in a template.

    :param modules: ministack's modules by name
    """
    handlers, changesets = modules[f"{_CLOUDFORMATION}.handlers"], modules[f"{_CLOUDFORMATION}.changesets"]
    sort = modules[f"{_CLOUDFORMATION}.engine"]._topological_sort
    resolve, support = handlers._resolve_parameters, handlers.validate_template_support
    evaluate = handlers._evaluate_conditions

    def resolved(template: dict[str, Any], provided: list[dict[str, Any]], *previous: Any) -> Any:
        # A template that is wrong is refused before its parameters are looked at.
        _check_references(template)
        unknown = sorted({one["Key"] for one in provided if "Key" in one} - set(template.get("Parameters") or {}))
        if unknown:
            # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
            raise ValueError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
        return resolve(_with_texts(template, "Parameters"), provided, *previous)

    def supported(template: dict[str, Any], conditions: dict[str, bool], params: Any = None) -> Any:
        _check_references(template)
        _check_order(template, conditions, sort)
        return support(template, conditions, params=params)

    def evaluated(template: dict[str, Any], params: dict[str, Any]) -> Any:
        return evaluate(_with_texts(template, "Conditions"), params)

    for module in (handlers, changesets):
        module._resolve_parameters = resolved
        module.validate_template_support = supported
    for module in (handlers, changesets, modules[f"{_CLOUDFORMATION}.stacks"]):
        module._evaluate_conditions = evaluated
    # ministack asks for capabilities only where it enforces IAM; AWS always does.
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-template.html
    handlers._capabilities_enforced = lambda: True


def _check_references(template: dict[str, Any]) -> None:
    """Check that each Ref, Fn::GetAtt, Fn::Sub, DependsOn and Condition names something of the template.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/troubleshooting.html#troubleshooting-errors-validation-errors

    :raises ValueError: naming what is not there
    """
    resources = template.get("Resources")
    # A macro may add any resource.
    if template.get("Transform"):
        return
    if not resources or not isinstance(resources, dict):
        raise ValueError("Template format error: At least one Resources member must be defined.")
    known = {*resources, *(template.get("Parameters") or {})}
    for block in ("Resources", "Outputs"):
        missing = sorted({name for name in _referred(template.get(block) or {}) if name not in known})
        if missing:
            raise ValueError(
                f"Template format error: Unresolved resource dependencies [{', '.join(missing)}] in the {block} "
                "block of the template"
            )
    conditions = template.get("Conditions") or {}
    for block in ("Resources", "Outputs"):
        for one in (template.get(block) or {}).values():
            condition = one.get("Condition") if isinstance(one, dict) else None
            if isinstance(condition, str) and condition not in conditions:
                raise ValueError(
                    f"Template format error: Unresolved condition dependency {condition} in the {block} block of the "
                    "template"
                )


def _check_order(template: dict[str, Any], conditions: dict[str, bool], sort: Callable[..., list[str]]) -> None:
    """Refuse resources that wait for each other, when they are asked for and not while the stack is made.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/TemplateReference/aws-attribute-dependson.html
    """
    try:
        sort(template.get("Resources") or {}, conditions)
    except ValueError as error:
        names = str(error).partition(": ")[2]
        raise ValueError(f"Circular dependency between resources: [{names}]") from None


def _referred(node: Any) -> Iterator[str]:
    """Yield the logical names that a part of a template refers to; names of AWS's own are left out."""
    if isinstance(node, list):
        for one in node:
            yield from _referred(one)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key == "DependsOn":
            yield from [value] if isinstance(value, str) else value
        elif key in _REFERS and len(node) == 1:
            yield from (name for name in _named(key, value) if not name.startswith(_PSEUDO))
            if not isinstance(value, str):
                yield from _referred(value)
        else:
            yield from _referred(value)


def _named(function: str, argument: Any) -> Iterator[str]:
    if function == "Ref" and isinstance(argument, str):
        yield argument
    elif function == "Fn::GetAtt":
        first = argument.split(".")[0] if isinstance(argument, str) else argument[0]
        if isinstance(first, str):
            yield first
    elif function == "Fn::Sub":
        text, own = (argument, {}) if isinstance(argument, str) else (argument[0], argument[1])
        if isinstance(text, str):
            for name in _SUBSTITUTED.findall(text):
                if name.strip() not in own:
                    yield name.strip().split(".")[0]


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
