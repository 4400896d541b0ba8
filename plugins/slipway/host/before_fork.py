"""What Airflow prepares in each process of a task, prepared once before the processes are forked."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


def prepare() -> None:
    """Load plugins for Airflow's task runner, and what a worker needs to ask the API server.

    The task runner has a list of plugins of its own, beside the scheduler's. Each process of a task would search the
    plugins folder and all installed packages, and have every plugin loaded again.
    https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/plugins.html
    """
    # Imported here: the command line and the API server have no use for them.
    from airflow.sdk.api.client import Client
    from airflow.sdk.listener import get_listener_manager
    from airflow.sdk.plugins_manager import integrate_macros_plugins

    try:
        get_listener_manager()
        integrate_macros_plugins()
        # Its certificates are read once; nothing is asked.
        Client(base_url="http://localhost", token="").close()
    except Exception:
        log.exception("Slipway could not prepare this process; each task does it itself")
