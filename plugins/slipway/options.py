"""The options of Airflow's section ``[slipway]``: their names, defaults and descriptions, for readers and for Airflow.

Airflow knows them only where the package is installed; from ``plugins/`` they are read with the same defaults.
"""

from __future__ import annotations

from dataclasses import dataclass

SECTION = "slipway"


@dataclass(frozen=True)
class Option:
    """One option.

    :param kind: string, integer, float or boolean
    :param sensitive: Airflow masks it, and also takes ``<name>_cmd`` and ``<name>_secret``
    """

    name: str
    kind: str
    default: str
    description: str
    sensitive: bool = False


SIGNING_KEY = Option(
    "approval_signing_key",
    "string",
    "",
    "The key with which the API server signs approvals and orders. For the API server alone: "
    "`python -m slipway.signed.proofs` makes a pair.",
    sensitive=True,
)
PUBLIC_KEYS = Option(
    "approval_public_keys",
    "string",
    "",
    "The public halves of the signing key and of former ones, separated by commas. For every process.",
)
AWS_PATIENCE = Option(
    "aws_patience_seconds",
    "float",
    "300",
    "How long a task repeats a call while AWS cannot be reached or throttles. With 0, each error is raised at once.",
)
LOAD_QUEUE = Option(
    "load_queue",
    "string",
    "",
    "The queue of the tasks that send load, for Celery's workers. Empty: `[operators] default_queue`.",
)
OPTIONS = (SIGNING_KEY, PUBLIC_KEYS, AWS_PATIENCE, LOAD_QUEUE)
