"""Scans: the packages of an image's layers, held against advisories."""

import gzip
import json
import tarfile

import pytest

from local_aws.ecr.advisories import BadAdvisories, load
from local_aws.ecr.packages import DEBIAN, PYTHON, Package, Unreadable, packages_of
from tests.local_aws.ecr_cases import archive, distribution, push, repository
from tests.local_aws.sagemaker_cases import refused, unique

DPKG = """\
Package: openssl
Status: install ok installed
Version: 3.0.11-1

Package: gone
Status: purge ok removed
Version: 1
"""


def layer(tmp_path, files):
    path = tmp_path / unique("layer")
    path.write_bytes(archive(files))
    return path


def found(tmp_path, *layers):
    return [(one.ecosystem, one.name, one.version) for one in packages_of([layer(tmp_path, one) for one in layers])]


def test_packages_of_python_and_debian_are_found(tmp_path):
    files = {**distribution("PyYAML", "5.3"), "var/lib/dpkg/status": DPKG, "app/train": "print(1)"}
    assert found(tmp_path, files) == [(DEBIAN, "openssl", "3.0.11-1"), (PYTHON, "pyyaml", "5.3")]


def test_a_higher_layer_hides_what_it_takes_away(tmp_path):
    old = distribution("requests", "2.20.0")
    [path] = old
    folder, _, _ = path.rpartition("/")
    above = {f"{folder.rpartition('/')[0]}/.wh.{folder.rpartition('/')[2]}": "", **distribution("requests", "2.32.0")}
    assert found(tmp_path, old, above) == [(PYTHON, "requests", "2.32.0")]
    assert found(tmp_path, old, {"usr/lib/.wh..wh..opq": ""}) == []


def test_a_layer_that_is_no_archive_is_told(tmp_path):
    path = tmp_path / "layer"
    path.write_bytes(b"no archive" * 1000)
    with pytest.raises(Unreadable, match="not a tar archive"):
        packages_of([path])


def hostile(kind: bytes, size: int, times: int = 1) -> bytes:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = kind, size
    return gzip.compress((header.tobuf(tarfile.GNU_FORMAT) + b"x".ljust(512, b"\0")) * times)


@pytest.mark.parametrize(
    "content",
    [
        hostile(tarfile.GNUTYPE_LONGNAME, 2**33),
        hostile(tarfile.XHDTYPE, 2**33),
        hostile(tarfile.GNUTYPE_LONGNAME, 1, 2000),
    ],
    ids=["long name", "long header", "many headers"],
)
def test_a_hostile_layer_is_told_at_once(tmp_path, content):
    path = tmp_path / "layer"
    path.write_bytes(content)
    with pytest.raises(Unreadable):
        packages_of([path])


@pytest.mark.parametrize(
    ("version", "vulnerable"),
    [("5.3.1", True), ("5.3", True), ("5.4b1", True), ("5.4", False), ("5.4.0", False), ("5.10", False)],
)
def test_an_advisory_is_about_versions_before_the_fix(tmp_path, version, vulnerable):
    findings = load(tmp_path / "none").findings([Package(PYTHON, "pyyaml", version, "")])
    assert [one["name"] for one in findings] == (["CVE-2020-14343"] if vulnerable else [])


def test_an_advisory_may_begin_at_a_version(tmp_path):
    def names(version):
        packages = [Package(PYTHON, "requests", version, "")]
        return [one["name"] for one in load(tmp_path / "none").findings(packages)]

    assert (names("2.2.9"), names("2.3.0"), names("2.31.0")) == ([], ["CVE-2023-32681"], [])


def test_a_file_adds_advisories(tmp_path):
    added = tmp_path / "advisories.json"
    advisory = {"name": "TEST-1", "package": "openssl", "severity": "LOW", "ecosystem": DEBIAN}
    added.write_text(json.dumps({"advisories": [advisory]}))
    packages = [Package(DEBIAN, "openssl", "3.0.11-1", ""), Package(PYTHON, "openssl", "1", "")]
    [finding] = load(added).findings(packages)
    assert (finding["name"], finding["severity"]) == ("TEST-1", "LOW")
    added.write_text(json.dumps({"advisories": [{**advisory, "severity": "BAD"}]}))
    with pytest.raises(BadAdvisories, match="unknown severity"):
        load(added)


# --- the service ------------------------------------------------------------------------------------------------------


def scanned(ecr, name, image, **parameters):
    ecr.get_waiter("image_scan_complete").wait(repositoryName=name, imageId={"imageDigest": image})
    return ecr.describe_image_scan_findings(repositoryName=name, imageId={"imageDigest": image}, **parameters)


@pytest.mark.local_aws
def test_a_push_is_scanned(ecr):
    name = repository(ecr, imageScanningConfiguration={"scanOnPush": True})
    image = push(ecr, name, archive({**distribution("PyYAML", "5.3"), **distribution("requests", "2.20.0")}), tag="1")
    answer = scanned(ecr, name, image)
    assert answer["imageScanStatus"]["status"] == "COMPLETE"
    findings = answer["imageScanFindings"]["findings"]
    assert [(one["name"], one["severity"]) for one in findings] == [
        ("CVE-2020-14343", "CRITICAL"),
        ("CVE-2023-32681", "MEDIUM"),
    ]
    attributes = {one["key"]: one["value"] for one in findings[0]["attributes"]}
    assert attributes == {"package_name": "pyyaml", "package_version": "5.3", "fixed_in_version": "5.4"}
    counts = {"CRITICAL": 1, "MEDIUM": 1}
    assert answer["imageScanFindings"]["findingSeverityCounts"] == counts
    [described] = ecr.describe_images(repositoryName=name)["imageDetails"]
    assert described["imageScanFindingsSummary"]["findingSeverityCounts"] == counts
    pages = ecr.get_paginator("describe_image_scan_findings").paginate(
        repositoryName=name, imageId={"imageTag": "1"}, PaginationConfig={"PageSize": 1}
    )
    assert [one["name"] for page in pages for one in page["imageScanFindings"]["findings"]] == [
        one["name"] for one in findings
    ]


@pytest.mark.local_aws
def test_an_image_is_scanned_by_hand_once_a_day(ecr):
    name = repository(ecr)
    image = push(ecr, name, archive({"a": "1"}))
    identifier = {"imageDigest": image}
    refused(
        lambda: ecr.describe_image_scan_findings(repositoryName=name, imageId=identifier),
        "ScanNotFoundException",
        image,
    )
    assert ecr.start_image_scan(repositoryName=name, imageId=identifier)["imageScanStatus"]["status"] == "IN_PROGRESS"
    assert scanned(ecr, name, image)["imageScanFindings"]["findings"] == []
    refused(
        lambda: ecr.start_image_scan(repositoryName=name, imageId=identifier), "LimitExceededException", "scan quota"
    )


@pytest.mark.local_aws
def test_a_layer_that_cannot_be_read_fails_the_scan(ecr, eventually):
    name = repository(ecr, imageScanningConfiguration={"scanOnPush": True})
    image = push(ecr, name, b"no archive" * 1000)
    status = eventually(
        lambda: ecr.describe_image_scan_findings(repositoryName=name, imageId={"imageDigest": image})[
            "imageScanStatus"
        ],
        lambda found: found["status"] != "IN_PROGRESS",
    )
    assert (status["status"], "not a tar archive" in status["description"]) == ("FAILED", True)


@pytest.mark.local_aws
def test_an_advisory_of_a_file_in_the_state_folder_counts(local_aws, ecr):
    package = unique("package")
    added = local_aws.state_dir / "advisories.json"
    added.write_text(json.dumps({"advisories": [{"name": "TEST-2", "package": package, "severity": "HIGH"}]}))
    try:
        name = repository(ecr, imageScanningConfiguration={"scanOnPush": True})
        image = push(ecr, name, archive(distribution(package, "1.0")))
        [finding] = scanned(ecr, name, image)["imageScanFindings"]["findings"]
    finally:
        added.unlink()
    assert (finding["name"], finding["severity"]) == ("TEST-2", "HIGH")
