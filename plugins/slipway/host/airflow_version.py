"""The oldest Airflow on which a release comes to its end."""

from __future__ import annotations

import airflow
from packaging.version import Version

from slipway.errors import PermanentError

# pip asks for it where Slipway is a package; where it is copied into a plugins folder, nobody else does.
OLDEST = "3.3.1"


def require_airflow(running: str = airflow.__version__) -> None:
    """Refuse an Airflow whose API server does not find the answers to approvals, so releases would wait for ever.

    :param running: the version of Airflow
    :raises PermanentError: when it is too old
    """
    if Version(running) < Version(OLDEST):
        raise PermanentError(
            "Slipway cannot release with this Airflow",
            resource=f"apache-airflow {running}",
            why=f"before {OLDEST} its API server does not find the answers to approvals",
            fix=f"install Airflow {OLDEST} or newer, below 3.4",
        )
