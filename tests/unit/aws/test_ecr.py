"""EcrHook: images by tag and digest, and what both kinds of scans have found."""

from datetime import UTC, datetime

import pytest

from slipway.aws.ecr import EcrHook, Finding, PushedImage
from slipway.errors import AwsError
from tests.unit.aws.stubs import stubbed

REPOSITORY, DIGEST = "mlops-iris-forest", "sha256:" + "1" * 64
PUSHED = datetime(2026, 5, 2, 8, tzinfo=UTC)
ASKED = {"repositoryName": REPOSITORY, "imageId": {"imageDigest": DIGEST}}


@pytest.fixture
def hook():
    return EcrHook(aws_conn_id=None, region_name="us-west-2")


@pytest.mark.parametrize(
    ("look", "image_id"),
    [
        (lambda hook: hook.tagged_image(REPOSITORY, "src-1"), {"imageTag": "src-1"}),
        (lambda hook: hook.image(REPOSITORY, DIGEST), {"imageDigest": DIGEST}),
    ],
)
def test_an_image_is_found_or_is_not_there(hook, look, image_id):
    stub, asked = stubbed(hook, "ecr"), {"repositoryName": REPOSITORY, "imageIds": [image_id]}
    detail = {"imageDigest": DIGEST, "imagePushedAt": PUSHED, "imageSizeInBytes": 7}
    stub.add_response("describe_images", {"imageDetails": [detail]}, asked)
    stub.add_client_error("describe_images", "ImageNotFoundException", http_status_code=400)
    assert look(hook) == PushedImage(DIGEST, PUSHED, 7)
    assert look(hook) is None


def test_a_repository_that_is_not_there_is_an_error_that_says_what_makes_it(hook):
    stubbed(hook, "ecr").add_client_error("describe_images", "RepositoryNotFoundException", http_status_code=400)
    with pytest.raises(AwsError, match=r"Cannot look for the image.*slipway bootstrap"):
        hook.tagged_image(REPOSITORY, "src-1")


def test_a_scan_that_was_not_begun_has_no_status(hook):
    stub = stubbed(hook, "ecr")
    stub.add_client_error("describe_image_scan_findings", "ScanNotFoundException", http_status_code=400)
    stub.add_response("describe_image_scan_findings", {"imageScanStatus": {"status": "IN_PROGRESS"}})
    assert hook.scan_status(REPOSITORY, DIGEST) is None
    assert hook.scan_status(REPOSITORY, DIGEST) == "IN_PROGRESS"


def test_the_findings_of_all_pages_are_read_and_those_of_inspector_too(hook):
    stub = stubbed(hook, "ecr")
    basic = {
        "name": "CVE-1",
        "severity": "HIGH",
        "attributes": [{"key": "package_version", "value": "3.0"}, {"key": "package_name", "value": "openssl"}],
    }
    enhanced = {
        "title": "CVE-2 - curl",
        "severity": "CRITICAL",
        "packageVulnerabilityDetails": {
            "vulnerabilityId": "CVE-2",
            "vulnerablePackages": [{"name": "curl", "version": "8"}, {"name": "libcurl"}],
        },
    }
    counts = {"HIGH": 1, "CRITICAL": 1}
    first = {"imageScanFindings": {"findings": [basic], "findingSeverityCounts": counts}, "nextToken": "more"}
    second = {"imageScanFindings": {"enhancedFindings": [enhanced], "findingSeverityCounts": counts}}
    stub.add_response("describe_image_scan_findings", first, {**ASKED, "maxResults": 1000})
    stub.add_response("describe_image_scan_findings", second, {**ASKED, "maxResults": 1000, "nextToken": "more"})
    found = hook.scan_result(REPOSITORY, DIGEST)
    assert found.counts == counts
    assert found.findings == [
        Finding("CVE-1", "HIGH", "openssl 3.0"),
        Finding("CVE-2", "CRITICAL", "curl 8, libcurl"),
    ]
