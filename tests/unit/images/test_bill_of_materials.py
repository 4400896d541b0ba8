"""The bill of materials of an image: valid CycloneDX, the same for the same image, with the package URLs of others."""

import json
from pathlib import Path

import jsonschema
import pytest
import referencing
from referencing.jsonschema import DRAFT7

from slipway.images.bill_of_materials import Package, bill_of_materials, debian_packages, python_packages
from tests.unit.images.aws import DIGEST
from tools.settings import ROOT

ADDRESS = "123456789012.dkr.ecr.us-west-2.amazonaws.com/mlops-iris-forest"
PIP = [{"name": "scikit-learn", "version": "1.7.2"}, {"name": "Typing_Extensions", "version": "4.0+local"}]
DPKG = """\
debian bookworm libstdc++6 12.2.0-14+deb12u1 amd64
debian bookworm adduser 1:3.134 all
ubuntu  base-files 13ubuntu10 arm64
dpkg-query: no packages found
"""
# CycloneDX's own schemas come with the library that checkov's environment has.
SCHEMAS = next(iter(sorted(Path(ROOT).glob(".venv-*/lib/*/site-packages/cyclonedx/schema/_res"))), None)


def bill(python=PIP, debian=DPKG) -> dict:
    return bill_of_materials(ADDRESS, DIGEST, [*python_packages(python), *debian_packages(debian)])


def test_packages_have_the_urls_that_others_give_them():
    """As packageurl-python writes them."""
    assert [one["purl"] for one in bill()["components"]] == [
        "pkg:deb/debian/adduser@1:3.134?arch=all&distro=bookworm",
        "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=bookworm",
        "pkg:deb/ubuntu/base-files@13ubuntu10?arch=arm64",
        "pkg:pypi/scikit-learn@1.7.2",
        "pkg:pypi/typing-extensions@4.0%2Blocal",
    ]
    (mixed,) = (one for one in bill()["components"] if one["name"] == "Typing_Extensions")
    assert mixed["version"] == "4.0+local"


def test_the_same_image_has_the_same_document_and_another_has_another_number():
    again = bill([*reversed(PIP), PIP[0]], "\n".join(reversed(DPKG.splitlines())))
    assert json.dumps(again) == json.dumps(bill())
    other = bill_of_materials(ADDRESS, "sha256:" + "2" * 64, python_packages(PIP))
    assert other["serialNumber"] != bill()["serialNumber"]


@pytest.mark.skipif(SCHEMAS is None, reason="needs make checkov, whose environment has the schemas")
@pytest.mark.parametrize("document", [bill(), bill([], "")], ids=["packages", "none"])
def test_it_is_what_the_standard_says(document):
    schemas = {
        path.name.replace(".SNAPSHOT", ""): json.loads(path.read_text()) for path in SCHEMAS.glob("*.schema.json")
    }
    known = {f"http://cyclonedx.org/schema/{name}": schema for name, schema in schemas.items()}
    resources = [(url, DRAFT7.create_resource(schema)) for url, schema in known.items()]
    registry = referencing.Registry().with_resources(resources)
    validator = jsonschema.Draft7Validator(schemas["bom-1.6.schema.json"], registry=registry)
    assert [error.message for error in validator.iter_errors(document)] == []
    # The schema is read: it refuses what is no bill.
    assert list(validator.iter_errors({**document, "serialNumber": "1"}))


@pytest.mark.parametrize("listed", [None, {"name": 1}, [1], [{"name": "x"}]])
def test_what_is_no_list_is_refused(listed):
    with pytest.raises((TypeError, KeyError)):
        python_packages(listed)


def test_lines_that_are_no_packages_are_passed_over():
    assert debian_packages("\x00\n a b\n<html>\n") == []
    assert Package("p", "n", "1") < Package("q", "n", "1")
