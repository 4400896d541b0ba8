"""The addresses of AWS's own console, so that one path scheme fits both: everything after the host is the same.

AWS names what is shown behind a ``#``, which a browser does not send; the script of `layout.forwarding` does.
"""

import re
from urllib.parse import unquote

from local_aws.console.request import Asked

# Service of the address, pattern of what is behind the #, page here, and the parameter that names what it shows.
_ADDRESSES = (
    ("sagemaker", re.compile(r"/jobs/([^/?]+)"), "job", "name"),
    ("sagemaker", re.compile(r"/jobs"), "jobs", ""),
    ("sagemaker", re.compile(r"/endpoints/([^/?]+)"), "endpoint", "name"),
    ("sagemaker", re.compile(r"/endpoints"), "endpoints", ""),
    ("sagemaker", re.compile(r"/model-packages/(arn:.+)"), "package", "arn"),
    ("cloudformation", re.compile(r"/stacks/\w+\?(?:.*&)?stackId=([^&]+).*"), "stack", "name"),
    ("cloudformation", re.compile(r"/stacks.*"), "stacks", ""),
    ("cloudwatch", re.compile(r"dashboards/dashboard/([^/?]+)"), "dashboard", "name"),
    ("cloudwatch", re.compile(r"dashboards.*"), "dashboards", ""),
    ("cloudwatch", re.compile(r"alarmsV2:alarm/([^/?]+)"), "alarm", "name"),
    ("cloudwatch", re.compile(r"alarmsV2.*"), "alarms", ""),
)
SERVICES = frozenset(service for service, *_ in _ADDRESSES)


def page_of(asked: Asked, service: str, fragment: str) -> str | None:
    """Return the address of the page for an address of AWS's console.

    :param asked: for which account and region
    :param service: such as ``sagemaker``
    :param fragment: what is behind the ``#``, as a browser has it
    :returns: None when there is no such page here
    """
    for of, pattern, path, parameter in _ADDRESSES:
        if of == service and (match := pattern.fullmatch(fragment)):
            return asked.url(path, **({parameter: unquote(match[1])} if parameter else {}))
    return None
