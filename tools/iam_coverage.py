"""Write docs/iam.md: each action of each statement of the set-up templates, and the call that needs it.

The calls come from the ledger of the local AWS, while two models live under these roles (tests/cfn/test_iam_life.py).
`make iam` runs it. An action that no call needed is explained by AWS's schema of a resource type or by `iam_reasons`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tools.iam_reasons import MISSING, OF_RESOURCES, REASONS
from tools.iam_templates import (
    ENDPOINT_TEMPLATE,
    PLACEHOLDER,
    Statement,
    handlers_of,
    of_resources,
    statements,
    trusted,
)
from tools.settings import ROOT

DOCUMENT = ROOT / "docs/iam.md"
CLOUDFORMATION = "cloudformation.amazonaws.com"
_SCHEMA = "https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html"
# What the ARNs of a resource type contain.
_PLACES = {
    "Alarm": ":alarm:",
    "Dashboard": ":dashboard/",
    "Endpoint": ":endpoint/",
    "EndpointConfig": ":endpoint-config/",
    "Model": ":model/",
    "ScalableTarget": ":scalable-target/",
}
_WAITS = re.compile(r"(^|/)wait(ing/|\.py)")
_PRINCIPAL = re.compile(r"arn:[^:]+:(?:sts|iam)::\d+:(?:assumed-role|role|user)/([^/]+).*")


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


def uses(calls: Iterable[Mapping[str, Any]], callers: Mapping[str, str]) -> list[Use]:
    """Read what statements allowed.

    :param calls: of the ledger, each with the member ``step``
    :param callers: the module that made a call, by request id
    """
    first: dict[tuple[str, str, str, str, str], str] = {}
    for call in calls:
        for one in call.get("iam", ()):
            match = _PRINCIPAL.fullmatch(one["principal"])
            if not one["allowed"] or match is None:
                continue
            caller = callers.get(call["request_id"], _service(call["caller"], one["principal"]))
            first.setdefault((match[1], one["statement"], one["action"], call["operation"], caller), call["step"])
    return sorted(Use(*key, step=step) for key, step in first.items())


def _service(caller: str, principal: str) -> str:
    """Name the service of AWS that makes a call as a role."""
    if caller == CLOUDFORMATION:
        return "CloudFormation, as it detects drift"
    if ":user/" in principal:
        return "people"
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
        if action in named.get(step, ()) and _is_on(statement, action, kind)
    ]
    return f"AWS's [schema]({_SCHEMA}) names it: {', '.join(by)}" if by else ""


def _is_on(statement: Statement, action: str, kind: str) -> bool:
    """Tell whether a statement is about the resources of a type, for an action of the type's own service."""
    service, noun = kind.split("::")[1:]
    own = action.replace("-", "").startswith(f"{service.lower()}:") and noun in _PLACES
    place = _PLACES[noun] if own else ""
    return any(place in text or text == "*" for text in statement.resources)


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
    problems += [f"{' '.join(one)}: nobody says why" for one in of_resources() if one not in OF_RESOURCES]
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
    known, problems = statements(), []

    def has(holder: str, action: str, kind: str) -> bool:
        return any(one.holder == holder and action in one.actions and _is_on(one, action, kind) for one in known)

    for kind, named in sorted(handlers.items()):
        for step, permissions in sorted(named.items()):
            if step == "list":
                continue
            for holder in ("slipway-cloudformation", *(("slipway-airflow",) if step == "read" else ())):
                problems += [
                    f"{holder} lacks {action}: {step} of {kind}"
                    for action in permissions
                    if not has(holder, action, kind) and not any(fnmatchcase(action, pattern) for pattern in MISSING)
                ]
    return problems


# --- the document -----------------------------------------------------------------------------------------------------


def render(found: Iterable[Use], handlers: Mapping[str, Mapping[str, list[str]]]) -> str:
    """Write the document."""
    found, parts, trust = list(found), [_HEAD], trusted()
    holder = ""
    for statement in statements():
        if statement.holder != holder:
            holder = statement.holder
            parts.append(f"\n## {_shown(holder)}\n")
            if holder in trust:
                parts.append(f"\nTrusts {PLACEHOLDER.sub(lambda one: one[0][2:-1], trust[holder])}.\n")
        parts.append(f"\n### {_shown(holder)}: {statement.name if statement.policy != holder else statement.sid}\n")
        if statement.limits:
            parts.append("A permissions boundary: it allows nothing by itself.\n")
            continue
        parts.append("\n| action | needed by | shown by |\n|---|---|---|\n")
        parts += [_row(statement, action, found, handlers) for action in statement.actions]
    parts.append("\n## Policies of resources\n\n| resource | statement | why |\n|---|---|---|\n")
    parts += [f"| `{one}` | `{sid}` | {OF_RESOURCES.get((one, sid), '**nothing**')} |\n" for one, sid in of_resources()]
    parts.append("\n## What AWS's schemas name and no role has\n\n| action | why not |\n|---|---|\n")
    parts += [f"| `{action}` | {text} |\n" for action, text in sorted(MISSING.items())]
    return "".join(parts)


_HEAD = """# Why each permission is there

`make iam` writes this page; a test fails when it differs from what the script writes, when an action was neither needed
nor explained, or when a call was allowed by no statement of the templates. In the test two models live under the roles
of [bootstrap.yaml](../plugins/slipway/command/cfn/bootstrap.yaml),
[images.yaml](../plugins/slipway/command/cfn/images.yaml) and
[model.yaml](../plugins/slipway/command/cfn/model.yaml) in the local AWS, whose
[ledger](local-aws.md#the-call-ledger) names the statement that allowed each call. "Shown by" is the first step of that
life (`tests/cfn/life.py`) with such a call. Whoever calls is a module below `plugins/slipway/`, a tool, or a service of
AWS that acts as the role.
"""


def _row(
    statement: Statement, action: str, found: Iterable[Use], handlers: Mapping[str, Mapping[str, list[str]]]
) -> str:
    seen = evidence(statement, action, found)
    if statement.effect == "Deny":
        return f"| `{action}` | denied, whatever else allows it | explained |\n"
    if not seen:
        return f"| `{action}` | {reason(statement, action, handlers) or '**nothing**'} | explained |\n"
    # Whether a task waits depends on who is quicker, and a call that is broken off is nobody's.
    seen = [use for use in seen if use.caller and not _WAITS.search(use.caller)] or seen
    by_caller: dict[str, list[str]] = {}
    for use in seen:
        by_caller.setdefault(use.caller, []).append(use.operation)
    calls = [
        f"{', '.join(f'`{one}`' for one in sorted(set(operations)))}{f' by {_caller(caller)}' if caller else ''}"
        for caller, operations in sorted(by_caller.items())
    ]
    # Jobs and endpoints write when they like.
    step = "the whole life" if set(by_caller) == {"SageMaker"} else min(use.step for use in seen).partition(" ")[2]
    return f"| `{action}` | {'; '.join(calls)} | {step} |\n"


def _caller(caller: str) -> str:
    return f"`{caller}`" if caller.endswith(".py") else caller


def _shown(holder: str) -> str:
    return PLACEHOLDER.sub("PREFIX", holder)


def main() -> None:
    """Write the document from the evidence that `make iam` has collected."""
    calls = json.loads(Path(sys.argv[1]).read_text())
    found = [Use(**one) for one in calls]
    DOCUMENT.write_text(render(found, handlers_of(ENDPOINT_TEMPLATE)))


if __name__ == "__main__":
    main()
