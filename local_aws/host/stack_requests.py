"""What CloudFormation refuses of a stack operation, and ministack accepts.

Each check is one of ministack's gaps. tests/local_aws/host/test_ministack_gaps.py fails when a new ministack has closed
one, so that the check here can go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from local_aws.host import stack_timeouts

PRIVATE_PARTS = {
    "ministack.services.cloudformation": ("_exports", "_stacks"),
    "ministack.services.cloudformation.changesets": ("_find_change_set",),
    "ministack.services.cloudformation.handlers": ("_ACTION_HANDLERS", "_resolve_stack"),
    "ministack.services.cloudformation.helpers": ("_error", "_p", "_resolve_template", "_xml"),
    "ministack.services.cloudformation.stacks": ("_resolve_refs", "_resolve_stack_outputs", "_roll_back_operation"),
}

_CLOUDFORMATION = "ministack.services.cloudformation"
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
_UPDATABLE = (
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
)
_NEW = ("DELETE_COMPLETE", "REVIEW_IN_PROGRESS")
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
_BUCKET_HOST = re.compile(r"(?P<bucket>.+?)\.(?:s3[.-][a-z0-9.-]*amazonaws\.com|localhost)")
# ministack's text for an export that is not there.
_NO_EXPORT = re.compile("Export '(.*)' not found", re.S)
_URLS = ("TemplateURL", "StackPolicyURL")

Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[[dict[str, Any]], Answer]


def check_requests(modules: Mapping[str, Any]) -> None:
    """Let CloudFormation refuse operations as AWS does.

    :param modules: ministack's modules by name
    """
    checks = _Checks(modules)
    actions = modules[f"{_CLOUDFORMATION}.handlers"]._ACTION_HANDLERS
    for action, wrap in (
        ("CreateStack", checks.create),
        ("UpdateStack", checks.update),
        ("CreateChangeSet", checks.change_set),
        ("ExecuteChangeSet", checks.execution),
    ):
        actions[action] = wrap(actions[action])
    for action in ("CreateStack", "UpdateStack", "CreateChangeSet", "ValidateTemplate", "GetTemplateSummary"):
        actions[action] = _with_paths(actions[action])
    for action in ("CreateStack", "UpdateStack", "SetStackPolicy"):
        actions[action] = checks.documents(actions[action])
    # Nested stacks read their templates by this one.
    helpers = modules[f"{_CLOUDFORMATION}.helpers"]
    helpers._resolve_template = _with_paths(helpers._resolve_template)
    _with_reasons(modules)
    _with_unique_exports(modules)


class _Checks:
    """The stack's state before an operation begins."""

    def __init__(self, modules: Mapping[str, Any]) -> None:
        self._resolve_stack = modules[f"{_CLOUDFORMATION}.handlers"]._resolve_stack
        self._find = modules[f"{_CLOUDFORMATION}.changesets"]._find_change_set
        helpers = modules[f"{_CLOUDFORMATION}.helpers"]
        self._error, self._parameter, self._xml = helpers._error, helpers._p, helpers._xml

    def create(self, handle: Handler) -> Handler:
        """Refuse a name that a failed stack still has, and answer a repeated request as the first.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
        """

        def checked(params: dict[str, Any]) -> Answer:
            name, token = self._parameter(params, "StackName"), self._parameter(params, "ClientRequestToken")
            stack = self._resolve_stack(name)
            if stack is not None and stack["StackStatus"] not in _NEW:
                if token and stack.get("_create_token") == token:
                    return self._again("CreateStack", stack)
                return self._error("AlreadyExistsException", f"Stack [{name}] already exists")
            answer = handle(params)
            if answer[0] == 200 and token:
                self._resolve_stack(name)["_create_token"] = token
            return answer

        return checked

    def update(self, handle: Handler) -> Handler:
        """Refuse a stack that cannot be updated, and answer a repeated request as the first.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_UpdateStack.html
        """

        def checked(params: dict[str, Any]) -> Answer:
            stack = self._resolve_stack(self._parameter(params, "StackName"))
            token = self._parameter(params, "ClientRequestToken")
            if stack is not None and token and stack.get("_update_token") == token:
                return self._again("UpdateStack", stack)
            if refused := self._not_updatable(stack):
                return refused
            answer = handle(params)
            if answer[0] == 200 and token and stack is not None:
                stack["_update_token"] = token
            return answer

        return checked

    def change_set(self, handle: Handler) -> Handler:
        """Refuse a change set for a stack in a status that cannot be updated or created over.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html
        https://github.com/compose-x/ecs_composex/issues/785 has AWS's text for an existing stack.
        """

        def checked(params: dict[str, Any]) -> Answer:
            name, kind = self._parameter(params, "StackName"), self._parameter(params, "ChangeSetType", "UPDATE")
            stack = self._resolve_stack(name)
            if kind == "UPDATE" and (refused := self._not_updatable(stack)):
                return refused
            if kind == "CREATE" and stack is not None and stack["StackStatus"] not in _NEW:
                change_set = self._parameter(params, "ChangeSetName")
                return self._error(
                    "ValidationError",
                    f"Stack [{name}] already exists and cannot be created again with the changeSet [{change_set}].",
                )
            return handle(params)

        return checked

    def execution(self, handle: Handler) -> Handler:
        """Refuse a change set of a stack that another operation is changing.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ExecuteChangeSet.html
        """

        def checked(params: dict[str, Any]) -> Answer:
            _, found = self._find(self._parameter(params, "ChangeSetName"), self._parameter(params, "StackName"))
            stack = self._resolve_stack(found["StackId"]) if found else None
            if (
                found
                and stack is not None
                and found["ExecutionStatus"] == "AVAILABLE"
                and stack["StackStatus"].endswith("_IN_PROGRESS")
                and stack["StackStatus"] not in _NEW
            ):
                return self._error(
                    "InvalidChangeSetStatus",
                    f"ChangeSet [{found['ChangeSetName']}] cannot be executed while its stack is in status "
                    f"{stack['StackStatus']}",
                )
            return handle(params)

        return checked

    def documents(self, handle: Handler) -> Handler:
        """Refuse two templates at once, and stack policies that are none.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_SetStackPolicy.html
        """

        def checked(params: dict[str, Any]) -> Answer:
            if self._parameter(params, "TemplateBody") and self._parameter(params, "TemplateURL"):
                return self._error("ValidationError", "You must specify only one of TemplateBody or TemplateURL.")
            for name in ("StackPolicyBody", "StackPolicyDuringUpdateBody"):
                if (policy := self._parameter(params, name)) and not _is_policy(policy):
                    return self._error("ValidationError", "Error validating stack policy: Invalid stack policy")
            return handle(params)

        return checked

    def _not_updatable(self, stack: dict[str, Any] | None) -> Answer | None:
        if stack is None or stack["StackStatus"] in (*_UPDATABLE, "DELETE_COMPLETE"):
            return None
        status = stack["StackStatus"]
        answer: Answer = self._error(
            "ValidationError", f"Stack:{stack['StackId']} is in {status} state and can not be updated."
        )
        return answer

    def _again(self, operation: str, stack: dict[str, Any]) -> Answer:
        """Answer a repeated request as the first one."""
        body = f"<{operation}Result><StackId>{stack['StackId']}</StackId></{operation}Result>"
        answer: Answer = self._xml(200, f"{operation}Response", body)
        return answer


def _is_policy(text: str) -> bool:
    """Tell whether a text is a stack policy.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/protect-stack-resources.html
    """
    try:
        statements = json.loads(text)["Statement"]
    except (KeyError, TypeError, ValueError):
        return False
    listed = statements if isinstance(statements, list) else [statements]
    return bool(listed) and all(
        isinstance(one, dict)
        and one.get("Effect") in ("Allow", "Deny")
        and ("Action" in one or "NotAction" in one)
        and ("Resource" in one or "NotResource" in one)
        for one in listed
    )


def _with_paths(handle: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """Read a URL whose host names the bucket as one whose path does: ministack knows only those."""

    def called(params: dict[str, Any]) -> Any:
        changed = dict(params)
        for name in _URLS:
            value = changed.get(name)
            if isinstance(value, list):
                changed[name] = [_path_url(one) for one in value]
            elif isinstance(value, str):
                changed[name] = _path_url(value)
        return handle(changed)

    return called


def _path_url(url: str) -> str:
    parts = urlsplit(url)
    found = _BUCKET_HOST.fullmatch(parts.hostname or "")
    return f"https://s3.amazonaws.com/{found['bucket']}{parts.path}" if found else url


def _with_reasons(modules: Mapping[str, Any]) -> None:
    """Say in ROLLBACK_IN_PROGRESS which resource failed.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html
    """
    stacks = modules[f"{_CLOUDFORMATION}.stacks"]
    roll_back = stacks._roll_back_operation

    async def rolled_back(
        name: str, stack_id: str, stack: dict[str, Any], operation: dict[str, Any], reason_override: str = ""
    ) -> None:
        failed = operation.get("failed_logical_id")
        if not reason_override and failed and not operation.get("is_update"):
            exceeded = stack_timeouts.EXCEEDED if stack_timeouts.is_over(stack) else ""
            reason_override = (
                f"{exceeded}The following resource(s) failed to create: [{failed}]. Rollback requested by user."
            )
        await roll_back(name, stack_id, stack, operation, reason_override)

    stacks._roll_back_operation = rolled_back


def _with_unique_exports(modules: Mapping[str, Any]) -> None:
    """Fail a stack whose export another stack has already, and name an import that is not there as AWS does.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-exports.html
    """
    exports = modules[_CLOUDFORMATION]._exports
    stacks = modules[f"{_CLOUDFORMATION}.stacks"]
    resolve = stacks._resolve_stack_outputs

    def resolved(*arguments: Any) -> tuple[list[Any], dict[str, dict[str, str]]]:
        outputs, new = resolve(*arguments)
        names = [output["ExportName"] for output in outputs if "ExportName" in output]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"Export with name {twice[0]} is already exported by this stack")
        for name, export in new.items():
            owner = exports.get(name)
            if owner is not None and owner["StackId"] != export["StackId"]:
                stack_name = owner["StackId"].split("/")[1]
                raise ValueError(f"Export with name {name} is already exported by stack {stack_name}")
        return outputs, new

    stacks._resolve_stack_outputs = resolved
    resolve_refs = stacks._resolve_refs

    def with_imports(*arguments: Any) -> Any:
        try:
            return resolve_refs(*arguments)
        except ValueError as error:
            missing = _NO_EXPORT.fullmatch(str(error))
            raise (ValueError(f"No export named {missing[1]} found") if missing else error) from None

    stacks._resolve_refs = with_imports
