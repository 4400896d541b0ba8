"""The roles: whom they trust, what their policies say, and what IAM makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tools.verify_aws.account import Account
from tools.verify_aws.authorization import as_list, example, published, unsupported
from tools.verify_aws.findings import (
    CannotTellError,
    Finding,
    cannot_tell,
    compare,
    differs,
    refusal,
    same,
    unanswered,
)
from tools.verify_aws.stacks import template_of
from tools.verify_aws.template import normal


def checks(account: Account) -> Iterator[Finding]:
    """Compare each role with its template, and ask IAM to simulate what its statements allow."""
    for stack in account.templates:
        try:
            roles = template_of(account, stack).resources("AWS::IAM::Role")
        except (ClientError, BotoCoreError, CannotTellError) as error:
            yield cannot_tell(f"the roles of {stack}", unanswered(error) or refusal(error))
            continue
        for role in roles.values():
            yield from _role(account, role)


def _role(account: Account, role: dict[str, Any]) -> Iterator[Finding]:
    iam, name = account.client("iam"), role["RoleName"]
    yield compare(
        f"the role {name} trusts whom its template names",
        normal(role["AssumeRolePolicyDocument"]),
        lambda: normal(iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]),
    )
    yield compare(
        f"the role {name} has its template's permissions boundary",
        role.get("PermissionsBoundary", "none"),
        lambda: (
            iam.get_role(RoleName=name)["Role"].get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", "none")
        ),
    )
    documents = {policy["PolicyName"]: policy["PolicyDocument"] for policy in role["Policies"]}

    def policies() -> Any:
        found = [entry for page in _pages(iam, "list_role_policies", name) for entry in page["PolicyNames"]]
        return {
            policy: normal(iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]) for policy in found
        }

    wanted = {policy: normal(document) for policy, document in documents.items()}
    yield _policies(f"the role {name} has its template's policies", wanted, policies)
    yield compare(
        f"the role {name} has no other policy",
        [],
        lambda: [
            one["PolicyArn"] for page in _pages(iam, "list_attached_role_policies", name)
            for one in page["AttachedPolicies"]
        ],
    )  # fmt: skip
    statements = [one for document in documents.values() for one in document["Statement"]]
    tags = {one["Key"]: one["Value"] for one in role.get("Tags", ())}
    yield _simulated(account, name, [one for one in statements if one["Effect"] == "Allow"], tags)
    yield _supported(account, name, statements)


def _pages(iam: Any, operation: str, role: str) -> Iterable[dict[str, Any]]:
    found: Iterable[dict[str, Any]] = iam.get_paginator(operation).paginate(RoleName=role)
    return found


def _policies(check: str, wanted: dict[str, Any], look: Any) -> Finding:
    """Compare policies, and tell only those that differ: a whole role's would be pages."""
    kept: dict[str, Any] = {}

    def named() -> list[str]:
        kept.update(look())
        return sorted(policy for policy in {*kept, *wanted} if kept.get(policy) != wanted.get(policy))

    found = compare(check, [], named)
    if found.found and kept:
        changed = named()
        return differs(check, {one: wanted.get(one) for one in changed}, {one: kept.get(one) for one in changed})
    return found


def _simulated(account: Account, role: str, statements: list[dict[str, Any]], tags: Mapping[str, str]) -> Finding:
    """Have IAM judge each action of each statement on a resource that the statement names.

    It shows what permissions boundaries and organizations deny.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    """
    check = f"IAM lets the role {role} do what its statements allow"
    iam, arn, denied, judged = account.client("iam"), account.arn("iam", f"role/{role}"), [], 0
    for statement in statements:
        if account.local and "Condition" in statement:
            continue  # the local AWS simulates without context
        # An action of a statement for several types of resources concerns one of them.
        verdicts: dict[str, set[str]] = {}
        request = {
            "PolicySourceArn": arn,
            "ActionNames": [example(action) for action in as_list(statement["Action"])],
            # A simulation does not know the role's tags, which a boundary may name.
            "ContextEntries": [
                *_context(statement.get("Condition", {})),
                *(_entry(f"aws:PrincipalTag/{key}", value) for key, value in tags.items()),
            ],
        }
        for resource in as_list(statement["Resource"]):
            where = {} if resource == "*" else {"ResourceArns": [example(resource)]}
            try:
                pages = iam.get_paginator("simulate_principal_policy").paginate(**request, **where)
                for one in (one for page in pages for one in page["EvaluationResults"]):
                    verdicts.setdefault(one["EvalActionName"], set()).add(_verdict(one))
            except (ClientError, BotoCoreError) as error:
                reason = unanswered(error)
                return cannot_tell(check, reason) if reason else differs(check, "allowed", refusal(error))
        judged += len(verdicts)
        denied += [
            f"{action}: {', '.join(sorted(said))} ({statement.get('Sid', '')})"
            for action, said in verdicts.items()
            if "allowed" not in said
        ]
    return differs(check, "allowed", "; ".join(denied)) if denied else same(check, f"{judged} actions simulated")


def _supported(account: Account, role: str, statements: list[dict[str, Any]]) -> Finding:
    """Compare the statements with what their actions support; else nothing is ever allowed by them."""
    check = f"the actions of the role {role} support its resources and condition keys"
    if account.local:
        return cannot_tell(check, "AWS's list is not asked for another AWS")
    try:
        problems = list(unsupported(statements, published))
    except (OSError, ValueError, KeyError) as error:
        return cannot_tell(check, f"AWS's list cannot be read: {error!r}")
    return differs(check, "all", "; ".join(problems)) if problems else same(check)


def _verdict(result: dict[str, Any]) -> str:
    decision = str(result["EvalDecision"])
    if decision == "allowed":
        return decision
    if result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations") is False:
        return f"{decision} by the organization"
    if result.get("PermissionsBoundaryDecisionDetail", {}).get("AllowedByPermissionsBoundary") is False:
        return f"{decision} by the permissions boundary"
    return decision


def _context(conditions: dict[str, Any]) -> list[dict[str, Any]]:
    """Return context that meets a statement's conditions; what has to be missing is left out."""
    entries = []
    for operator, keys in conditions.items():
        if operator == "Null":
            continue
        for key, values in keys.items():
            first = values[0] if isinstance(values, list) else values
            entries.append(_entry(key, example(str(first))))
    return entries


def _entry(key: str, value: str) -> dict[str, Any]:
    return {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
