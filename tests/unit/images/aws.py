"""CodeBuild, ECR and the documents of S3 in dicts, with a ledger of what was started and stopped."""

from datetime import UTC, datetime

from slipway.aws.documents import Document
from slipway.aws.ecr import PushedImage, ScanResult
from slipway.errors import PermanentError
from slipway.images.note import MARK, BuildNote
from slipway.training.owner import JobOwner

DIGEST = "sha256:" + "1" * 64


def build_note(tag: str, owner: JobOwner, build_id: str | None = None) -> BuildNote:
    """The note of the first build of some bytes."""
    return BuildNote(
        tag=tag,
        number=1,
        first=1,
        since="2026-05-01T12:00:00+00:00",
        owner=owner,
        key="releases/iris-forest/images/x/image.zip",
        version_id="copy",
        upload="v1",
        revisions=("cd" * 16,),
        build_id=build_id,
    )


class CodeBuild:
    """Builds by id."""

    def __init__(self) -> None:
        self.found: dict[str, dict] = {}
        self.ledger: list[tuple[str, str]] = []
        self.parameters: list[dict] = []

    def add(self, build_id: str, mark: str, status: str = "IN_PROGRESS", **fields) -> dict:
        variables = [{"name": MARK, "value": mark}]
        self.found[build_id] = {
            "id": build_id,
            "arn": f"arn:aws:codebuild:us-west-2:123456789012:build/{build_id}",
            "projectName": build_id.partition(":")[0],
            "buildStatus": status,
            "startTime": datetime.now(UTC),
            "environment": {"environmentVariables": variables},
            **fields,
        }
        return self.found[build_id]

    def start_build(self, parameters: dict) -> dict:
        self.parameters.append(parameters)
        mark = parameters["idempotencyToken"]
        self.ledger.append(("StartBuild", mark))
        known = [
            build for build in self.found.values() if build["environment"]["environmentVariables"][0]["value"] == mark
        ]
        return known[0] if known else self.add(f"{parameters['projectName']}:{len(self.found)}", mark)

    def builds(self, ids) -> list[dict]:
        self.ledger.append(("BatchGetBuilds", str(len(ids))))
        return [self.found[one] for one in ids if one in self.found]

    def builds_since(self, project: str, since: datetime) -> list[dict]:
        self.ledger.append(("ListBuildsForProject", project))
        return [build for build in self.found.values() if build["startTime"] >= since]

    def newest_ids(self, pages: int) -> list[str]:
        self.ledger.append(("ListBuilds", str(pages)))
        return list(reversed(self.found))[: 100 * pages]

    def stop_build(self, build_id: str) -> bool:
        self.ledger.append(("StopBuild", build_id))
        return build_id in self.found

    def calls(self, operation: str) -> list[str]:
        return [about for each, about in self.ledger if each == operation]


class Ecr:
    """Images by tag, and one scan."""

    def __init__(self) -> None:
        self.images: dict[str, PushedImage] = {}
        self.status: str | None = "COMPLETE"
        self.result = ScanResult({}, [])

    def push(self, tag: str, digest: str = DIGEST, pushed_at: datetime = datetime(2026, 5, 1, tzinfo=UTC)) -> None:
        self.images[tag] = PushedImage(digest, pushed_at, 1000)

    def tagged_image(self, repository: str, tag: str) -> PushedImage | None:
        return self.images.get(tag)

    def scan_status(self, repository: str, digest: str) -> str | None:
        return self.status

    def scan_result(self, repository: str, digest: str) -> ScanResult:
        return self.result


class Documents:
    """Documents by key, with compare-and-set; also the objects beside them."""

    def __init__(self) -> None:
        self.kept: dict[str, dict] = {}
        self.objects: dict[str, bytes] = {}
        self.writes = 0
        self.s3 = self

    def read(self, bucket: str, key: str) -> Document:
        return Document(self.kept[key], repr(self.kept[key])) if key in self.kept else Document()

    def write(self, bucket: str, key: str, content: dict, *, etag: str | None) -> bool:
        if self.read(bucket, key).etag != etag:
            return False
        self.kept[key] = content
        self.writes += 1
        return True

    def read_version(self, bucket: str, key: str, version_id: str | None = None, *, max_bytes: int) -> bytes:
        if key not in self.objects:
            raise PermanentError("The object does not exist", resource=key)
        return self.objects[key]

    def put_if_absent(self, bucket: str, key: str, data: bytes, *, content_type: str) -> bool:
        if key in self.objects:
            return False
        self.objects[key] = data
        return True
