"""The only module that touches ministack: routing, CloudFormation, IAM and persistence, all of it on its private parts.

Every private part used here is named in ``PRIVATE_PARTS``; a test checks them, so that a new ministack version that
moved one fails there and not in the middle of a release.
"""

import asyncio
import json
import os
import re
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from itertools import count
from typing import Any

from local_aws.alarms.actions import actions_of, notification
from local_aws.alarms.evaluation import within
from local_aws.framework.api import JsonService, RequestContext
from local_aws.framework.cloudformation import CLOUDFORMATION, ResourceType
from local_aws.framework.store import Scope
from local_aws.front.routing import INVOCATION, HttpRequest
from local_aws.front.xml_answers import with_encoded_keys
from local_aws.host.authentication import Authentication, Caller
from local_aws.host.credentials import AIRFLOW_USER, OPERATOR_USER, Credentials
from local_aws.host.patterns import bound_cloudformation, bound_logs, wildcard
from local_aws.host.resource_handlers import handlers
from local_aws.host.stack_engine import CALLS, STEPS, StackEngine
from local_aws.host.stack_operations import Journal
from local_aws.settings import Settings

DEFAULT_ACCOUNT = "123456789012"
DEFAULT_REGION = "us-west-2"
# What docs/local-aws.md names. ministack has sixty more, some of which run programs of the caller's.
SERVICES = frozenset(
    {
        "application-autoscaling",
        "cloudformation",
        "iam",
        "kms",
        "logs",
        "monitoring",
        "s3",
        "sagemaker",
        "sns",
        "sqs",
        "sts",
    }
)
# What SageMaker does with the account's objects, logs and metrics, by keys of its own.
INSIDE = "sagemaker.amazonaws.com"
# Where a stack's wait condition is signalled: the address names a secret, as the presigned one of AWS does.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-waitcondition.html
SIGNALS_PATH = "/_ministack/cfn-signal/"
# The resource types of a stack that are of the same services, and what belongs to none.
_TYPES = re.compile(
    r"AWS::(ApplicationAutoScaling|CDK|CloudFormation|CloudWatch|IAM|KMS|Logs|S3|SageMaker|SNS|SQS)::\w+"
)
_NO_CUSTOM_RESOURCES = (
    "A custom resource is made by a Lambda function, and the local AWS has no Lambda: see docs/local-aws.md."
)

PRIVATE_PARTS = {
    "ministack.app": (
        "app",
        "AUTH",
        "SERVICE_REGISTRY",
        "SERVICE_HANDLERS",
        "_build_persistence_save_dict",
        "_extract_s3_vhost_bucket",
        "_handle_post_body_shortcuts",
        "_handle_pre_body_request",
        "_handle_s3_vhost_request",
        "_handle_special_data_plane_request",
        "_request_account_scope",
        "_routing_params",
        "_state_map",
        "_with_data_plane_headers",
    ),
    "ministack.core.iam_actions": ("SERVICE_TO_IAM_NAMESPACE", "access_denied_response"),
    "ministack.core.iam_evaluator": (
        "AmbiguousAccessKeyError",
        "AuthError",
        "CredentialResolutionError",
        "_fnmatch_compile",
        "_unknown_access_key",
        "enforce",
        "find_iam_access_key_account",
        "pin_request_caller",
        "pin_request_origin",
        "pin_signed_body",
        "pin_signed_request",
        "resolve_credential",
    ),
    "ministack.core.persistence": ("save_state",),
    "ministack.core.responses": (
        "_account_from_sts_session",
        "error_response_json",
        "get_account_id",
        "get_region",
        "set_request_account_id",
        "set_request_region",
    ),
    "ministack.core.router": ("SERVICE_PATTERNS", "detect_service", "extract_access_key_id", "extract_region"),
    "ministack.core.sigv4": (
        "SIGNATURE_MISMATCH",
        "_cached_signing_key",
        "_chunk_signatures_match",
        "header_signing_documents",
        "parse_header_signature",
        "parse_query_signature",
    ),
    "ministack.services.cloudformation": ("_change_sets", "_stack_events", "_stacks"),
    "ministack.services.cloudformation.changesets": (
        "_create_stack_task_in_region",
        "_diff_resources",
        "_evaluate_conditions",
        "_resolve_props_for_diff",
        *CALLS["changesets"],
    ),
    "ministack.services.cloudformation.engine": ("CfnLoader", "_check_parameter_constraints", "_constraint_error"),
    "ministack.services.cloudformation.handlers": ("_create_stack_task_in_region",),
    "ministack.services.cloudformation.provisioners": (
        "_CUSTOM_NAME_REPLACEMENT",
        "_REPLACING_PROPERTIES",
        "_RESOURCE_HANDLERS",
        "_STACK_TAG_PROPERTY",
        "_custom_resource_create",
        "_custom_resource_delete",
        "_custom_resource_update",
    ),
    "ministack.services.cloudformation.stacks": (
        "_add_event",
        "_create_stack_task_in_region",
        "_runs_on_worker_thread",
        *CALLS["stacks"],
        *STEPS,
    ),
    "ministack.services.cloudwatch": (
        "_alarms",
        "_calc_stats",
        "_dims_from_list",
        "_dims_key",
        "_dispatch_alarm_actions",
        "_evaluate_alarm",
        "_evaluate_parent_alarms",
        "_is_percentile_stat",
        "_metric_bucket",
        "_metrics",
        "_percentile_samples",
        "_record_history",
        "_stat_value",
        "_store_datum",
    ),
    "ministack.services.cloudwatch_logs": ("_filter_log_events", "_start_query"),
    "ministack.services.iam": ("_access_keys", "_gen_id", "_now", "_users"),
    "ministack.services.s3": ("_list_object_versions",),
    "ministack.services.sns": ("_fanout",),
}


_FOR_A_STACK = Caller(CLOUDFORMATION, CLOUDFORMATION, "cloudformation")


@dataclass(frozen=True)
class Denial:
    """A request IAM refuses, as the service would answer it."""

    status: int
    headers: dict[str, str]
    body: bytes


class Gateway:
    """ministack with services added to it.

    :param settings: how this local AWS runs
    :param journal: where CloudFormation's operations are written down
    """

    def __init__(self, settings: Settings, journal: Journal) -> None:
        _configure(settings)
        # ministack reads its environment when it is imported.
        modules: dict[str, Any] = {name: import_module(name) for name in PRIVATE_PARTS}
        self._app = modules["ministack.app"]
        self._iam_actions = modules["ministack.core.iam_actions"]
        self._iam = modules["ministack.core.iam_evaluator"]
        self._persistence = modules["ministack.core.persistence"]
        self._responses = modules["ministack.core.responses"]
        self._router = modules["ministack.core.router"]
        self._accounts = modules["ministack.services.iam"]
        self._cloudformation = modules["ministack.services.cloudformation"]
        self._provisioners = modules["ministack.services.cloudformation.provisioners"]
        self._stacks = modules["ministack.services.cloudformation.stacks"]
        self._close_other_services()
        bound_cloudformation(modules["ministack.services.cloudformation.engine"])
        bound_logs(modules["ministack.services.cloudwatch_logs"], self._responses.error_response_json)
        self._iam._fnmatch_compile = lru_cache(4096)(wildcard)
        objects = modules["ministack.services.s3"]
        objects._list_object_versions = with_encoded_keys(objects._list_object_versions)
        # Whoever has signed the current request.
        self.caller: ContextVar[Caller] = ContextVar("local_aws.caller")
        self.authentication = Authentication(modules["ministack.core.sigv4"], self._iam, self._responses, inside=INSIDE)
        changesets = modules["ministack.services.cloudformation.changesets"]
        changesets._resolve_props_for_diff = _with_conditions(
            changesets._resolve_props_for_diff, changesets._evaluate_conditions
        )
        changesets._diff_resources = _with_outputs(changesets._diff_resources)
        self._added_types: set[str] = set()
        blocks = self._stacks._runs_on_worker_thread
        # A handler that blocks on the event loop would stop every service at once.
        self._stacks._runs_on_worker_thread = lambda name: name in self._added_types or blocks(name)
        self.alarms = HostAlarms(
            modules["ministack.services.cloudwatch"], modules["ministack.services.sns"], self._responses
        )
        # ministack writes each state file by way of one temporary file of a fixed name.
        self._saving = threading.Lock()
        self._copies = count(1)
        # The newest copy of each state that is on disk.
        self._saved: dict[str, int] = {}
        parts = ("stacks", "changesets", "handlers")
        engine = {part: modules[f"ministack.services.cloudformation.{part}"] for part in parts}
        engine |= {"": self._cloudformation, "responses": self._responses}
        # Requests with the same signature come by the hundred from a load's clients.
        self._signed_by = lru_cache(1024)(self._read_signature)
        self.stacks = StackEngine(engine, journal, lambda: self.save_service("cloudformation"), self._save_now)

    @property
    def asgi_app(self) -> Callable[..., Awaitable[None]]:
        """ministack's own application."""
        return self._app.app

    def _close_other_services(self) -> None:
        """Leave no way to a service that is not in SERVICES, and none of ministack's own pages.

        Requests for others are refused before they come here; what stacks and services do for each other is not.
        """
        app = self._app
        for name in set(app.SERVICE_HANDLERS) - SERVICES:
            del app.SERVICE_HANDLERS[name]
        modules = {app.SERVICE_REGISTRY[name]["module"] for name in SERVICES & set(app.SERVICE_REGISTRY)}
        # What an earlier version kept of the others, such as functions that a topic would call, is not read any more.
        for key in [key for key, module in app._state_map.items() if module not in modules]:
            del app._state_map[key]
        signals, in_host = app._handle_post_body_shortcuts, app._handle_s3_vhost_request

        async def no_page(*_: Any) -> None:
            return None

        async def only_signals(method: str, path: str, *rest: Any) -> Any:
            return await signals(method, path, *rest) if path.startswith(SIGNALS_PATH) else None

        async def only_s3(
            method: str, path: str, headers: Any, body: bytes, query: Any, request_id: str, **_: Any
        ) -> Any:
            answered = await in_host(headers.get("host", ""), path, method, headers, body, query)
            return app._with_data_plane_headers(answered, request_id, include_s3_id=True) if answered else None

        app._handle_pre_body_request = no_page
        app._handle_post_body_shortcuts = only_signals
        app._handle_special_data_plane_request = only_s3
        types = self._provisioners._RESOURCE_HANDLERS
        for name in [name for name in types if not _TYPES.fullmatch(name)]:
            del types[name]

        def refuse(*_: Any, **__: Any) -> Any:
            raise ValueError(_NO_CUSTOM_RESOURCES)

        types["AWS::CloudFormation::CustomResource"] = {"create": refuse}
        self._provisioners._custom_resource_create = self._provisioners._custom_resource_update = refuse
        # A stack of an earlier version may still be deleted.
        self._provisioners._custom_resource_delete = lambda *_, **__: None

    def make_users(self, credentials: Credentials) -> None:
        """Let IAM know the users and keys of those who use this AWS from outside.

        :param credentials: their keys
        """
        self._responses.set_request_account_id(DEFAULT_ACCOUNT)
        iam = self._accounts
        for name, key in ((AIRFLOW_USER, credentials.airflow), (OPERATOR_USER, credentials.operator)):
            user = iam._users.setdefault(name, {"UserId": iam._gen_id("AIDA"), "CreateDate": iam._now(), "Tags": []})
            user |= {"UserName": name, "Path": "/", "Arn": f"arn:aws:iam::{DEFAULT_ACCOUNT}:user/{name}"}
            user.setdefault("PermissionsBoundary", "")
            user.setdefault("AttachedPolicies", ["arn:aws:iam::aws:policy/AdministratorAccess"])
            for former in [former for former, kept in iam._access_keys.items() if kept["UserName"] == name]:
                del iam._access_keys[former]
            iam._access_keys[key.access_key_id] = {
                "UserName": name,
                "AccessKeyId": key.access_key_id,
                "SecretAccessKey": key.secret_access_key,
                "Status": "Active",
                "CreateDate": iam._now(),
            }

    def add_service(self, service: JsonService) -> None:
        """Route a service's requests to it, under IAM as any other service's.

        :param service: the service
        """
        name = service.service_name

        async def handle(
            method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, list[str]]
        ) -> tuple[int, dict[str, str], bytes]:
            context = self._context(self.caller.get())
            return await asyncio.to_thread(service.handle, context, headers.get("x-amz-target", ""), body)

        self._app.SERVICE_HANDLERS[name] = handle
        self._router.SERVICE_PATTERNS[name] = {"target_prefixes": [f"{service.target_prefix}."]}
        self._iam_actions.SERVICE_TO_IAM_NAMESPACE[name] = name

    def add_resource_type(self, type_name: str, resource_type: ResourceType) -> None:
        """Let CloudFormation make resources of a type.

        :param type_name: such as ``AWS::SageMaker::Model``
        :param resource_type: what makes them
        """
        self._provisioners._RESOURCE_HANDLERS[type_name] = handlers(resource_type, self._context)
        if resource_type.name_property:
            self._provisioners._CUSTOM_NAME_REPLACEMENT[type_name] = {"name": resource_type.name_property}
        if resource_type.takes_tags:
            self._provisioners._STACK_TAG_PROPERTY[type_name] = ("Tags", "list")
        self._provisioners._REPLACING_PROPERTIES[type_name] = tuple(sorted(resource_type.replacing_properties))
        self._added_types.add(type_name)

    def _context(self, caller: Caller = _FOR_A_STACK) -> RequestContext:
        """Say for whom the current request or stack operation acts."""
        account, region = self._responses.get_account_id(), self._responses.get_region()
        return RequestContext(account, region, caller.arn, caller.principal_id)

    def routed(self, request: HttpRequest) -> tuple[str, HttpRequest]:
        """Name the service a request is for.

        :param request: the request
        :returns: ministack's name for the service, and the request; S3's with the bucket in the path, not the host
        """
        parameters = self._app._routing_params(
            request.method, request.path, request.headers, request.body, request.query
        )
        service = self._router.detect_service(request.method, request.path, request.headers, parameters)
        bucket = self._app._extract_s3_vhost_bucket(request.headers.get("host", ""))
        if service == "s3" and bucket:
            return service, replace(request, path=f"/{bucket}{request.path}")
        return service, request

    def service_of(self, request: HttpRequest) -> str:
        """Name the service that would get a request.

        :param request: the request, with its body
        :returns: ministack's name for it
        """
        return "sagemaker" if INVOCATION.fullmatch(request.path) else self.routed(request)[0]

    def denial(self, service: str, request: HttpRequest, code: str, message: str) -> Denial:
        """Word a failed authentication as a service does.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html
        https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
        https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html

        :param service: ministack's name for it
        :param request: the request
        :param code: ministack's name for the failure
        :param message: AWS's text
        :returns: the answer
        """
        request_id = str(uuid.uuid4())
        status, headers, body = self._iam_actions.access_denied_response(
            service, "", "", request_id, error_code=code, message=message, headers=request.headers
        )
        found = {name.lower(): value for name, value in headers.items()}
        return Denial(status, {**found, "x-amzn-requestid": request_id, "x-amz-request-id": request_id}, body)

    def scope_of(self, request: HttpRequest) -> Scope:
        """Name the account and region a request is for, and make them the current ones.

        :param request: the request
        :returns: the scope; the default account for a key that names none
        """
        if request.query:
            key = self._router.extract_access_key_id(request.headers, request.query)
            region = self._router.extract_region(request.headers, request.query)
        else:
            key, region = self._signed_by(request.headers.get("authorization", ""))
        self._responses.set_request_account_id(self._app._request_account_scope(key) if self._app.AUTH and key else key)
        self._responses.set_request_region(region)
        return Scope(self._responses.get_account_id(), self._responses.get_region())

    def _read_signature(self, authorization: str) -> tuple[str, str]:
        """Read access key, empty where there is none, and region of a request without a query."""
        headers = {"authorization": authorization}
        return self._router.extract_access_key_id(headers, {}), self._router.extract_region(headers, {})

    def region_of(self, request: HttpRequest) -> str:
        """Name the region a request is for.

        :param request: the request
        :returns: the region it is signed for, else the default
        """
        return self._router.extract_region(request.headers, request.query)

    def authorize(self, request: HttpRequest, raw: dict[str, Any], action: str, arn: str) -> Denial | None:
        """Ask IAM about a request that ministack does not see; allows everything unless AUTH=true.

        :param request: the request, with its body; ``scope_of`` has been called for it
        :param raw: its ASGI scope
        :param action: such as ``sagemaker:InvokeEndpoint``
        :param arn: the resource
        :returns: None when it may go on
        """
        if not self._app.AUTH:
            return None
        service = action.partition(":")[0]
        client = (raw.get("client") or ("127.0.0.1",))[0]
        self._iam.pin_request_origin(client, raw.get("scheme") == "https")
        raw_path = (raw.get("raw_path") or request.path.encode()).decode("latin-1")
        self._iam.pin_signed_request(request.method, raw_path, request.query, raw["headers"])
        self._iam.pin_signed_body(request.body)
        self._iam.pin_request_caller(request.headers, request.query)
        key = self._router.extract_access_key_id(request.headers, request.query)
        denied = self._iam.enforce(key, action, service, self.region_of(request), resource_arn=arn)
        if denied is None:
            return None
        if isinstance(denied, self._iam.AuthError):
            answer = self._iam_actions.access_denied_response(
                service, action, "", "", error_code=denied.code, message=denied.message, headers=request.headers
            )
        else:
            answer = self._iam_actions.access_denied_response(
                service,
                action,
                denied.principal_arn,
                "",
                headers=request.headers,
                resource_arn=arn,
                explicit_deny=denied.decision == "Deny",
            )
        return Denial(*answer)

    async def save(self) -> None:
        """Write the state of every service of ministack's that was in use."""
        await self._save(lambda key: True)

    async def save_service(self, service: str) -> None:
        """Write the state of one service, for a call whose answer promises it.

        :param service: ministack's name for it
        """
        module = self._app.SERVICE_REGISTRY.get(service, {}).get("module")
        await self._save(lambda key: self._app._state_map[key] == module)

    async def _save(self, wanted: Callable[[str], bool]) -> None:
        for key, get_state in self._app._build_persistence_save_dict().items():
            # State is copied on the event loop, where it does not change meanwhile, and written off it.
            if wanted(key) and (state := get_state()) is not None:
                await asyncio.to_thread(self._write, key, next(self._copies), state)

    def _save_now(self) -> None:
        """As save, for a change that CloudFormation makes on the event loop and is about to build upon."""
        for key, get_state in self._app._build_persistence_save_dict().items():
            if (state := get_state()) is not None:
                self._write(key, next(self._copies), state)

    def _write(self, key: str, number: int, state: Any) -> None:
        with self._saving:
            if number > self._saved.get(key, 0):
                self._persistence.save_state(key, state)
                self._saved[key] = number

    def stack_operation_runs(self) -> bool:
        """Tell whether CloudFormation is at work, so that state changes with no request.

        :returns: True while any stack's operation is in progress
        """
        stacks = self._cloudformation._stacks._data.values()
        return any(stack.get("StackStatus", "").endswith("_IN_PROGRESS") for stack in stacks)


class HostAlarms:
    """ministack's alarms and metrics, without its own evaluation, which knows neither periods nor dimensions.

    On the event loop's thread alone.

    :param cloudwatch: ministack's CloudWatch
    :param sns: its SNS
    :param responses: knows for which account and region the current task acts
    """

    def __init__(self, cloudwatch: Any, sns: Any, responses: Any) -> None:
        self._cloudwatch = cloudwatch
        self._sns = sns
        self._responses = responses
        # Whether an alarm changed with no request, since the flag was last cleared.
        self.changed = False
        # By its own code an alarm would change on any PutMetricData, and SNS would be told other words.
        cloudwatch._evaluate_alarm = lambda alarm: None
        cloudwatch._store_datum = _storing_values_together(cloudwatch)
        cloudwatch._percentile_samples = _with_values_together(cloudwatch._percentile_samples)
        cloudwatch._dispatch_alarm_actions = self._notify

    def metric_alarms(self) -> list[tuple[Scope, Mapping[str, Any]]]:
        """Give the metric alarms of all accounts and regions."""
        return [
            (Scope(account, region), alarm)
            for (account, region, _), alarm in list(self._cloudwatch._alarms._data.items())
        ]

    def statistics(
        self, scope: Scope, alarm: Mapping[str, Any], periods: Sequence[tuple[float, float]]
    ) -> list[float | None]:
        """Give an alarm's statistic for each of some periods.

        :param scope: its account and region
        :param alarm: the alarm
        :param periods: start and end of each, epoch seconds
        :returns: the values, None for a period without data
        """
        host = self._cloudwatch
        dimensions = host._dims_key(host._dims_from_list(alarm.get("Dimensions") or []))
        metric = alarm["Namespace"], alarm["MetricName"], dimensions
        points = host._metrics._data.get((scope.account_id, scope.region, metric), [])
        unit = alarm.get("Unit")
        recent = [p for p in points if p["Timestamp"] >= periods[0][0] - 1 and unit in (None, "", p["Unit"])]
        statistic = alarm.get("ExtendedStatistic") or alarm["Statistic"]
        return [
            self._statistic(statistic, [point for point in recent if within(period, point["Timestamp"])])
            for period in periods
        ]

    def _statistic(self, name: str, points: list[dict[str, Any]]) -> float | None:
        statistics = self._cloudwatch._calc_stats(points)
        if not statistics or not (name in statistics or self._cloudwatch._is_percentile_stat(name)):
            return None
        return self._cloudwatch._stat_value(statistics, name, points)

    def change_state(self, scope: Scope, name: str, state: str, why: str, data: str) -> None:
        """Put an alarm into another state, with its history and its actions.

        :param scope: its account and region
        :param name: its name
        :param state: the new state
        :param why: StateReason
        :param data: StateReasonData
        """
        self._responses.set_request_account_id(scope.account_id)
        self._responses.set_request_region(scope.region)
        alarm = self._cloudwatch._alarms[name]
        old = alarm["StateValue"]
        alarm |= {"StateValue": state, "StateReason": why, "StateReasonData": data}
        alarm |= dict.fromkeys(("StateUpdatedTimestamp", "StateTransitionedTimestamp"), time.time())
        self._cloudwatch._record_history(name, old, state, why, reason_data=json.loads(data))
        self._notify(alarm, old, state, why)
        self._cloudwatch._evaluate_parent_alarms(alarm)
        self.changed = True

    def _notify(self, alarm: Mapping[str, Any], old: str, new: str, why: str) -> None:
        scope = Scope(self._responses.get_account_id(), self._responses.get_region())
        subject, message = notification(scope, alarm, old, new, why, time.time())
        for arn in actions_of(alarm, new, "sns"):
            self._sns._fanout(arn, str(uuid.uuid4()), message, subject)


def _storing_values_together(cloudwatch: Any) -> Callable[..., None]:
    """Let the values of one MetricDatum be one point instead of one each.

    ministack copies and writes all points whenever it saves, which for an endpoint's latencies would take seconds.

    :param cloudwatch: ministack's CloudWatch
    :returns: what takes the place of ``_store_datum``
    """
    store = cloudwatch._store_datum

    def stored(
        namespace: str,
        name: str,
        dims: Any,
        ts: float,
        unit: str,
        value: Any,
        values: Any,
        counts: Any,
        statistics: Any,
    ) -> None:
        if not values:
            store(namespace, name, dims, ts, unit, value, values, counts, statistics)
            return
        numbers = [float(item) for item in values]
        times = [float(item) for item in counts or [1.0] * len(numbers)]
        total, count = sum(number * n for number, n in zip(numbers, times, strict=False)), sum(times)
        cloudwatch._metric_bucket((namespace, name, cloudwatch._dims_key(dims))).append(
            {
                "Timestamp": ts,
                "Unit": unit,
                "Dimensions": dims,
                "Value": total / count if count else 0.0,
                "_stat": {"SampleCount": count, "Sum": total, "Minimum": min(numbers), "Maximum": max(numbers)},
                "_values": numbers,
                "_counts": times,
            }
        )

    return stored


def _with_values_together(samples: Callable[..., Any]) -> Callable[..., Any]:
    """Let percentiles see the values that are stored together.

    :param samples: ministack's own, which gives the values of points and how often each came, or None
    :returns: what takes the place of ``samples``
    """

    def sampled(points: list[dict[str, Any]]) -> list[tuple[float, float]] | None:
        together = [point for point in points if "_values" in point]
        apart = [point for point in points if "_values" not in point]
        found = samples(apart) if apart else []
        pairs = [pair for point in together for pair in zip(point["_values"], point["_counts"], strict=False)]
        if found is None or any(value < 0 for value, _ in pairs):
            return None
        return found + [(value, count) for value, count in pairs if count > 0] or None

    return sampled


def _with_conditions(resolve: Callable[..., dict[str, Any]], evaluate: Callable[..., dict[str, bool]]) -> Any:
    """Let change sets see a resource come or go with its Condition.

    ministack compares every resource that a template names, whether its condition holds or not.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/conditions-section-structure.html

    :param resolve: ministack's own, which gives a template's resources as they are compared
    :param evaluate: gives a template's conditions for parameters
    :returns: what takes the place of ``resolve``
    """

    def resolved(template: dict[str, Any], params: dict[str, Any], *identity: str) -> dict[str, Any]:
        found = resolve(template, params, *identity)
        conditions = evaluate(template, params) if template else {}
        declared = (template or {}).get("Resources", {})
        wanted = {
            name: resource
            for name, resource in found.get("Resources", {}).items()
            if conditions.get(declared[name].get("Condition"), True)
        }
        return {**found, "Resources": wanted} if found else found

    return resolved


class _OutputsOnly(list[Any]):
    """No changed resource, and yet something to execute."""

    def __bool__(self) -> bool:
        return True


def _with_outputs(diff: Callable[..., list[Any]]) -> Any:
    """Let a change set that changes the stack's outputs alone be executed; it lists no changes.

    ministack takes it for empty. What CloudFormation does: https://github.com/aws/aws-cdk/pull/2029

    :param diff: ministack's own, which gives the changed resources
    :returns: what takes the place of ``diff``
    """

    def differing(
        old: Any, new: Any, resources: Any, template: dict[str, Any], changed_params: set[str], retag: Any
    ) -> list[Any]:
        changes = diff(old, new, resources, template, changed_params, retag)
        outputs = json.dumps(template.get("Outputs", {}))
        if changes or not any(json.dumps({"Ref": name}) in outputs for name in changed_params):
            return changes
        return _OutputsOnly()

    return differing


def _configure(settings: Settings) -> None:
    """Set the environment ministack reads when it is imported."""
    for name in ("ministack", "s3"):
        (settings.state_dir / name).mkdir(parents=True, exist_ok=True)
    os.environ.update(
        {
            "GATEWAY_PORT": str(settings.port),
            "BIND_HOST": settings.bind,
            "PERSIST_STATE": "1",
            "STATE_DIR": str(settings.state_dir / "ministack"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(settings.state_dir / "s3"),
            # Of the keys of twelve digits, by which the account's own services sign.
            "AWS_SECRET_ACCESS_KEY": settings.inside_secret,
            # Listeners of their own, which nothing here needs.
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
        }
    )
    for name, value in {
        "MINISTACK_ACCOUNT_ID": DEFAULT_ACCOUNT,
        "MINISTACK_REGION": DEFAULT_REGION,
        "LOG_LEVEL": "WARNING",
    }.items():
        os.environ.setdefault(name, value)
