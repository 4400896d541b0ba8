"""The lab's own zip, ways to spoil it, and an S3 that lives in a dict."""

import io
import json
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from slipway.aws.placeholders import AwsIdentity
from slipway.errors import PermanentError
from slipway.model.config import ModelConfig
from slipway.model.files import load_model
from slipway.plan import Revision

ROOT = Path(__file__).parents[2]
IRIS = ROOT / "include" / "models" / "iris-model.yaml"
LAB_ZIP = Path(__file__).parent / "fixtures" / "lab_zip"
AWS = AwsIdentity(account="123456789012", region="us-west-2")
BUCKET = "mlops-us-west-2-123456789012"
KEY = "training_jobs/iris-model/trainingjob.zip"
needs_sdk = pytest.mark.skipif(not find_spec("sagemaker"), reason="SageMaker's SDK has no release for this environment")


def training_job() -> dict:
    """What the lab's notebook writes as trainingjob.json."""
    return json.loads((LAB_ZIP / "trainingjob.json").read_text())


def deployment() -> dict:
    """What the lab's notebook writes as deployment.json."""
    return json.loads((LAB_ZIP / "deployment.json").read_text())


def changed(document: dict, path: str, value: object) -> dict:
    """Set one field, given as a.b.0.c; ``...`` removes it."""
    target = document
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parents:
        target = target[part]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return document


def zip_of(*members: tuple[str, str | bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of members in the given order, the same name twice if need be."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "a", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def request_zip(job: dict | str | bytes | None = None, deploy: dict | str | bytes | None = None) -> bytes:
    """A zip with the lab's documents, or with others in their place."""
    texts = [
        content if isinstance(content, str | bytes) else json.dumps(content)
        for content in (training_job() if job is None else job, deployment() if deploy is None else deploy)
    ]
    return zip_of(("trainingjob.json", texts[0]), ("deployment.json", texts[1]))


def iris_model() -> ModelConfig:
    """The model file the repository ships."""
    return load_model(IRIS)


def iris() -> dict:
    """What that file says."""
    return yaml.safe_load(IRIS.read_text())


def write_model(folder: Path, content: dict | str, name: str = "a-model.yaml") -> Path:
    """A model file; text as it is."""
    path = folder / name
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def revision(data: bytes, version_id: str = "v1") -> Revision:
    """A pinned upload of the given bytes."""
    return Revision(BUCKET, KEY, version_id, "etag", len(data), "2024-01-31T23:59:59+00:00")


class DictStore:
    """Object versions in a dict, and a list of what was called."""

    def __init__(self, objects: dict | None = None, uploaders: dict | None = None) -> None:
        self.objects = objects or {}
        self.uploaders = uploaders or {}
        self.calls: list[str] = []

    def uploader(self, bucket, key, version_id):
        self.calls.append("uploader")
        exists = (bucket, key, version_id) in self.objects
        return self.uploaders.get((bucket, key, version_id), "") if exists else None

    def read_version(self, bucket, key, version_id=None, *, max_bytes):
        self.calls.append("read_version")
        if (bucket, key, version_id) not in self.objects:
            raise PermanentError("The object does not exist", resource=key)
        return self.objects[bucket, key, version_id]

    def exists(self, bucket, key):
        self.calls.append("exists")
        return (bucket, key, None) in self.objects

    def put_if_absent(self, bucket, key, data, *, content_type):
        self.calls.append("put_if_absent")
        if (bucket, key, None) in self.objects:
            return False
        self.objects[bucket, key, None] = data
        return True
