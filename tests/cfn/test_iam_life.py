"""Every statement of the set-up templates is necessary and enough: two models live under them, and docs/iam.md says so.

`make iam` writes the document.
"""

import json
import os
import sys
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from aiobotocore.client import AioBaseClient
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

from tests.cfn.life import EACH_STEP, real_roles
from tests.local_aws.server import ROOT
from tools import iam_coverage
from tools.iam_coverage import DOCUMENT, Use
from tools.iam_templates import ENDPOINT_TEMPLATE, handlers_of

pytestmark = pytest.mark.local_aws

SLIPWAY = f"{ROOT}/plugins/slipway/"


def calling_module() -> str:
    """Name the module of Slipway that makes a call: the innermost one that is no hook, else the hook."""
    frame: FrameType | None = sys._getframe(1)
    hook = ""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(SLIPWAY):
            module = name.removeprefix(SLIPWAY)
            if not module.startswith("aws/"):
                return module
            hook = hook or module
        frame = frame.f_back
    return hook


def remember_callers(patch: pytest.MonkeyPatch) -> dict[str, str]:
    """Keep which module has made each call of boto3 and aiobotocore, by request id."""
    callers: dict[str, str] = {}

    def keep(answer: Any, caller: str) -> None:
        # A query service's answer has another id in its body.
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        callers[headers.get("x-amzn-requestid") or headers.get("x-amz-request-id", "")] = caller

    # The stubs leave the private method out.
    sync: Any = BaseClient
    call, call_async = sync._make_api_call, AioBaseClient._make_api_call

    @wraps(call)
    def noted(self, *arguments):
        caller = calling_module()
        try:
            answer = call(self, *arguments)
        except ClientError as error:
            keep(error.response, caller)
            raise
        keep(answer, caller)
        return answer

    @wraps(call_async)
    async def noted_async(self, *arguments):
        caller = calling_module()
        try:
            answer = await call_async(self, *arguments)
        except ClientError as error:
            keep(error.response, caller)
            raise
        keep(answer, caller)
        return answer

    # The light invocations of the endpoint tests take boto3's connections alone.
    send = URLLib3Session.send

    @wraps(send)
    def noted_send(self, request):
        answer = send(self, request)
        keep({"ResponseMetadata": {"HTTPHeaders": answer.headers}}, calling_module())
        return answer

    patch.setattr(URLLib3Session, "send", noted_send)
    patch.setattr(BaseClient, "_make_api_call", noted)
    patch.setattr(AioBaseClient, "_make_api_call", noted_async)
    return callers


@pytest.fixture(scope="module")
def calls(tmp_path_factory) -> list[dict]:
    """The ledger of the life; each call has the step in which it was made, and its caller."""
    found: list[dict] = []
    with pytest.MonkeyPatch.context() as patch:
        callers = remember_callers(patch)
        with real_roles(tmp_path_factory.mktemp("life") / "state", "--time-scale", "60") as life:
            seen = len(life.aws.ledger())
            for number, step in enumerate(EACH_STEP):
                step(life)
                made = life.aws.ledger()[seen:]
                seen += len(made)
                name = step.__name__.replace("_", " ")
                found += [{**call, "step": f"{number:02} {name}"} for call in made]
    return [{**call, "module": callers.get(call["request_id"], "")} for call in found]


@pytest.fixture(scope="module")
def uses(calls) -> list[Use]:
    found = iam_coverage.uses(calls, {call["request_id"]: call["module"] for call in calls if call["module"]})
    if path := os.environ.get("IAM_EVIDENCE"):
        Path(path).write_text(json.dumps([asdict(use) for use in found]))
    return found


@pytest.fixture(scope="module")
def handlers() -> dict[str, dict[str, list[str]]]:
    return handlers_of(ENDPOINT_TEMPLATE)


def test_nothing_of_a_life_is_denied(calls, uses):
    assert [call["denied"] for call in calls if "denied" in call] == []
    assert [one for call in calls for one in call.get("iam", ()) if not one["allowed"]] == []
    assert {use.who for use in uses} >= {
        *("slipway-airflow", "slipway-cloudformation", "slipway-operator"),
        *("slipway-training-iris-model", "slipway-endpoint-iris-model"),
    }


def test_each_call_is_allowed_by_a_statement_of_the_templates(uses):
    assert iam_coverage.unnamed(uses) == []


def test_each_action_is_needed_by_a_call_or_explained(uses, handlers):
    assert iam_coverage.unexplained(uses, handlers) == []


def test_the_roles_have_what_awss_schemas_name(handlers):
    assert iam_coverage.missing(handlers) == []


def test_the_document_is_what_the_script_writes(uses, handlers):
    assert DOCUMENT.read_text() == iam_coverage.render(uses, handlers), "run `make iam`"
