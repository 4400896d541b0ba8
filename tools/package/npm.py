"""The npm packages of the board's pages, for the list of what the package needs: ui/package-lock.json as CycloneDX."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any
from urllib.parse import quote

# A lock file's packages by their folders. https://docs.npmjs.com/cli/configuring-npm/package-lock-json#packages
Packages = dict[str, dict[str, Any]]

BUNDLE = "slipway/board/static/board.js"
_FOLDER = "node_modules/"
# `import … from "react"`, and no path of a file here.
_IMPORT = re.compile(r'\bfrom "((?:@[\w.-]+/)?[\w][\w.-]*)')


def add(document: dict[str, Any], source: Path) -> None:
    """Add the bundle and the packages of its lock file to a list.

    What the pages import, and what that needs, is required: Airflow's UI gives it to the pages when they run. What
    checks, tests and builds them is excluded. https://cyclonedx.org/docs/1.6/json/#components_items_scope

    :param document: a CycloneDX document, which is changed
    :param source: a folder with the project
    """
    packages: Packages = json.loads((source / "ui/package-lock.json").read_text())["packages"]
    imports = {f"{_FOLDER}{name}" for name in imported(source / "ui/src")}
    needed = _needed(packages, imports)
    components: dict[str, dict[str, Any]] = {}
    root = document["metadata"]["component"]["bom-ref"]
    edges = {root: {BUNDLE}, BUNDLE: {_purl(packages, path) for path in imports}}
    # What is required comes first: a package that a tool has once more, in its own folder, stays required.
    for path in sorted(packages.keys() - {""}, key=lambda path: (path not in needed, path)):
        one = _component(packages, path, "required" if path in needed else "excluded")
        components.setdefault(one["purl"], one)
        edges.setdefault(one["purl"], set()).update(_purl(packages, below) for below in _dependencies(packages, path))
    document["components"] += [_bundle(source), *(components[name] for name in sorted(components))]
    listed = {one["ref"]: one for one in document["dependencies"]}
    listed |= {name: {"ref": name, "dependsOn": sorted(below)} for name, below in edges.items()}
    document["dependencies"] = [listed[name] for name in sorted(listed)]


def _bundle(source: Path) -> dict[str, Any]:
    digest = hashlib.sha256((source / "plugins" / BUNDLE).read_bytes()).hexdigest()
    return {"type": "file", "bom-ref": BUNDLE, "name": BUNDLE, "hashes": [{"alg": "SHA-256", "content": digest}]}


def imported(sources: Path) -> set[str]:
    """Return the names of the packages that the pages import.

    :param sources: the folder of their TypeScript
    """
    files = (path for path in sources.rglob("*") if path.suffix in (".ts", ".tsx"))
    return {name for path in files for name in _IMPORT.findall(path.read_text())}


def _needed(packages: Packages, paths: set[str]) -> set[str]:
    """Return the paths and all that they need, in turn."""
    found: set[str] = set()
    while paths:
        found |= paths
        paths = {below for path in paths for below in _dependencies(packages, path)} - found
    return found


def _dependencies(packages: Packages, path: str) -> list[str]:
    """Return where Node finds what a package needs: in its own folder, or in one above it."""
    one = packages[path]
    names = [*one.get("dependencies", {}), *one.get("peerDependencies", {}), *one.get("optionalDependencies", {})]
    found = []
    for name in names:
        place = path
        while place and f"{place}/{_FOLDER}{name}" not in packages:
            place = place.rpartition(_FOLDER)[0].rstrip("/")
        there = f"{place}/{_FOLDER}{name}".lstrip("/")
        # A peer that is optional need not be there.
        found += [there] if there in packages else []
    return found


def _component(packages: Packages, path: str, scope: str) -> dict[str, Any]:
    """Return a package as CycloneDX has it; npm's integrity is the hash in base64."""
    kind, _, digest = packages[path]["integrity"].partition("-")
    purl = _purl(packages, path)
    return {
        "type": "library",
        "bom-ref": purl,
        "name": path.rpartition(_FOLDER)[2],
        "version": packages[path]["version"],
        "scope": scope,
        "hashes": [{"alg": f"SHA-{kind.removeprefix('sha')}", "content": b64decode(digest).hex()}],
        "licenses": [{"expression": packages[path]["license"]}],
        "purl": purl,
    }


def _purl(packages: Packages, path: str) -> str:
    """https://github.com/package-url/purl-spec/blob/main/types-doc/npm-definition.md"""
    return f"pkg:npm/{quote(path.rpartition(_FOLDER)[2])}@{packages[path]['version']}"
