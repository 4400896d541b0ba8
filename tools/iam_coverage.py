"""Write docs/iam.md: each action of each statement of the set-up templates, and the call that needs it.

The calls come from the ledger of the local AWS, while two models live under these roles (tests/cfn/test_iam_life.py).
`make iam` runs it. An action that no call needed is explained by AWS's schema of a resource type or by `iam_reasons`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from tools.iam_reasons import MISSING, REASONS

ROOT = Path(__file__).parents[1]
TEMPLATES = tuple(ROOT / "include/cfn" / name for name in ("bootstrap.yaml", "model.yaml"))
DOCUMENT = ROOT / "docs/iam.md"
CLOUDFORMATION = "cloudformation.amazonaws.com"
_SCHEMA = "https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html"
_PLACEHOLDER = re.compile(r"\$\{[^}]+\}")
_PRINCIPAL = re.compile(r"arn:[^:]+:(?:sts|iam)::\d+:(?:assumed-role|role|user)/([^/]+).*")


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
    limits: bool = False

    @property
    def name(self) -> str:
        """The name that the ledger gives it."""
        return f"{self.policy}/{self.sid}"

    def is_held_by(self, who: str) -> bool:
        """Tell whether a role or user has this statement.

        :param who: the name of a role; a managed policy is known by its own name
        """
        pattern = ".+".join(map(re.escape, _PLACEHOLDER.split(self.holder)))
        return self.policy == self.holder or re.fullmatch(pattern, who) is not None


@dataclass(frozen=True, order=True)
class Use:
    """A call that a statement allowed.

    :param who: the role's or user's name
    :param statement: POLICY/SID
    :param operation: of the call, which may need several actions
    :param caller: the module that made it, or the service of AWS
    :param step: of the life, the first one
    """

    who: str
    statement: str
    action: str
    operation: str
    caller: str
    step: str


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
    for path in templates:
        resources = yaml.load(path.read_text(), _Loader)["Resources"]  # noqa: S506 (a SafeLoader)
        boundaries = {str(one.get("Properties", {}).get("PermissionsBoundary", "")) for one in resources.values()}
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


def _of_policy(
    template: str, holder: str, policy: str, properties: Mapping[str, Any], *, limits: bool = False
) -> Iterator[Statement]:
    for one in properties["PolicyDocument"]["Statement"]:
        actions = one.get("Action", one.get("NotAction"))
        listed = (actions,) if isinstance(actions, str) else tuple(actions)
        yield Statement(template, holder, policy, one.get("Sid", ""), one["Effect"], listed, limits)


def uses(calls: Iterable[Mapping[str, Any]], callers: Mapping[str, str]) -> list[Use]:
    """Read what statements allowed.

    :param calls: of the ledger, each with the member ``step``
    :param callers: the module that made a call, by request id
    """
    first: dict[tuple[str, ...], str] = {}
    for call in calls:
        for one in call.get("iam", ()):
            match = _PRINCIPAL.fullmatch(one["principal"])
            if not one["allowed"] or match is None:
                continue
            caller = callers.get(call["request_id"], _service(call["caller"], one["principal"]))
            first.setdefault((match[1], one["statement"], one["action"], call["operation"], caller), call["step"])
    return sorted(Use(*key, step) for key, step in first.items())


def _service(caller: str, principal: str) -> str:
    """Name the service of AWS that makes a call as a role."""
    if caller == CLOUDFORMATION:
        return "CloudFormation, as it detects drift"
    session = principal.rpartition("/")[2]
    return {"AWSCloudFormation": "CloudFormation", "SageMaker": "SageMaker"}.get(session, "")


def evidence(statement: Statement, action: str, found: Iterable[Use]) -> list[Use]:
    """Return the uses of one action of a statement."""
    return [
        one
        for one in found
        if one.statement == statement.name
        and statement.is_held_by(one.who)
        and fnmatchcase(one.action.lower(), action.lower())
    ]


def reason(statement: Statement, action: str, handlers: Mapping[str, Mapping[str, list[str]]]) -> str:
    """Say why an action is needed that no call of the local AWS has needed; empty for none.

    :param handlers: the actions of each resource type's handlers by AWS's schema
    """
    for (holder, sid, pattern), text in REASONS.items():
        if fnmatchcase(statement.holder, holder) and fnmatchcase(statement.sid, sid) and fnmatchcase(action, pattern):
            return text
    steps = {"slipway-cloudformation": ("create", "update", "delete", "read"), "slipway-airflow": ("read",)}
    wanted = steps.get(statement.holder, ())
    by = [
        f"{step} of `{kind}`"
        for kind, named in sorted(handlers.items())
        for step in wanted
        if action in named.get(step, ())
    ]
    return f"AWS's [schema]({_SCHEMA}) names it: {', '.join(by)}" if by else ""


def unexplained(found: Iterable[Use], handlers: Mapping[str, Mapping[str, list[str]]]) -> list[str]:
    """Return the actions that no call needed and nothing explains, and the reasons for what needs none."""
    found = list(found)
    problems, needed = [], set()
    for statement in statements():
        for action in statement.actions:
            if statement.limits or statement.effect != "Allow" or evidence(statement, action, found):
                continue
            needed |= {
                key
                for key in REASONS
                if fnmatchcase(statement.holder, key[0])
                and fnmatchcase(statement.sid, key[1])
                and fnmatchcase(action, key[2])
            }
            if not reason(statement, action, handlers):
                problems.append(f"{statement.holder} {statement.name}: no call needs {action}")
    problems += [f"the reason for {' '.join(key)} is not needed" for key in REASONS if key not in needed]
    return problems


def unnamed(found: Iterable[Use]) -> list[str]:
    """Return the calls of the templates' roles that no statement with a Sid of the templates allowed."""
    known = statements()
    problems = []
    for use in found:
        holders = [one for one in known if one.is_held_by(use.who)]
        ours = use.who.startswith("slipway-") and use.who != "slipway-admin"
        if ours and not any(one.name == use.statement and one.sid for one in holders) and "/" in use.statement:
            problems.append(f"{use.who}: {use.action} is allowed by {use.statement}")
    return problems


def missing(handlers: Mapping[str, Mapping[str, list[str]]]) -> list[str]:
    """Return what AWS's schemas name and neither role has, without a reason in `MISSING`."""
    actions = {
        holder: {action for one in statements() if one.holder == holder for action in one.actions}
        for holder in ("slipway-cloudformation", "slipway-airflow")
    }
    problems = []
    for kind, named in sorted(handlers.items()):
        for step, permissions in sorted(named.items()):
            if step == "list":
                continue
            for holder in ("slipway-cloudformation", *(("slipway-airflow",) if step == "read" else ())):
                problems += [
                    f"{holder} lacks {action}: {step} of {kind}"
                    for action in permissions
                    if action not in actions[holder] and not any(fnmatchcase(action, pattern) for pattern in MISSING)
                ]
    return problems


# --- the document -----------------------------------------------------------------------------------------------------


def render(found: Iterable[Use], handlers: Mapping[str, Mapping[str, list[str]]]) -> str:
    """Write the document."""
    found, parts = list(found), [_HEAD]
    holder = ""
    for statement in statements():
        if statement.holder != holder:
            holder = statement.holder
            parts.append(f"\n## {_shown(holder)}\n")
        parts.append(f"\n### {_shown(holder)}: {statement.name if statement.policy != holder else statement.sid}\n")
        if statement.limits:
            parts.append("A permissions boundary: it allows nothing by itself.\n")
            continue
        parts.append("| action | needed by | shown by |\n|---|---|---|\n")
        parts += [_row(statement, action, found, handlers) for action in statement.actions]
    parts.append("\n## What AWS's schemas name and no role has\n\n| action | why not |\n|---|---|\n")
    parts += [f"| `{action}` | {text} |\n" for action, text in sorted(MISSING.items())]
    return "".join(parts)


_HEAD = """# Why each permission is there

`make iam` writes this page; a test fails when it differs from what the script writes, when an action was neither needed
nor explained, or when a call was allowed by no statement of the templates. In the test two models live under the roles
of [bootstrap.yaml](../include/cfn/bootstrap.yaml) and [model.yaml](../include/cfn/model.yaml) in the local AWS, whose
[ledger](local-aws.md#the-call-ledger) names the statement that allowed each call. "Shown by" is the first step of that
life (`tests/cfn/life.py`) with such a call. Whoever calls is a module below `plugins/slipway/`, a tool, or a service of
AWS that acts as the role.
"""


def _row(
    statement: Statement, action: str, found: Iterable[Use], handlers: Mapping[str, Mapping[str, list[str]]]
) -> str:
    seen = evidence(statement, action, found)
    if not seen:
        return f"| `{action}` | {reason(statement, action, handlers) or '**nothing**'} | explained |\n"
    by_caller: dict[str, list[str]] = {}
    for use in seen:
        by_caller.setdefault(use.caller, []).append(use.operation)
    calls = [
        f"{', '.join(f'`{one}`' for one in sorted(set(operations)))}{f' by {_caller(caller)}' if caller else ''}"
        for caller, operations in sorted(by_caller.items())
    ]
    return f"| `{action}` | {'; '.join(calls)} | {min(seen, key=lambda use: use.step).step.partition(' ')[2]} |\n"


def _caller(caller: str) -> str:
    return f"`{caller}`" if caller.endswith(".py") else caller


def _shown(holder: str) -> str:
    return _PLACEHOLDER.sub("PREFIX", holder)


def handlers_of(template: Path) -> dict[str, dict[str, list[str]]]:
    """Return what AWS's schemas say each handler of a template's resource types calls, by type and handler.

    :param template: such as endpoint.yaml
    """
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    resources = yaml.load(template.read_text(), _Loader)["Resources"]  # noqa: S506 (a SafeLoader)
    found = {}
    for kind in sorted({one["Type"] for one in resources.values()}):
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-west-2", kind).schema
        found[kind] = {name: sorted(one["permissions"]) for name, one in schema.get("handlers", {}).items()}
    return found


ENDPOINT_HANDLERS = ROOT / "plugins/slipway/deployment/endpoint.yaml"


def main() -> None:
    """Write the document from the evidence that `make iam` has collected."""
    calls = json.loads(Path(sys.argv[1]).read_text())
    found = [Use(**one) for one in calls]
    DOCUMENT.write_text(render(found, handlers_of(ENDPOINT_HANDLERS)))


if __name__ == "__main__":
    main()
