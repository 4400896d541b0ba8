"""Links to the pages of AWS that show what a release has made, as its tasks have kept them.

They are those of the tasks' own buttons in Airflow: AWS's console, or the one that the connection names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.aws.links import CloudFormationStackLink, DashboardLink, EndpointLink, ModelPackageLink, TrainingJobLink
from slipway.board.documents import Link

LINKS = {
    link.key: link
    for link in (TrainingJobLink(), ModelPackageLink(), CloudFormationStackLink(), EndpointLink(), DashboardLink())
}
_IDS = ("job_name", "model_package_arn", "stack_id", "endpoint_name", "dashboard_name")
_PLACES = ("console_url", "aws_domain")


def links(kept: Mapping[tuple[str, str], Mapping[str, Any]]) -> list[Link]:
    """Return links in the order of the kinds of things.

    :param kept: what the tasks have kept for their links, by task and key
    """
    order = list(LINKS)
    found = []
    for (task_id, key), value in sorted(kept.items(), key=lambda one: (order.index(one[0][1]), one[0])):
        known = {name: str(value[name]) for name in (*_IDS, *_PLACES, "region_name") if value.get(name)}
        url = LINKS[key].format_link(**known) if known.keys() & set(_PLACES) else ""
        # Any task may write an XCom, and a page shows this as a link.
        if url.startswith(("https://", "http://")):
            found.append(Link(task_id=task_id, name=LINKS[key].name, url=url))
    return found
