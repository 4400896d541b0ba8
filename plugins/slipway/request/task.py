"""The task ``process_request``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from slipway.host import log_fields
from slipway.host.task_errors import TaskErrors
from slipway.plan import pull_revision
from slipway.request.contents import CONTENTS
from slipway.request.process import process_request

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.config import ModelConfig


class ProcessRequestOperator(TaskErrors):
    """Read the pinned zip, check it against the model file, and make the release's plan; see ``process_request``.

    :param model: the model file
    """

    def __init__(self, *, model: ModelConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model

    def execute(self, context: Context) -> dict[str, Any]:
        """Make the plan, and keep what is in the zip for the board.

        :param context: the task's Airflow context
        :returns: the plan, as JSON
        :raises slipway.errors.PermanentError: as process_request
        """
        log_fields.bind({"model": self.model.prefix})
        keep = partial(context["ti"].xcom_push, CONTENTS)
        return process_request(self.model, pull_revision(context), tell=keep).to_xcom()
