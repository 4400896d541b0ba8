"""The statements of the set-up templates, and what AWS's schemas say of endpoint.yaml's resource types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from slipway.paths import endpoint_template, set_up_template

TEMPLATES = tuple(set_up_template(name) for name in ("bootstrap", "images", "model"))
ENDPOINT_TEMPLATE = endpoint_template()
PLACEHOLDER = re.compile(r"\$\{[^}]+\}")


@dataclass(frozen=True)
class Statement:
    """One statement of a policy in a template.

    :param template: the file's name
    :param holder: the name of a role, or of a managed policy
    :param limits: whether the policy is a permissions boundary, which allows nothing by itself
    """

    template: str
    holder: str
    policy: str
    sid: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    limits: bool = False

    @property
    def name(self) -> str:
        """The name that the ledger gives it."""
        return f"{self.policy}/{self.sid}"

    def is_held_by(self, who: str) -> bool:
        """Tell whether a role or user has this statement.

        :param who: the name of a role; a managed policy is known by its own name
        """
        pattern = ".+".join(map(re.escape, PLACEHOLDER.split(self.holder)))
        return self.policy == self.holder or re.fullmatch(pattern, who) is not None


class _Loader(yaml.SafeLoader):
    """Reads a template; the value of a function stands for its result."""


def _value(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return f"${{{node.value}}}" if suffix in ("Ref", "GetAtt") else loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        found = loader.construct_sequence(node, deep=True)
        return found[1] if suffix == "If" else found
    return loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]


_Loader.add_multi_constructor("!", _value)


def statements(templates: Iterable[Path] = TEMPLATES) -> list[Statement]:
    """Read all statements of roles and managed policies, in the templates' order.

    :param templates: the set-up templates
    """
    found: list[Statement] = []
    of_templates = {path: _resources(path) for path in templates}
    boundaries = {
        str(one.get("Properties", {}).get("PermissionsBoundary", ""))
        for resources in of_templates.values()
        for one in resources.values()
    }
    for path, resources in of_templates.items():
        for logical_id, resource in resources.items():
            properties = resource.get("Properties", {})
            if resource["Type"] == "AWS::IAM::Role":
                for policy in properties.get("Policies", []):
                    found += _of_policy(path.name, properties["RoleName"], policy["PolicyName"], policy)
            elif resource["Type"] == "AWS::IAM::ManagedPolicy":
                name = properties["ManagedPolicyName"]
                limits = any(logical_id in boundary or name in boundary for boundary in boundaries)
                found += _of_policy(path.name, name, name, properties, limits=limits)
    return found


def trusted(templates: Iterable[Path] = TEMPLATES) -> dict[str, str]:
    """Return whom each role trusts and on which conditions, by the role's name."""
    found = {}
    for path in templates:
        for resource in _resources(path).values():
            if resource["Type"] != "AWS::IAM::Role":
                continue
            properties = resource["Properties"]
            parts = []
            for one in properties["AssumeRolePolicyDocument"]["Statement"]:
                who = ", ".join(text for value in one["Principal"].values() for text in listed(value))
                keys = [key for condition in one.get("Condition", {}).values() for key in condition]
                parts.append(f"`{who}`{' by ' + ', '.join(f'`{key}`' for key in keys) if keys else ''}")
            found[properties["RoleName"]] = "; ".join(parts)
    return found


def of_resources(templates: Iterable[Path] = TEMPLATES) -> list[tuple[str, str]]:
    """Return the statements of the policies of buckets, queues, topics and keys, by logical id and Sid."""
    return [
        (logical_id, one.get("Sid", ""))
        for path in templates
        for logical_id, resource in _resources(path).items()
        if resource["Type"].endswith("Policy") != (resource["Type"] == "AWS::KMS::Key")
        and resource["Type"] != "AWS::IAM::ManagedPolicy"
        for one in _document(resource["Properties"])["Statement"]
    ]


def _document(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = properties.get("PolicyDocument") or properties["KeyPolicy"]
    return found


def _resources(template: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(template.read_text(), _Loader)["Resources"]  # noqa: S506 (a SafeLoader)
    return found


def _of_policy(
    template: str, holder: str, policy: str, properties: Mapping[str, Any], *, limits: bool = False
) -> Iterator[Statement]:
    for one in properties["PolicyDocument"]["Statement"]:
        actions, resources = listed(one.get("Action", one.get("NotAction"))), listed(one["Resource"])
        yield Statement(template, holder, policy, one.get("Sid", ""), one["Effect"], actions, resources, limits)


def listed(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(map(str, value))


def handlers_of(template: Path) -> dict[str, dict[str, list[str]]]:
    """Return what AWS's schemas say each handler of a template's resource types calls, by type and handler.

    :param template: such as endpoint.yaml
    """
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    found = {}
    for kind in sorted({one["Type"] for one in _resources(template).values()}):
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-west-2", kind).schema
        found[kind] = {name: sorted(one["permissions"]) for name, one in schema.get("handlers", {}).items()}
    return found
