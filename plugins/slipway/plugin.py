"""What Slipway adds to Airflow itself."""

from __future__ import annotations

import logging
import sys
from functools import cache
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from slipway.aws.links import (
    BuildLink,
    CloudFormationStackLink,
    DashboardLink,
    EndpointLink,
    ModelPackageLink,
    TrainingJobLink,
)
from slipway.board.bundle import PREFIX, react_apps
from slipway.host.links import NewerReleaseLink, ReleasedByLink
from slipway.stress.link import StressReportLink

log = logging.getLogger(__name__)

# The most DAGs that a process makes for those it forks: each takes 10 ms, here and in each process of a task otherwise.
_PREPARED_DAGS = 20
# No other component imports these.
_DAG_PROCESSOR = "airflow.dag_processing.manager"
_API_SERVER = "airflow.api_fastapi.app"
_TRIGGERER = "airflow.jobs.triggerer_job_runner"


def guard_approvals(app: Any) -> Any:
    """Put the guard around the API server's routes.

    :param app: the rest of the API server
    :returns: the guard; imported here because workers and schedulers load plugins too and do not need it
    """
    from slipway.guard.middleware import ApprovalGuard

    return ApprovalGuard(app)


async def guard_health(scope: Any, receive: Any, send: Any) -> None:
    """Serve whether approvals are guarded, as an ASGI application; imports the guard as ``guard_approvals`` does."""
    from slipway.guard.health import serve

    await serve(scope, receive, send)


async def board_api(scope: Any, receive: Any, send: Any) -> None:
    """Serve the board's API, as an ASGI application; imports it as ``guard_approvals`` does the guard."""
    from slipway.board.app import app

    await app(scope, receive, send)


async def board_pages(scope: Any, receive: Any, send: Any) -> None:
    """Serve the bundle of the board's pages, as ``board_api``."""
    from slipway.board.pages import app

    await app(scope, receive, send)


@cache
def _warm_up() -> None:
    import slipway.cleanup.teardown
    import slipway.deployment.drift_watch
    import slipway.images.dag
    import slipway.images.reaper
    import slipway.live.survey_dag
    import slipway.release_dag
    import slipway.source.data
    import slipway.source.intake
    import slipway.stress.dag
    import slipway.training.reaper
    from slipway.aws.session import load_service_models
    from slipway.model.files import load_models
    from slipway.paths import models_folder

    models, _ = load_models(models_folder())
    parses = _DAG_PROCESSOR in sys.modules
    # Airflow imports what it serializes DAGs with at the first one, which is in each process of a DAG file.
    if models and parses:
        from airflow.serialization.serialized_objects import DagSerialization

        DagSerialization.to_dict(slipway.release_dag.build_release_dag(models[0]))
    for model in models[:_PREPARED_DAGS]:
        slipway.release_dag.prepare_release_dag(model)
    # No DAG file asks AWS for anything.
    if not parses:
        load_service_models()


def _import_watchers() -> None:
    """Import the triggers that are there from the start; the others' modules are small.

    Airflow imports a trigger where all others wait for that.
    """
    import slipway.deployment.drift_watch
    import slipway.images.orphans
    import slipway.live.watcher
    import slipway.source.watcher
    import slipway.training.orphans  # noqa: F401


class SlipwayPlugin(AirflowPlugin):
    """The guard of the approvals, the board, and the links of operators.

    The API server deserializes only registered links.
    """

    name = "slipway"

    @classmethod
    def on_load(cls, *args: Any, **kwargs: Any) -> None:
        """Import what the DAG files import, read the model files, make DAGs, and load what describes AWS's services.

        The scheduler and the DAG processor load plugins before they fork the processes of tasks and DAG files. What is
        loaded here saves each of those processes a second or more. The API server forks none, and the triggerer one,
        which wants triggers alone; both start a second sooner without the rest.
        """
        if _API_SERVER in sys.modules:
            return
        # Airflow drops a plugin that raises an error here, and would serve its API without the guard.
        try:
            from slipway.metrics import record

            if _TRIGGERER in sys.modules:
                _import_watchers()
            else:
                _warm_up()
            # Triggers count what they ask AWS for, too.
            record.load()
        except Exception:
            log.exception("Slipway could not prepare this process; tasks and DAG files in it will say why")

    fastapi_apps = [
        {"name": "slipway approval guard", "app": guard_health, "url_prefix": "/slipway/guard"},
        {"name": "slipway board api", "app": board_api, "url_prefix": "/slipway/api/v1"},
        {"name": "slipway board", "app": board_pages, "url_prefix": PREFIX},
    ]
    react_apps = react_apps()
    fastapi_root_middlewares = [{"name": "slipway approval guard", "middleware": guard_approvals}]
    operator_extra_links = [
        BuildLink(),
        CloudFormationStackLink(),
        DashboardLink(),
        EndpointLink(),
        ModelPackageLink(),
        NewerReleaseLink(),
        ReleasedByLink(),
        StressReportLink(),
        TrainingJobLink(),
    ]
