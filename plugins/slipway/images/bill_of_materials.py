"""What an image consists of, as CycloneDX: one document for one image, the same whenever it is written.

Its packages are what the image says about itself, so nothing is decided by it.
https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

MEDIA_TYPE = "application/vnd.cyclonedx+json; version=1.6"
_SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
# The image has written its list, and the list is part of a document that every later release and build reads.
_MAX_PACKAGES = 2000
# https://packaging.python.org/en/latest/specifications/name-normalization/ and version-specifiers/
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_VERSION = re.compile(r"[A-Za-z0-9._!+-]{1,100}")
# What dpkg-query is asked for: the distribution, its codename, the package, its version and its architecture.
_DEBIAN = re.compile(r"([a-z0-9._-]+) ([a-z0-9._-]*) ([a-z0-9][a-z0-9+.-]*) (\S+) ([a-z0-9-]+)")


@dataclass(frozen=True, order=True)
class Package:
    """One package of an image.

    :param purl: its package URL
    """

    purl: str
    name: str
    version: str


def python_packages(listed: Any) -> list[Package]:
    """Read what ``pip list --format json`` writes.

    https://pip.pypa.io/en/stable/cli/pip_list/#cmdoption-format
    https://github.com/package-url/purl-spec/blob/main/types-doc/pypi-definition.md

    :param listed: the parsed JSON, which may be anything
    :raises TypeError: when it is no list of at most 2 000 names and versions; so do KeyError and ValueError
    """
    found = [(one["name"], one["version"]) for one in listed]
    if len(found) > _MAX_PACKAGES or not all(_NAME.fullmatch(name) and _VERSION.fullmatch(of) for name, of in found):
        raise ValueError(f"it is no list of at most {_MAX_PACKAGES} names and versions")
    return [Package(f"pkg:pypi/{_encoded(_pypi(name))}@{_encoded(version)}", name, version) for name, version in found]


def debian_packages(text: str) -> list[Package]:
    """Read a line for each package; other lines are passed over.

    https://github.com/package-url/purl-spec/blob/main/types-doc/deb-definition.md

    :param text: what dpkg-query has written, as the buildspec in command/cfn/model.yaml asks it
    """
    found = []
    for line in text.splitlines():
        if match := _DEBIAN.fullmatch(line.strip()):
            vendor, codename, name, version, architecture = match.groups()
            distro = f"&distro={_encoded(codename)}" if codename else ""
            place = f"pkg:deb/{vendor}/{_encoded(name)}@{_encoded(version)}?arch={architecture}{distro}"
            found.append(Package(place, name, version))
    return found


def bill_of_materials(address: str, digest: str, packages: Iterable[Package]) -> dict[str, Any]:
    """Write the document; it depends on nothing but the image.

    :param address: of the repository, with the registry
    :param digest: of the image's manifest, with ``sha256:``
    :param packages: what the image consists of, in any order
    """
    name = f"{address}@{digest}"
    return {
        "$schema": _SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        # Of the image's own name, so that the same image has the same one.
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": name, "name": address, "version": digest}},
        "components": [
            {"type": "library", "bom-ref": one.purl, "name": one.name, "version": one.version, "purl": one.purl}
            for one in sorted(set(packages))
        ],
    }


def _pypi(name: str) -> str:
    return name.lower().replace("_", "-")


def _encoded(text: str) -> str:
    """Encode a part of a package URL, which keeps colons.

    https://github.com/package-url/purl-spec/blob/main/docs/standard/characters-and-encoding.md
    """
    return quote(text, safe=":")
