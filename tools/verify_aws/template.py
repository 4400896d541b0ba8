"""Work out what a set-up template makes in an account, as CloudFormation does.

Only the functions that bootstrap.yaml and model.yaml use:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

_PLACE = re.compile(r"\$\{([\w.:]+)\}")
_NOTHING = object()


class _Loader(yaml.SafeLoader):
    """Read the short forms of functions as their long ones."""


def _function(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}  # type: ignore[arg-type]


_Loader.add_multi_constructor("!", _function)


class Template:
    """A template with the parameters of a stack.

    :param text: the template
    :param parameters: the stack's; a default stands for what is missing
    :param pseudo: ``AWS::Region`` and the like
    :param arns: ARNs of resources of the template, by logical id
    """

    def __init__(
        self, text: str, parameters: Mapping[str, str], pseudo: Mapping[str, str], arns: Mapping[str, str]
    ) -> None:
        self._text = yaml.load(text, _Loader)  # noqa: S506  # a subclass of SafeLoader
        self._values: dict[str, Any] = {**pseudo}
        for name, declared in self._text.get("Parameters", {}).items():
            value = parameters.get(name, str(declared.get("Default", "")))
            self._values[name] = value.split(",") if declared["Type"] == "CommaDelimitedList" else value
        self._arns = arns

    @property
    def declared(self) -> list[str]:
        """The names of the parameters."""
        return list(self._text.get("Parameters", {}))

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the properties of the resources of a type, by logical id; without those whose condition is not met."""
        return {
            name: self.value(resource.get("Properties", {}))
            for name, resource in self._text["Resources"].items()
            if resource["Type"] == kind and self._is_made(resource)
        }

    def _is_made(self, resource: Mapping[str, Any]) -> bool:
        condition = resource.get("Condition")
        return condition is None or bool(self.value(self._text["Conditions"][condition]))

    def value(self, item: Any) -> Any:
        """Work out the functions in a part of the template."""
        if isinstance(item, list):
            found = [self.value(one) for one in item]
            return [one for one in found if one is not _NOTHING]
        if not isinstance(item, dict):
            return item
        if len(item) == 1:
            [(name, argument)] = item.items()
            known = getattr(self, f"_{name.replace('Fn::', '').replace('::', '').lower()}", None)
            if known is not None and (name == "Ref" or name.startswith("Fn::")):
                return known(argument)
        worked_out = {name: self.value(one) for name, one in item.items()}
        return {name: one for name, one in worked_out.items() if one is not _NOTHING}

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NOTHING
        if name in self._values:
            return self._values[name]
        return self._arns.get(name, f"<{name}>")

    def _getatt(self, argument: str | list[str]) -> str:
        logical = (argument if isinstance(argument, str) else ".".join(argument)).removesuffix(".Arn")
        return self._arns.get(logical, f"<{logical}>")

    def _sub(self, argument: str | list[Any]) -> str:
        text, more = (argument, {}) if isinstance(argument, str) else argument
        values = {name: self.value(one) for name, one in more.items()}

        def place(found: re.Match[str]) -> str:
            name = found[1]
            if name in values:
                return str(values[name])
            return str(self._getatt(name) if name.endswith(".Arn") else self._ref(name))

        return _PLACE.sub(place, text)

    def _findinmap(self, argument: list[Any]) -> Any:
        first, second, third = (self.value(one) for one in argument)
        return self._text["Mappings"][first].get(second, {}).get(third, f"<{second} is not in {first}>")

    def _select(self, argument: list[Any]) -> Any:
        index, values = argument
        return self.value(values)[int(index)]

    def _equals(self, argument: list[Any]) -> bool:
        first, second = (self.value(one) for one in argument)
        return bool(first == second)

    def _not(self, argument: list[Any]) -> bool:
        return not self.value(argument[0])

    def _if(self, argument: list[Any]) -> Any:
        condition, yes, no = argument
        return self.value(yes if self.value(self._text["Conditions"][condition]) else no)


def normal(document: Any) -> Any:
    """Write a policy so that two of one meaning are equal: a list of one is its member, and lists have no order.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
    """
    if isinstance(document, dict):
        return {key: normal(value) for key, value in sorted(document.items())}
    if isinstance(document, list):
        members = sorted((normal(one) for one in document), key=repr)
        return members[0] if len(members) == 1 else members
    return str(document).lower() if isinstance(document, bool) else str(document)
