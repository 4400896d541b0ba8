"""The form of a template: what CloudFormation refuses before it looks at parameters and resources.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

FORMAT = "Template format error: "
_SECTIONS = frozenset(
    [
        "AWSTemplateFormatVersion",
        "Conditions",
        "Description",
        "Hooks",
        "Mappings",
        "Metadata",
        "Outputs",
        "Parameters",
        "Resources",
        "Rules",
        "Transform",
    ]
)
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resources-section-structure.html
_RESOURCE = frozenset(
    [
        "Condition",
        "CreationPolicy",
        "DeletionPolicy",
        "DependsOn",
        "Description",
        "Metadata",
        "Properties",
        "Type",
        "UpdatePolicy",
        "UpdateReplacePolicy",
        "Version",
    ]
)
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
_PARAMETER = frozenset(
    [
        "AllowedPattern",
        "AllowedValues",
        "ConstraintDescription",
        "Default",
        "Description",
        "MaxLength",
        "MaxValue",
        "MinLength",
        "MinValue",
        "NoEcho",
        "Type",
    ]
)
_PARAMETER_TYPE = re.compile(r"String|Number|CommaDelimitedList|List<(?:Number|String|AWS::.+)>|AWS::.+")
_ALPHANUMERIC = re.compile(r"[A-Za-z0-9]+")
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-updatereplacepolicy.html
_POLICIES = {
    "DeletionPolicy": ("Delete", "Retain", "RetainExceptOnCreate", "Snapshot"),
    "UpdateReplacePolicy": ("Delete", "Retain", "Snapshot"),
}
_WITH_SNAPSHOTS = (
    "AWS::DocDB::DBCluster",
    "AWS::EC2::Volume",
    "AWS::ElastiCache::CacheCluster",
    "AWS::ElastiCache::ReplicationGroup",
    "AWS::Neptune::DBCluster",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::Redshift::Cluster",
)
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
_FUNCTIONS = [
    "Fn::And",
    "Fn::Base64",
    "Fn::Cidr",
    "Fn::Contains",
    "Fn::EachMemberEquals",
    "Fn::EachMemberIn",
    "Fn::Equals",
    "Fn::FindInMap",
    "Fn::GetAZs",
    "Fn::GetAtt",
    "Fn::If",
    "Fn::ImportValue",
    "Fn::Join",
    "Fn::Not",
    "Fn::Or",
    "Fn::RefAll",
    "Fn::Select",
    "Fn::Split",
    "Fn::Sub",
    "Fn::ValueOf",
    "Fn::ValueOfAll",
]


def check_form(template: dict[str, Any]) -> None:
    """Refuse a template whose sections or members are not what CloudFormation knows.

    :raises ValueError: with CloudFormation's text
    """
    unknown = sorted(name for name in template if name not in _SECTIONS and not str(name).startswith("Fn::"))
    if unknown:
        raise ValueError(f"Invalid template property or properties [{', '.join(map(str, unknown))}]")
    if str(template.get("AWSTemplateFormatVersion", "2010-09-09")) != "2010-09-09":
        raise ValueError(f"{FORMAT}unsupported value for AWSTemplateFormatVersion.")
    if not isinstance(template.get("Description", ""), str):
        raise ValueError(f"{FORMAT}Description must be a string.")
    # A macro may rewrite all that follows.
    if template.get("Transform"):
        return
    if not template.get("Resources"):
        raise ValueError(f"{FORMAT}At least one Resources member must be defined.")
    for block in ("Parameters", "Mappings", "Conditions", "Resources", "Outputs"):
        _check_values(template.get(block, {}), f"/{block}")
        if not isinstance(template.get(block, {}), dict):
            raise ValueError(f"{FORMAT}[/{block}] {block} must be an object.")
    for name, parameter in template.get("Parameters", {}).items():
        _check_parameter(name, parameter)
    for name, resource in template["Resources"].items():
        _check_resource(name, resource)
    for name, output in template.get("Outputs", {}).items():
        _check_name("Output", name)
        if not isinstance(output, dict) or "Value" not in output:
            raise ValueError(f"{FORMAT}[/Outputs/{name}] Every Outputs member must contain a Value object")


def _check_values(node: Any, path: str) -> None:
    """Refuse null, which YAML also reads where nothing stands, and functions that do not exist."""
    if node is None:
        raise ValueError(f"{FORMAT}[{path}] 'null' values are not allowed in templates")
    if isinstance(node, list):
        for number, one in enumerate(node):
            _check_values(one, f"{path}/{number}")
    elif isinstance(node, dict):
        for key, value in node.items():
            _check_values(value, f"{path}/{key}")
        if len(node) == 1:
            _check_function(*next(iter(node.items())))


def _check_parameter(name: str, parameter: Any) -> None:
    _check_name("Parameter", name)
    if not isinstance(parameter, dict) or "Type" not in parameter:
        raise ValueError(f"{FORMAT}Every Parameters object must contain a Type member.")
    for unknown in sorted(parameter.keys() - _PARAMETER):
        raise ValueError(f"Invalid template parameter property '{unknown}'")
    if not _PARAMETER_TYPE.fullmatch(str(parameter["Type"])):
        raise ValueError(f"{FORMAT}Unrecognized parameter type: {parameter['Type']}")


def _check_resource(name: str, resource: Any) -> None:
    _check_name("Resource", name)
    if not isinstance(resource, dict):
        raise ValueError(f"{FORMAT}[/Resources/{name}] Any Resources member must be an object.")
    for unknown in sorted(resource.keys() - _RESOURCE):
        raise ValueError(f"Invalid template resource property '{unknown}'")
    kind = resource.get("Type")
    if not isinstance(kind, str) or not kind:
        raise ValueError(f"{FORMAT}[/Resources/{name}] Every Resources object must contain a Type member.")
    if not isinstance(resource.get("Properties", {}), dict):
        raise ValueError(f"{FORMAT}[/Resources/{name}] Any Properties member must be an object.")
    depends = resource.get("DependsOn", [])
    if any(not isinstance(one, str) for one in (depends if isinstance(depends, list) else [depends])):
        raise ValueError(f"{FORMAT}[/Resources/{name}/DependsOn] Every DependsOn value must be a string.")
    for attribute, policies in _POLICIES.items():
        policy = resource.get(attribute, "Delete")
        if isinstance(policy, str) and policy not in policies:
            raise ValueError(f"{FORMAT}Unrecognized {attribute} {policy} for resource {name}")
        if policy == "Snapshot" and kind not in _WITH_SNAPSHOTS:
            raise ValueError(f"Template error: resource type {kind} does not support deletion policy Snapshot")


def _check_name(kind: str, name: Any) -> None:
    if not _ALPHANUMERIC.fullmatch(str(name)):
        raise ValueError(f"{FORMAT}{kind} name {name} is non alphanumeric.")


def _check_function(name: Any, argument: Any) -> None:
    """Check the name of a function and how many arguments it has."""
    if not isinstance(name, str):
        return
    if name.startswith("Fn::") and name not in _FUNCTIONS and name != "Fn::Transform":
        raise ValueError(
            f"Template error: encountered unsupported function: {name} Supported functions are: "
            f"[{', '.join(_FUNCTIONS)}]"
        )
    found = _ARGUMENTS.get(name)
    if found and not found[0](argument):
        raise ValueError(found[1])


def _texts(argument: Any) -> bool:
    """Tell whether an argument of Fn::GetAtt names a resource and an attribute."""
    parts = argument.split(".", 1) if isinstance(argument, str) else argument
    return isinstance(parts, list) and len(parts) == 2 and bool(parts[0] and parts[1]) and isinstance(parts[0], str)


def _substitution(argument: Any) -> bool:
    if isinstance(argument, list):
        return len(argument) == 2 and isinstance(argument[0], str) and isinstance(argument[1], dict)
    return isinstance(argument, str)


def _of_length(count: int) -> Callable[[Any], bool]:
    return lambda argument: isinstance(argument, list) and len(argument) == count


_ARGUMENTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "Ref": (
        lambda argument: isinstance(argument, str),
        f"{FORMAT}every Ref object must have a single String value.",
    ),
    "Fn::GetAtt": (
        _texts,
        "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource "
        "attribute",
    ),
    "Fn::Sub": (
        _substitution,
        "Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as "
        "first argument, and an optional second argument to specify a mapping of values to replace in the string",
    ),
    "Fn::Join": (
        _of_length(2),
        "Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of "
        "strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined.",
    ),
    "Fn::If": (
        lambda argument: isinstance(argument, list) and len(argument) == 3 and isinstance(argument[0], str),
        "Template error: Fn::If requires a list argument with the first element being a condition",
    ),
    "Fn::Select": (
        _of_length(2),
        "Template error: Fn::Select requires a list argument with two elements: an integer index and a list",
    ),
    "Fn::Equals": (_of_length(2), "Template error: every Fn::Equals object requires a list of 2 string parameters."),
    "Fn::Not": (_of_length(1), "Template error: every Fn::Not object requires one boolean parameter."),
}
