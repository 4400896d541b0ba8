"""Links to pages of Airflow's UI: a run of a DAG, which tasks link to, and a model's page on the board."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.configuration import conf

from slipway.host.link_buttons import keep_address
from slipway.host.xcoms import read_xcom

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import TaskInstanceKey


class _RunLink(BaseOperatorLink):
    """A link to a run that the task names under an XCom key of its own."""

    key: str

    @classmethod
    def persist(cls, context: Context | Mapping[str, Any], dag_id: str, run_id: str) -> None:
        """Keep which run the link leads to, in an XCom that the API shows too.

        :param context: the task's Airflow context
        :param dag_id: the run's DAG
        :param run_id: the run
        """
        context["ti"].xcom_push(key=cls.key, value={"dag_id": dag_id, "run_id": run_id})
        if isinstance(operator := context.get("task"), BaseOperator):
            keep_address(operator, cls, run_url(dag_id, run_id))

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the run's page; nothing if the task has named no run."""
        run = read_xcom(ti_key, self.key)
        return run_url(run["dag_id"], run["run_id"]) if run else ""


class NewerReleaseLink(_RunLink):
    """The newer release that supersedes this one."""

    name = "Newer release"
    key = "newer_release"


class ReleasedByLink(_RunLink):
    """The run that has released this version."""

    name = "Release of this version"
    key = "released_by"


def run_url(dag_id: str, run_id: str) -> str:
    """Return the address of a run's page in Airflow's UI.

    :param dag_id: the DAG
    :param run_id: the run
    :returns: an absolute URL if ``[api] base_url`` is one
    """
    return f"{_base_url()}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"


def model_url(model: str) -> str:
    """Return the address of a model's page on the board.

    :param model: the model's prefix
    :returns: an absolute URL if ``[api] base_url`` is one
    """
    return f"{_base_url()}/plugin/slipway?model={quote(model, safe='')}"


def _base_url() -> str:
    base_url: Any = conf.get("api", "base_url", fallback="")
    return str(base_url).rstrip("/")
