"""ministack's enforcement of IAM: what each request needs, and what its refusal says.

ministack asks for one action on one resource. Here the other resources of a call, the roles that it hands over and
more condition keys are added.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from local_aws.framework.authorization import Needed, passing
from local_aws.framework.store import Scope
from local_aws.host.accounts import MemberAccounts
from local_aws.host.current import Current, current
from local_aws.host.permissions import Permissions
from local_aws.host.refusal import Decision
from local_aws.host.role_boundaries import boundary_key
from local_aws.host.stack_permissions import object_arn

PRIVATE_PARTS = {
    "ministack.app": ("pin_request_origin", "pin_signed_request"),
    "ministack.core.iam_actions": ("access_denied_response",),
    "ministack.core.iam_evaluator": ("AuthError", "enforce", "evaluate", "evaluate_trust_policy"),
    "ministack.core.responses": ("get_account_id", "get_region"),
    "ministack.services.cloudformation": ("_change_sets",),
}

CLOUDFORMATION = "cloudformation.amazonaws.com"
_IMPORTED = re.compile(r"ResourcesToImport\.member\.\d+\.ResourceType")
# The actions of CloudWatch that name alarms, and may name several or none.
# What the policies say of the action that ministack is asked about: those of the caller first, then the resource's.
_results: ContextVar[list[Any]] = ContextVar("local_aws.iam_results")
_ALARM_ACTIONS = ("DeleteAlarms", "DescribeAlarmHistory", "DescribeAlarms", "PutMetricAlarm", "SetAlarmState")


class Enforcement:
    """Extends ministack's enforcement.

    :param modules: ministack's modules by name
    :param permissions: evaluates policies
    """

    def __init__(self, modules: Mapping[str, Any], permissions: Permissions) -> None:
        app, actions = modules["ministack.app"], modules["ministack.core.iam_actions"]
        evaluator = modules["ministack.core.iam_evaluator"]
        self._responses = modules["ministack.core.responses"]
        self._cloudformation = modules["ministack.services.cloudformation"]
        self._permissions = permissions
        self._members = MemberAccounts(modules)
        self._auth_error = evaluator.AuthError
        self._enforce, self._trusts = evaluator.enforce, evaluator.evaluate_trust_policy
        self._answer = actions.access_denied_response
        # Nobody listens on the loopback, and policies that ask for TLS mean the network. Clients cannot say so.
        pin_origin = app.pin_request_origin
        app.pin_request_origin = lambda address, secure: pin_origin(address, True)
        # The signature has been checked by `authentication`.
        app.pin_signed_request = lambda *arguments, **keywords: None
        evaluator.enforce = self._check
        evaluator.evaluate = _noted(evaluator.evaluate)
        evaluator.evaluate_trust_policy = self._trust
        actions.access_denied_response = self._refused

    def _check(
        self,
        access_key_id: str,
        action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Check all that a request needs; return ministack's result for what is refused, None when nothing is."""
        asked = current.get(None)
        if action == "sts:AssumeRole":
            self._members.prepare(resource_arn)
        first = Needed(action, resource_arn, dict(service_context or {}))
        for needed in [first] if asked is None else self._needed(asked, service, first):
            of_service = "s3" if needed.action.startswith("s3:") else service
            results: list[Any] = []
            token = _results.set(results)
            try:
                denied = self._enforce(access_key_id, needed.action, of_service, region, needed.resource, needed.keys)
            finally:
                _results.reset(token)
            if isinstance(denied, self._auth_error) or asked is None:
                if denied is not None:
                    return denied
                continue
            if denied is not None and denied.decision == "ImplicitDeny" and self._trusted_by_name(asked, needed):
                asked.decisions.append(Decision(asked.caller.arn, needed, "trust policy").as_data())
                continue
            if denied is not None:
                self._note(asked, denied, needed)
            if results:
                decision = Decision(results[0].principal_arn, needed, _deciding(results, denied), asked.refusal)
                asked.decisions.append(decision.as_data())
            if denied is not None:
                return denied
        return None

    def _note(self, asked: Current, denied: Any, needed: Needed) -> None:
        """Keep what is refused for the answer and the ledger."""
        asked.refusal = self._permissions.refusal(
            self._scope(), asked.caller.arn, asked.caller.access_key_id, needed, denied.decision
        )

    def _trusted_by_name(self, asked: Current, needed: Needed) -> bool:
        return needed.action == "sts:AssumeRole" and self._permissions.names_directly(
            self._scope(), needed.resource, asked.caller.arn
        )

    def _trust(self, document: Any, caller_arn: str, context: Any = None) -> bool:
        """Evaluate a trust policy; only this process has the keys of an account's root, and acts as a service then."""
        asked = current.get(None)
        if not caller_arn.endswith(":root") or context is None or asked is None:
            return bool(self._trusts(document, caller_arn, context))
        return self._permissions.trusts(self._scope(), context.resource_arn, asked.caller.arn)

    def _refused(self, service: str, action: str, principal_arn: str, request_id: str, **more: Any) -> Any:
        """Write the answer for a refusal, with AWS's text for what was refused."""
        asked = current.get(None)
        written = more.get("error_code") or more.get("message") or more.get("resource_policy_arn")
        if asked is not None and asked.refusal is not None and not written:
            refusal = asked.refusal
            more |= {"message": refusal.message, "resource_arn": refusal.resource}
            action = refusal.action
        return self._answer(service, action, principal_arn, request_id, **more)

    def _scope(self) -> Scope:
        return Scope(self._responses.get_account_id(), self._responses.get_region())

    # --- what requests need ---------------------------------------------------------------------------------------

    def _needed(self, asked: Current, service: str, first: Needed) -> Iterator[Needed]:
        if service == "cloudformation":
            yield from self._of_cloudformation(asked.parameters, first)
        elif service == "monitoring":
            yield from _of_cloudwatch(self._scope(), asked.parameters, first)
        elif service == "sqs":
            # A batch needs the permission of the single action, and has none of its own.
            # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-batch-api.html
            yield replace(first, action=first.action.removesuffix("Batch"))
        elif service == "iam":
            boundary = asked.parameters.get("PermissionsBoundary") or self._permissions.boundary_of(first.resource)
            yield Needed(first.action, first.resource, {**first.keys, **boundary_key(first.action, boundary)})
        else:
            yield first

    def _of_cloudformation(self, parameters: Mapping[str, Any], first: Needed) -> Iterator[Needed]:
        """Add the condition keys, the template in S3 and the role.

        https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudformation.html
        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/control-access-with-iam.html
        """
        url, role, change_set = (str(parameters.get(name, "")) for name in ("TemplateURL", "RoleARN", "ChangeSetName"))
        keys = {"cloudformation:TemplateUrl": url, "cloudformation:RoleArn": role}
        keys["cloudformation:ChangeSetName"] = change_set.rpartition("changeSet/")[2].partition("/")[0]
        imported = [value for name, value in parameters.items() if _IMPORTED.fullmatch(name)]
        given: dict[str, Any] = {name: value for name, value in keys.items() if value}
        if imported:
            given["cloudformation:ImportResourceTypes"] = imported
        resource = first.resource
        if resource == "*" and change_set.startswith("arn:"):
            resource = self._cloudformation._change_sets.get(change_set, {}).get("StackId", "*")
        yield Needed(first.action, resource, {**first.keys, **given})
        if first.action == "cloudformation:DetectStackDrift":
            # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html
            yield Needed("cloudformation:DetectStackResourceDrift", resource, first.keys)
        if url:
            yield Needed("s3:GetObject", object_arn(url))
        if role:
            yield passing(role, CLOUDFORMATION)


def _noted(evaluate: Callable[..., Any]) -> Callable[..., Any]:
    """Keep each result for `_check`, which gets only the refusals from ministack."""

    def evaluated(*arguments: Any) -> Any:
        result = evaluate(*arguments)
        if (results := _results.get(None)) is not None:
            results.append(result)
        return result

    return evaluated


def _deciding(results: Sequence[Any], denied: Any) -> str:
    """Name the statement that decided.

    :param results: the caller's policies' first, then those of the resource's policy
    :param denied: ministack's decision, None when it allows
    """
    wanted = "Allow" if denied is None else "Deny"
    for number, result in enumerate(results):
        if result.decision == wanted:
            return str(result.matched_sid) if number == 0 else f"policy of the resource/{result.matched_sid}"
    return ""


def _of_cloudwatch(scope: Scope, parameters: Mapping[str, Any], first: Needed) -> Iterator[Needed]:
    """Name the alarms or the dashboards of a call.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
    """
    operation = first.action.partition(":")[2]
    keys = dict(first.keys)
    if namespace := parameters.get("Namespace"):
        keys["cloudwatch:namespace"] = namespace
    named = parameters.get("AlarmNames") or parameters.get("AlarmName") or []
    dashboards = parameters.get("DashboardNames") or parameters.get("DashboardName") or []
    arn = parameters.get("ResourceARN")
    resources = ["*"]
    if isinstance(arn, str) and arn:
        resources = [arn]
    elif operation in _ALARM_ACTIONS:
        resources = [scope.arn("cloudwatch", f"alarm:{name}") for name in _listed(named) or ["*"]]
    elif dashboards:
        # The ARN of a dashboard has no region.
        resources = [f"arn:aws:cloudwatch::{scope.account_id}:dashboard/{name}" for name in _listed(dashboards)]
    for resource in resources:
        yield Needed(first.action, resource, keys)


def _listed(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
