"""Advisories: which versions of which packages are vulnerable.

`advisories.json` beside this file is a small extract of public advisories about Python packages, for a scan that finds
what it says and nothing else. A file of the same form in the state folder adds to it.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_aws.ecr.packages import DEBIAN, PYTHON, Package

_OWN = Path(__file__).with_name("advisories.json")
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageScanFinding.html
SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED")
_RELEASE = re.compile(r"\d+(?:\.\d+)*")


class BadAdvisories(Exception):
    """A file of advisories that cannot be read."""


@dataclass(frozen=True)
class Advisory:
    """One advisory.

    :param name: such as ``CVE-2023-32681``
    :param introduced: the first version that is vulnerable; empty for all
    :param fixed: the first version that is not, or not any more; empty for none
    """

    name: str
    package: str
    severity: str
    introduced: str = ""
    fixed: str = ""
    ecosystem: str = PYTHON
    description: str = ""
    uri: str = ""

    def is_about(self, package: Package) -> bool:
        """Tell whether a package is vulnerable."""
        if (package.ecosystem, package.name) != (self.ecosystem, self.package):
            return False
        version = _order(package.version)
        since = not self.introduced or version >= _order(self.introduced)
        return since and (not self.fixed or version < _order(self.fixed))


@dataclass(frozen=True)
class Advisories:
    """All advisories.

    :param updated: when the newest file was changed, in epoch seconds
    """

    known: tuple[Advisory, ...]
    updated: float

    def findings(self, packages: Sequence[Package]) -> list[dict[str, Any]]:
        """Return what a scan finds, the worst first.

        https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageScanFinding.html

        :param packages: of the image
        """
        by_name: dict[str, list[Advisory]] = {}
        for advisory in self.known:
            by_name.setdefault(advisory.package, []).append(advisory)
        found = {
            (SEVERITIES.index(advisory.severity), advisory.name, package.name, package.version): advisory
            for package in packages
            for advisory in by_name.get(package.name, [])
            if advisory.is_about(package)
        }
        return [_finding(advisory, *key[2:]) for key, advisory in sorted(found.items(), key=lambda one: one[0])]


def load(added: Path) -> Advisories:
    """Read the advisories.

    :param added: a file with more of them, which need not exist
    :raises BadAdvisories: a file is not of the form
    """
    known: list[Advisory] = []
    updated = 0.0
    for path in (_OWN, added):
        try:
            known += [_advisory(one) for one in json.loads(path.read_text())["advisories"]]
            updated = max(updated, path.stat().st_mtime)
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadAdvisories(f"{path} is no file of advisories: {error!r}") from error
    return Advisories(tuple(known), updated)


def _advisory(found: dict[str, str]) -> Advisory:
    advisory = Advisory(**found)
    if advisory.severity not in SEVERITIES or advisory.ecosystem not in (PYTHON, DEBIAN):
        raise ValueError(f"{advisory.name} has an unknown severity or ecosystem")
    return advisory


def _finding(advisory: Advisory, name: str, version: str) -> dict[str, Any]:
    attributes = {"package_name": name, "package_version": version}
    if advisory.fixed:
        attributes["fixed_in_version"] = advisory.fixed
    return {
        "name": advisory.name,
        "description": advisory.description,
        "uri": advisory.uri,
        "severity": advisory.severity,
        "attributes": [{"key": key, "value": value} for key, value in attributes.items()],
    }


def _order(version: str) -> tuple[list[int], bool]:
    """Return what versions are compared by: the numbers of the release, and whether it is a final one."""
    # Debian's have an epoch before and a revision behind the version of the package.
    text = version.rpartition(":")[2].partition("+")[0].lstrip("vV")
    match = _RELEASE.match(text)
    numbers = [int(part) for part in match[0].split(".")] if match else [0]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    rest = text[match.end() :] if match else text
    return numbers, not re.match(r"[._-]?(a|b|c|rc|alpha|beta|dev|pre)", rest, re.IGNORECASE)
