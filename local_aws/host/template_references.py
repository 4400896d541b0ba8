"""What a template refers to: parameters, resources and conditions must be there, and nothing may wait for itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from local_aws.host.template_form import FORMAT

# ${Name}, ${Name.Attribute}; not ${!Literal}.
_SUBSTITUTED = re.compile(r"\$\{([^!}][^}]*)\}")
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html
_PSEUDO = "AWS::"
_REFERS = ("Ref", "Fn::GetAtt", "Fn::Sub")


def check_references(template: dict[str, Any]) -> None:
    """Check that each Ref, Fn::GetAtt, Fn::Sub and DependsOn names something of the template.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/troubleshooting.html#troubleshooting-errors-validation-errors
    https://github.com/getmoto/moto/issues/6018

    :raises ValueError: naming what is not there
    """
    # A macro may add any resource.
    if template.get("Transform"):
        return
    resources, parameters = template["Resources"], template.get("Parameters", {})
    for block in ("Resources", "Outputs"):
        for function, name in _referred(template.get(block, {})):
            if function == "Fn::GetAtt" and name not in resources:
                raise ValueError(f"Template error: instance of Fn::GetAtt references undefined resource {name}")
        known = {*resources, *parameters}
        missing = sorted({name for _, name in _referred(template.get(block, {})) if name not in known})
        # Only resources can be waited for.
        depends = (one.get("DependsOn", []) for one in template.get(block, {}).values())
        waited = {name for one in depends for name in _listed(one)}
        _refuse_unresolved(sorted({*missing, *(waited - resources.keys())}), block)


def _refuse_unresolved(names: list[str], block: str) -> None:
    if names:
        raise ValueError(
            f"{FORMAT}Unresolved resource dependencies [{', '.join(names)}] in the {block} block of the template"
        )


def check_made(template: dict[str, Any], conditions: dict[str, bool]) -> None:
    """Check that nothing that is made refers to a resource whose condition is false.

    https://github.com/aws/serverless-application-model/issues/832

    :raises ValueError: naming such resources
    """

    def is_made(one: dict[str, Any]) -> bool:
        return conditions.get(one.get("Condition", ""), True)

    resources = template["Resources"]
    left_out = {name for name, one in resources.items() if not is_made(one)}
    if not left_out:
        return
    for block in ("Resources", "Outputs"):
        found = [one for one in template.get(block, {}).values() if is_made(one)]
        # A resource waits for nothing where the resource it depends on is not made.
        parts = [{key: value for key, value in one.items() if key != "DependsOn"} for one in found]
        named = {name for _, name in _referred(_chosen(parts, conditions))}
        _refuse_unresolved(sorted(named & left_out), block)


def _chosen(node: Any, conditions: dict[str, bool]) -> Any:
    """Return a part of a template in which each Fn::If is the branch that counts."""
    if isinstance(node, list):
        return [_chosen(one, conditions) for one in node]
    if not isinstance(node, dict):
        return node
    if len(node) == 1 and "Fn::If" in node:
        name, if_true, if_false = node["Fn::If"]
        return _chosen(if_true if conditions.get(name) else if_false, conditions)
    return {key: _chosen(value, conditions) for key, value in node.items()}


def check_conditions(template: dict[str, Any]) -> None:
    """Check that conditions refer to parameters and to conditions only, and each named one exists.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/conditions-section-structure.html
    https://github.com/aws-cloudformation/cfn-lint/issues/99

    :raises ValueError: naming what is not there
    """
    if template.get("Transform"):
        return
    conditions, parameters = template.get("Conditions", {}), template.get("Parameters", {})
    missing = sorted({name for _, name in _referred(conditions) if name not in parameters})
    if missing:
        raise ValueError(
            f"{FORMAT}Unresolved dependencies [{', '.join(missing)}]. Cannot reference resources in the Conditions "
            "block of the template"
        )
    for block in ("Conditions", "Resources", "Outputs"):
        for one in template.get(block, {}).values():
            named = [*_conditions_in(one, inside=block == "Conditions")]
            if block != "Conditions" and isinstance(one.get("Condition"), str):
                named.append(one["Condition"])
            for name in named:
                if name not in conditions:
                    raise ValueError(
                        f"{FORMAT}Unresolved condition dependency {name} in the {block} block of the template"
                    )
    for name in conditions:
        _check_cycle(conditions, (name,))


def _check_cycle(conditions: dict[str, Any], path: tuple[str, ...]) -> None:
    for name in set(_conditions_in(conditions[path[-1]], inside=True)):
        if name in path:
            raise ValueError(f"Template error: Found circular condition dependency between {path[-1]} and {name}")
        _check_cycle(conditions, (*path, name))


def _conditions_in(node: Any, inside: bool) -> Iterator[str]:
    """Yield the conditions that Fn::If names and, inside the Conditions block, Condition."""
    if isinstance(node, list):
        for one in node:
            yield from _conditions_in(one, inside)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "Fn::If":
                yield value[0]
                yield from _conditions_in(value[1:], inside)
            elif inside and key == "Condition" and isinstance(value, str):
                yield value
            else:
                yield from _conditions_in(value, inside)


def check_order(template: dict[str, Any], conditions: dict[str, bool], sort: Callable[..., list[str]]) -> None:
    """Refuse resources that wait for each other, when they are asked for and not while the stack is made.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/TemplateReference/aws-attribute-dependson.html
    """
    for name, resource in template["Resources"].items():
        if name in {one for _, one in _referred(resource)} or name in _listed(resource.get("DependsOn", [])):
            raise ValueError(f"Circular dependency between resources: [{name}]")
    try:
        sort(template["Resources"], conditions)
    except ValueError as error:
        names = str(error).partition(": ")[2]
        raise ValueError(f"Circular dependency between resources: [{names}]") from None


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else value


def _referred(node: Any) -> Iterator[tuple[str, str]]:
    """Yield the functions of a part of a template and the logical names they refer to; AWS's own are left out."""
    if isinstance(node, list):
        for one in node:
            yield from _referred(one)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key in _REFERS and len(node) == 1:
            yield from ((key, name) for name in _named(key, value) if not name.startswith(_PSEUDO))
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
