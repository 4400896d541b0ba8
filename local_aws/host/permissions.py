"""What IAM says about a principal, an action and a resource.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local_aws.framework.api import RequestContext
from local_aws.framework.authorization import PASS_ROLE, PASSED_TO, Needed
from local_aws.framework.store import Scope
from local_aws.host.refusal import AccessDenied, Decision, Refusal

PRIVATE_PARTS = {
    "ministack.core.iam_evaluator": (
        "AuthError",
        "EvalContext",
        "PrincipalInfo",
        "_action_matches",
        "_conditions_met",
        "_gather_role_policies",
        "_gather_user_policies",
        "_names_caller",
        "_permissions_boundary",
        "_resolve_condition_key",
        "_resource_matches",
        "_service_principal_matches",
        "combine_resource_policy",
        "evaluate",
        "resolve_principal",
    ),
    "ministack.services.iam": ("_roles", "_users"),
}

_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:(?:iam|sts)::(\d{12}):(user|role|assumed-role)/(.+)")
_SESSION = re.compile(r"arn:(aws[a-z-]*):sts::(\d{12}):assumed-role/([^/]+)/.+")
# IAM's changes are not visible at once, and an invocation must not evaluate all policies each time.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
_REMEMBERED_SECONDS = 1.0
_REMEMBERED_DECISIONS = 1024


class Permissions:
    """Asks ministack's evaluator; the guard of the added services.

    :param modules: ministack's modules by name
    :param on_refusal: is told of each refusal
    """

    def __init__(self, modules: Mapping[str, Any], on_refusal: Callable[[Refusal], None]) -> None:
        self._evaluator = modules["ministack.core.iam_evaluator"]
        self._iam = modules["ministack.services.iam"]
        self._on_refusal = on_refusal
        self._resolve = self._evaluator._resolve_condition_key
        self._evaluator._resolve_condition_key = self._condition_key
        self._remembered: dict[tuple[str, str, str], tuple[float, Refusal | None]] = {}

    # --- the guard of added services ------------------------------------------------------------------------------

    def authorize(self, context: RequestContext, needed: Sequence[Needed]) -> None:
        """Refuse a caller without the permissions.

        :param context: who asks
        :param needed: all of them must be allowed
        :raises AccessDenied: one of them is not
        """
        for one in needed:
            decision = self.decide(context, context.principal or context.caller, context.access_key_id, one)
            if decision is None:
                continue
            context.decisions.append(decision.as_data())
            if decision.refusal is not None:
                self._on_refusal(decision.refusal)
                raise AccessDenied(decision.refusal)

    def untrusted(self, scope: Scope, needed: Sequence[Needed]) -> Needed | None:
        """Find a role that does not exist or does not trust the service that it is handed to.

        :param scope: the account
        :param needed: those with `PASS_ROLE` are looked at
        :returns: the first such role; None where all can be assumed
        """
        roles = (one for one in needed if one.action == PASS_ROLE)
        return next((one for one in roles if not self.trusts(scope, one.resource, one.keys[PASSED_TO])), None)

    def may(self, scope: Scope, role_arn: str, needed: Needed) -> bool:
        """Tell whether a role is allowed an action, for a service that acts as it.

        :param scope: account and region
        :param role_arn: the role
        :param needed: the action and its resource
        """
        decision = self.decide(scope, role_arn, "", needed)
        return decision is None or decision.refusal is None

    # --- decisions ------------------------------------------------------------------------------------------------

    def decide(self, scope: Scope, principal: str, access_key_id: str, needed: Needed) -> Decision | None:
        """Evaluate the policies of a principal.

        :param scope: account and region
        :param principal: its ARN; anything else is a service of AWS, which may do everything, as an account's root may
        :param access_key_id: what it signed with; empty for a principal that a service acts for
        :param needed: the action and its resource
        :returns: None for who may do everything
        """
        if not _PRINCIPAL.fullmatch(principal) or ":assumed-role/AWSServiceRoleFor" in principal:
            return None
        found = self._principal(scope, principal, access_key_id)
        if found.policies is None:
            return None
        evaluated = self._context(scope, found, needed)
        result = self._evaluator.evaluate(evaluated, found.policies, *found.limits)
        if needed.policy:
            owner = needed.resource.split(":")[4]
            result = self._evaluator.combine_resource_policy(
                result, evaluated, needed.policy, owner, limits=tuple(found.limits)
            )
        if result.decision == "Allow":
            return Decision(found.arn, needed, result.matched_sid)
        refusal = self._refusal(found, evaluated, needed, result.decision)
        return Decision(found.arn, needed, result.matched_sid, refusal)

    def refusal(self, scope: Scope, principal: str, access_key_id: str, needed: Needed, decision: str) -> Refusal:
        """Say why something was refused that ministack has decided.

        :param scope: account and region
        :param principal: its ARN
        :param access_key_id: what it signed with
        :param needed: the action and its resource
        :param decision: ministack's word for it
        """
        found = self._principal(scope, principal, access_key_id)
        return self._refusal(found, self._context(scope, found, needed), needed, decision)

    def _context(self, scope: Scope, found: Any, needed: Needed) -> Any:
        return self._evaluator.EvalContext(
            principal_arn=found.arn,
            principal_type=found.type,
            principal_account=found.account,
            action=needed.action,
            resource_arn=needed.resource,
            region=scope.region,
            service_context={"aws:tagkeys": None, **{key.lower(): value for key, value in needed.keys.items()}},
            principal_keys=found.keys,
        )

    def _refusal(self, found: Any, evaluated: Any, needed: Needed, decision: str) -> Refusal:
        # What is allowed without the limits, or only not allowed without them, is refused by the boundary.
        policies = found.policies or []
        alone = self._evaluator.evaluate(evaluated, policies).decision
        limited = self._evaluator.evaluate(evaluated, policies, *found.limits).decision
        boundary = self.boundary_of(found.arn) if limited != alone else ""
        unmet = "" if boundary else self._unmet(policies, needed)
        return Refusal(found.arn, needed.action, needed.resource, decision == "Deny", unmet, boundary)

    def boundary_of(self, arn: str) -> str:
        """Return the permissions boundary of a user, a role or a role's session; empty for none.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html

        :param arn: of the user, role or session
        """
        match = _PRINCIPAL.fullmatch(arn)
        if match is None:
            return ""
        store, name = self._entity(match[2], match[3])
        return str((store.get_scoped(match[1], None, name) or {}).get("PermissionsBoundary") or "")

    def _entity(self, kind: str, rest: str) -> tuple[Any, str]:
        """Return where a principal is kept, and its name there."""
        if kind == "assumed-role":
            return self._iam._roles, rest.partition("/")[0]
        return self._iam._users if kind == "user" else self._iam._roles, rest.rpartition("/")[2]

    def remembered(self, key: tuple[str, str, str], decide: Callable[[], Refusal | None]) -> Refusal | None:
        """Decide at most once a second for the same caller and resource.

        :param key: ARN and access key of the caller, and the resource
        :param decide: asks the policies
        """
        now = time.monotonic()
        known = self._remembered.get(key)
        if known is None or known[0] < now:
            if len(self._remembered) >= _REMEMBERED_DECISIONS:
                self._remembered.clear()
            known = self._remembered[key] = now + _REMEMBERED_SECONDS, decide()
        if known[1] is not None:
            self._on_refusal(known[1])
        return known[1]

    def _unmet(self, policies: Sequence[Sequence[Any]], needed: Needed) -> str:
        """Name the statement that allows an action under other conditions: its Sid, else its conditions."""
        for statement in (statement for policy in policies for statement in policy):
            if (
                statement.effect == "Allow"
                and statement.conditions
                and self._evaluator._action_matches(needed.action, statement.actions, statement.not_actions)
                and self._evaluator._resource_matches(needed.resource, statement.resources, statement.not_resources)
            ):
                return str(statement.sid or json.dumps(statement.conditions))
        return ""

    def _condition_key(self, key: str, context: Any) -> Any:
        """Resolve a condition key; ``aws:PrincipalArn`` is the role of a session, not the session.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
        """
        found = self._resolve(key, context)
        match = _SESSION.fullmatch(str(found)) if key.lower() == "aws:principalarn" else None
        if match is None:
            return found
        role = self._iam._roles.get_scoped(match[2], None, match[3]) or {}
        return role.get("Arn", f"arn:{match[1]}:iam::{match[2]}:role/{match[3]}")

    def _principal(self, scope: Scope, arn: str, access_key_id: str) -> Any:
        if access_key_id:
            found = self._evaluator.resolve_principal(access_key_id, scope.account_id)
            if not isinstance(found, self._evaluator.AuthError):
                return found
        match = _PRINCIPAL.fullmatch(arn)
        assert match is not None  # noqa: S101 (`decide` has looked)
        account, kind, rest = match.groups()
        store, name = self._entity(kind, rest)
        gather = self._evaluator._gather_user_policies if kind == "user" else self._evaluator._gather_role_policies
        policies = gather(name, account)
        limits = self._evaluator._permissions_boundary(store, name, account)
        principal_type = "User" if kind == "user" else "AssumedRole"
        return self._evaluator.PrincipalInfo(arn, principal_type, account, policies, {}, limits)

    # --- trust policies -------------------------------------------------------------------------------------------

    def trusts(self, scope: Scope, role_arn: str, service: str) -> bool:
        """Tell whether a service can assume a role.

        :param scope: the account that the service acts for
        :param role_arn: the role
        :param service: such as ``sagemaker.amazonaws.com``
        """
        context = self._evaluator.EvalContext(
            principal_arn=service,
            principal_type="Service",
            principal_account=scope.account_id,
            action="sts:AssumeRole",
            resource_arn=role_arn,
            region=scope.region,
            service_context={"aws:sourceaccount": scope.account_id, "aws:tagkeys": None},
        )
        effects = {
            statement.get("Effect")
            for statement in self._trust(scope, role_arn)
            if self._evaluator._service_principal_matches(statement.get("Principal", {}), service)
            and self._evaluator._action_matches("sts:AssumeRole", _listed(statement.get("Action")), [])
            and self._evaluator._conditions_met(statement.get("Condition", {}), context)
        }
        return "Allow" in effects and "Deny" not in effects

    def names_directly(self, scope: Scope, role_arn: str, caller: str) -> bool:
        """Tell whether a role's trust policy names a caller itself, who then needs no permission to assume it.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html, "within a single
        account"

        :param scope: the caller's account
        :param role_arn: the role
        :param caller: ARN of a user or a role's session
        """
        # STS itself then looks at the conditions, of which some are about its request.
        return any(
            statement.get("Effect") == "Allow"
            and self._evaluator._names_caller(statement.get("Principal", {}), caller)
            and self._evaluator._action_matches("sts:AssumeRole", _listed(statement.get("Action")), [])
            for statement in self._trust(scope, role_arn)
        )

    def _trust(self, scope: Scope, role_arn: str) -> list[dict[str, Any]]:
        """Return the statements of a role's trust policy; none where the account has no such role."""
        match = _PRINCIPAL.fullmatch(role_arn)
        if match is None or match[2] != "role" or match[1] != scope.account_id:
            return []
        role = self._iam._roles.get_scoped(match[1], None, match[3].rpartition("/")[2])
        return _statements(role.get("AssumeRolePolicyDocument")) if role and role["Arn"] == role_arn else []


def _statements(document: Any) -> list[dict[str, Any]]:
    try:
        found = json.loads(document) if isinstance(document, str) else document
    except ValueError:
        return []
    statements = found.get("Statement", []) if isinstance(found, dict) else []
    listed = [statements] if isinstance(statements, dict) else statements
    return [statement for statement in listed if isinstance(statement, dict)]


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(item) for item in value or []]
