"""The link buttons of a running task: it names those that it has, and Airflow stores their addresses at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class _Known(BaseOperatorLink):
    """A link whose address the task knows already."""

    def __init__(self, link: type[BaseOperatorLink], address: str) -> None:
        self._link, self._address = link, address

    @property
    def name(self) -> str:
        """What the button says."""
        return str(self._link.name)

    @property
    def xcom_key(self) -> str:
        """Where Airflow stores the address."""
        return f"_link_{self._link.__name__}"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address."""
        return self._address


def keep(operator: BaseOperator, link: BaseOperatorLink) -> None:
    """Have Airflow store a link's address when the task ends or waits; the newest link of a kind counts.

    https://airflow.apache.org/docs/apache-airflow/stable/howto/define-extra-link.html

    :param operator: the operator that is running
    :param link: of one of the classes that the operator's class names
    """
    others = (one for one in operator.operator_extra_links if one.xcom_key != link.xcom_key)
    operator.operator_extra_links = (*others, link)


def keep_address(operator: BaseOperator, link: type[BaseOperatorLink], address: str) -> None:
    """Have Airflow store this address of a link.

    :param operator: the operator that is running
    :param link: one of the classes that the operator's class names
    :param address: an absolute URL
    """
    keep(operator, _Known(link, address))
