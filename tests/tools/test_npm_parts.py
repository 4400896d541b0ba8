"""The list of what the package needs names the npm packages of the board's pages."""

import hashlib
import json
import re

import pytest

from tools.package import npm
from tools.settings import ROOT


@pytest.fixture(scope="module")
def document():
    made = {"metadata": {"component": {"bom-ref": "root"}}, "components": [], "dependencies": [{"ref": "root"}]}
    npm.add(made, ROOT)
    return made


def by_name(document, scope):
    return {one["name"] for one in document["components"] if one.get("scope") == scope}


def below(document, *names):
    """All that these need, by the document alone."""
    edges = {one["ref"]: one.get("dependsOn", []) for one in document["dependencies"]}
    found, new = set(), set(names)
    while new:
        found |= new
        new = {each for name in new for each in edges[name]} - found
    return found


def test_every_package_of_the_lock_file_is_listed_once_with_its_hash(document):
    packages = json.loads((ROOT / "ui/package-lock.json").read_text())["packages"]
    locked = {(path.rpartition("node_modules/")[2], one["version"]) for path, one in packages.items() if path}
    listed = [(one["name"], one["version"]) for one in document["components"] if one["type"] == "library"]
    assert (set(listed), len(listed)) == (locked, len(locked))
    assert all(len(one["hashes"][0]["content"]) == 128 for one in document["components"] if one["type"] == "library")


def test_what_the_pages_import_is_required_and_what_builds_them_is_not(document):
    required, excluded = by_name(document, "required"), by_name(document, "excluded")
    assert {"react", "react-dom", "react-router-dom", "react-router", "@chakra-ui/react", "@ark-ui/react"} <= required
    assert {"vite", "vitest", "esbuild", "typescript", "eslint", "axe-core"} <= excluded


def test_the_required_ones_are_what_the_bundle_depends_on(document):
    needed = below(document, "root")
    assert {one["bom-ref"] for one in document["components"] if one.get("scope") != "excluded"} == needed - {"root"}
    assert "pkg:npm/%40chakra-ui/react@" in " ".join(needed)
    # A file in the wheel, with the bytes that are there.
    [bundle] = [one for one in document["components"] if one["name"] == npm.BUNDLE]
    assert bundle["hashes"][0]["content"] == hashlib.sha256((ROOT / "plugins" / npm.BUNDLE).read_bytes()).hexdigest()


def test_no_package_is_in_the_bundle_itself():
    """Each that is imported comes from Airflow's UI; docs/package.md says so."""
    config = (ROOT / "ui/vite.config.ts").read_text()
    [given] = re.findall(r"const HOST_GLOBALS = \{(.*?)\}", config, re.DOTALL)
    names = {name.strip('"') for name in re.findall(r'^\s*("[^"]+"|\w+):', given, re.MULTILINE)}
    assert npm.imported(ROOT / "ui/src") <= names
