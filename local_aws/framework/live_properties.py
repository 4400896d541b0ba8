"""Live properties of a resource in the form in which its template declares them, so that drift can be told."""

import json
from typing import Any


def as_declared(declared: Any, live: Any) -> Any:
    """Write a live value as its template writes it where both mean the same, such as a number and its text.

    Members that the template does not set are left out: CloudFormation compares explicitly set values only.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html

    :param declared: the template's value, with every intrinsic function resolved
    :param live: the service's value
    :returns: the live value; equal to the declared one if they mean the same
    """
    if isinstance(declared, dict) and isinstance(live, dict):
        return {name: as_declared(value, live[name]) for name, value in declared.items() if name in live}
    if isinstance(declared, list) and isinstance(live, list):
        return [as_declared(declared[n], item) if n < len(declared) else item for n, item in enumerate(live)]
    return declared if _same(declared, live) else live


def json_as_declared(declared: Any, live: str) -> Any:
    """Return a live JSON text, or the declared one if both are the same document.

    :param declared: the template's text
    :param live: the service's text
    """
    try:
        return declared if json.loads(declared) == json.loads(live) else live
    except (TypeError, ValueError):
        return live


def _same(declared: Any, live: Any) -> bool:
    if isinstance(declared, bool) or isinstance(live, bool):
        return str(declared).lower() == str(live).lower()
    if isinstance(declared, int | float) or isinstance(live, int | float):
        try:
            return float(declared) == float(live)
        except (TypeError, ValueError):
            return False
    return bool(declared == live)
