"""Trust policies that IAM refuses, and ministack keeps.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html, MalformedPolicyDocument
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

PRIVATE_PARTS = {
    "ministack.services.iam": ("_IAM_HANDLERS", "_error", "_p"),
}


def check_trust_policies(modules: Mapping[str, Any]) -> None:
    """Let CreateRole and UpdateAssumeRolePolicy refuse documents that are no trust policies.

    :param modules: ministack's modules by name
    """
    iam = modules["ministack.services.iam"]

    def checked(handle: Callable[[Any], Any], member: str) -> Callable[[Any], Any]:
        def called(parameters: Any) -> Any:
            if wrong := trust_problem(iam._p(parameters, member)):
                return iam._error(400, "MalformedPolicyDocument", wrong, ns="iam")
            return handle(parameters)

        return called

    handlers = iam._IAM_HANDLERS
    for action, member in (("CreateRole", "AssumeRolePolicyDocument"), ("UpdateAssumeRolePolicy", "PolicyDocument")):
        handlers[action] = checked(handlers[action], member)


def trust_problem(document: str) -> str | None:
    """Say what is wrong with a role's trust policy.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html

    :param document: JSON
    :returns: IAM's text; None for a document of the right form
    """
    try:
        policy = json.loads(document)
    except ValueError:
        return "This policy contains invalid Json"
    statements = policy.get("Statement") if isinstance(policy, dict) else None
    if not statements:
        return "Syntax errors in policy."
    for one in statements if isinstance(statements, list) else [statements]:
        if not isinstance(one, dict):
            return "Syntax errors in policy."
        if one.get("Effect") not in ("Allow", "Deny"):
            return "Syntax errors in policy."
        for member in ("Resource", "NotResource"):
            if member in one:
                return f"Has prohibited field {member}"
        for member in ("Principal", "Action"):
            if member not in one and f"Not{member}" not in one:
                return f"Missing required field {member}"
    return None
