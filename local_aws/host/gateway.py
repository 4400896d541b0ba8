"""ministack with services added to it: this module imports ministack, and the others each change one part of it.

All of them use ministack's private parts. Each module names those it uses in its own ``PRIVATE_PARTS``. A test checks
that ministack has them, so a new version that moved one fails in that test and not during a release.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from importlib import import_module
from types import ModuleType
from typing import Any

from local_aws.framework.disk import Disk
from local_aws.host import (
    accounts,
    alarm_history,
    alarm_views,
    authentication,
    cdk,
    cloudwatch,
    cloudwatch_answers,
    cloudwatch_checks,
    drift,
    drift_aware,
    enforcement,
    former_metrics,
    iam,
    logs_checks,
    managed_policies,
    message_views,
    metric_requests,
    model_checks,
    nested_stacks,
    object_views,
    patterns,
    permissions,
    persistence,
    policies,
    policy_variables,
    requests,
    role_boundaries,
    s3,
    s3_files,
    s3_lists,
    s3_requests,
    s3_versions,
    services,
    sessions,
    signed_heads,
    stack_engine,
    stack_notifications,
    stack_requests,
    stack_roles,
    stack_steps,
    stack_views,
    stacks,
    template_checks,
    trust_checks,
    used_entries,
)
from local_aws.host.environment import configure
from local_aws.host.stack_operations import Journal
from local_aws.host.views import Views
from local_aws.metrics.history import AlarmHistory
from local_aws.metrics.store import MetricStore
from local_aws.settings import Settings

_PARTS: tuple[ModuleType, ...] = (
    accounts,
    alarm_history,
    alarm_views,
    authentication,
    cdk,
    cloudwatch,
    cloudwatch_answers,
    cloudwatch_checks,
    drift,
    drift_aware,
    enforcement,
    former_metrics,
    iam,
    logs_checks,
    managed_policies,
    metric_requests,
    model_checks,
    nested_stacks,
    message_views,
    object_views,
    patterns,
    permissions,
    persistence,
    policies,
    policy_variables,
    requests,
    role_boundaries,
    s3,
    s3_files,
    s3_lists,
    s3_requests,
    s3_versions,
    services,
    sessions,
    signed_heads,
    stack_engine,
    stack_notifications,
    stack_requests,
    stack_steps,
    stack_roles,
    stack_views,
    stacks,
    template_checks,
    trust_checks,
    used_entries,
)


def private_parts() -> dict[str, set[str]]:
    """Return all names that this package uses of ministack, by module."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    found["ministack.app"].add("app")
    for part in _PARTS:
        for module, names in part.PRIVATE_PARTS.items():
            found[module].update(names)
    return dict(found)


class Gateway:
    """ministack with services added to it.

    :param settings: how this local AWS runs
    :param journal: where CloudFormation's operations are written down
    :param disk: the disk of the state folder
    """

    def __init__(self, settings: Settings, journal: Journal, disk: Disk) -> None:
        configure(settings)
        modules: dict[str, Any] = {name: import_module(name) for name in private_parts()}
        # ministack's own ASGI application.
        self.asgi_app: Callable[..., Awaitable[None]] = modules["ministack.app"].app
        self.requests = requests.Requests(modules)
        self.iam = iam.Iam(modules)
        sessions.keep_sessions(modules)
        policy_variables.read_variables(modules)
        self.services = services.Services(modules, self.requests, self.iam.permissions)
        patterns.bound_cloudformation(modules)
        patterns.bound_logs(modules)
        self.objects = s3_files.S3Files(modules, disk, settings.state_dir)
        s3.encode_listed_keys(modules)
        s3.encrypt_by_default(modules)
        s3.check_requests(modules)
        s3_requests.refuse_requests(modules)
        trust_checks.check_trust_policies(modules)
        managed_policies.know_policies(modules)
        cdk.count_as_bootstrapped(modules)
        self.metrics = MetricStore(settings.state_dir / "metrics.sqlite", disk)
        history = AlarmHistory(self.metrics)
        answers = cloudwatch_answers.CloudWatchAnswers(modules)
        metric_requests.serve_metrics(modules, answers, self.metrics)
        alarm_history.keep_history(modules, answers, history)
        former_metrics.take_over(modules, self.metrics, history)
        cloudwatch_checks.check_requests(modules)
        logs_checks.check_requests(modules)
        model_checks.check_requests(modules)
        template_checks.check_templates(modules)
        stack_requests.check_requests(modules)
        stack_steps.check_steps(modules)
        role_boundaries.keep_boundaries(modules)
        self.persistence = persistence.Persistence(modules, disk)
        self.roles = stack_roles.StackRoles(modules, self.iam.permissions)
        self.stacks = stacks.Stacks(
            modules, self.roles, self.persistence, journal, settings.pace_seconds, settings.clock
        )
        nested_stacks.check_nested_stacks(modules, self.roles)
        self.cloudwatch = cloudwatch.CloudWatch(modules, self.metrics)
        self.views = Views(modules, self.objects.index, history)
        for type_name, (read, compared) in self.cloudwatch.readers().items():
            self.stacks.drift.add_reader(type_name, self.roles.reading(type_name, read), compared)
