"""ECR's repositories and their images."""

from collections import Counter
from typing import Any

from local_aws.console.html import Content, tag
from local_aws.console.parts import facts, long, moment, onward, pairs, section, size, state, table
from local_aws.console.request import ROWS, Asked, Missing, Page
from local_aws.console.sources import Sources


def repositories(asked: Asked, sources: Sources) -> Page:
    """List the repositories, by name."""
    found = sources.images(asked.scope, "DescribeRepositories", **_page(asked))
    rows = [
        (
            asked.link(one["repositoryName"], "repository", name=one["repositoryName"]),
            one["imageTagMutability"],
            "on push" if one["imageScanningConfiguration"]["scanOnPush"] else "",
            moment(one["createdAt"]),
        )
        for one in found.get("repositories", [])
    ]
    heads = ("repository", "tags", "scanned", "created (UTC)")
    return Page("Images", (table("Repositories", heads, rows), _onward(asked, found, "repositories")), "repositories")


def repository(asked: Asked, sources: Sources) -> Page:
    """Show one repository: its images, and what their scans have found."""
    name = asked.get("name")
    described = sources.images(asked.scope, "DescribeRepositories", repositoryNames=[name]).get("repositories")
    if not described:
        raise Missing(f"There is no repository {name}.")
    found = sources.images(asked.scope, "DescribeImages", repositoryName=name, **_page(asked))
    rows = [
        (
            asked.link(one["imageDigest"][7:19], "image", repository=name, digest=one["imageDigest"]),
            ", ".join(one.get("imageTags") or []),
            size(one["imageSizeInBytes"]),
            moment(one["imagePushedAt"]),
            moment(one.get("lastRecordedPullTime")),
            _scan(one),
        )
        for one in found.get("imageDetails", [])
    ]
    policy = sources.images(asked.scope, "GetLifecyclePolicy", repositoryName=name).get("lifecyclePolicyText")
    tags = sources.images(asked.scope, "ListTagsForResource", resourceArn=described[0]["repositoryArn"]).get("tags", [])
    content: list[Content] = [
        facts(
            [
                ("URI", described[0]["repositoryUri"]),
                ("tags", described[0]["imageTagMutability"]),
                ("created (UTC)", moment(described[0]["createdAt"])),
            ]
        ),
        section(
            "Images",
            table("Images", ("digest", "tags", "size", "pushed (UTC)", "pulled", "scan"), rows),
            _onward(asked, found, "repository", name=name),
        ),
        section("Lifecycle policy", tag("p", long(policy).content or "There is none.")),
        section("Tags", pairs("Tags", {one["Key"]: one["Value"] for one in tags}, "key")),
    ]
    return Page(name, content, "repositories")


def image(asked: Asked, sources: Sources) -> Page:
    """Show one image with the findings of its scan."""
    name, digest = asked.get("repository"), asked.get("digest")
    identifier = {"imageDigest": digest}
    described = sources.images(asked.scope, "DescribeImages", repositoryName=name, imageIds=[identifier])
    if not described:
        raise Missing(f"There is no image {digest} in the repository {name}.")
    [one] = described["imageDetails"]
    scanned = sources.images(
        asked.scope, "DescribeImageScanFindings", repositoryName=name, imageId=identifier, maxResults=1000
    )
    findings = [
        (
            finding["name"],
            finding["severity"],
            *(_attribute(finding, key) for key in ("package_name", "package_version", "fixed_in_version")),
            long(finding["description"]),
        )
        for finding in scanned.get("imageScanFindings", {}).get("findings", [])
    ]
    heads = ("finding", "severity", "package", "version", "fixed in", "description")
    content: list[Content] = [
        facts(
            [
                ("repository", asked.link(name, "repository", name=name)),
                ("tags", ", ".join(one.get("imageTags") or [])),
                ("pushed (UTC)", moment(one["imagePushedAt"])),
                ("type", one["imageManifestMediaType"]),
                ("scan", _scan(one)),
                ("reason", one.get("imageScanStatus", {}).get("description")),
            ]
        ),
        section("Findings", table("Findings, the worst first", heads, findings)),
    ]
    return Page(digest, content, "repositories")


def _scan(image: dict[str, Any]) -> Content:
    """Return the state of a scan, or how many findings it has of each severity."""
    status = image.get("imageScanStatus", {}).get("status")
    if status != "COMPLETE":
        return state(status) if status else ""
    counts = Counter(image["imageScanFindingsSummary"]["findingSeverityCounts"])
    return ", ".join(f"{count} {severity}" for severity, count in counts.items()) or "nothing found"


def _attribute(finding: dict[str, Any], key: str) -> str:
    return next((one["value"] for one in finding["attributes"] if one["key"] == key), "")


def _page(asked: Asked) -> dict[str, Any]:
    token = asked.query.get("token")
    return {"maxResults": ROWS, **({"nextToken": token} if token else {})}


def _onward(asked: Asked, found: dict[str, Any], path: str, **query: str) -> Content:
    more = found.get("nextToken") and asked.link("More", path, token=found["nextToken"], **query)
    first = asked.query.get("token") and asked.link("First", path, **query)
    return onward(first, more)
