"""What Slipway adds to Airflow itself."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from slipway.links.cloudformation import CloudFormationStackLink
from slipway.links.cloudwatch import DashboardLink
from slipway.links.runs import NewerReleaseLink, ReleasedByLink
from slipway.links.sagemaker import EndpointLink, ModelPackageLink, TrainingJobLink
from slipway.links.stress import StressReportLink


def guard_approvals(app: Any) -> Any:
    """Put the guard around the API server's routes.

    :param app: the rest of the API server
    :returns: the guard; imported here because workers and schedulers load plugins too, and need neither it nor FastAPI
    """
    from slipway.approval_guard.middleware import ApprovalGuard

    return ApprovalGuard(app)


class SlipwayPlugin(AirflowPlugin):
    """The links of Slipway's operators, for the webserver deserializes no others, and the guard of the approvals."""

    name = "slipway"
    fastapi_root_middlewares = [{"name": "slipway approval guard", "middleware": guard_approvals}]
    operator_extra_links = [
        CloudFormationStackLink(),
        DashboardLink(),
        EndpointLink(),
        ModelPackageLink(),
        NewerReleaseLink(),
        ReleasedByLink(),
        StressReportLink(),
        TrainingJobLink(),
    ]
