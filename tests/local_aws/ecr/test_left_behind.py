"""What a killed process leaves of images: whole ones, and files that go."""

import base64
import os
import time

import pytest

from local_aws.ecr import service as ecr_service
from local_aws.ecr.blobs import Blobs
from local_aws.framework.api import RequestContext, ServiceError
from local_aws.framework.disk import Disk
from local_aws.framework.store import Store
from local_aws.settings import Settings
from tests.local_aws.ecr_cases import archive, digest, distribution, files, manifest, push, repository, upload

CONTEXT = RequestContext("123456789012", "us-west-2")
DAY = 24 * 3600


class Registry:
    """ECR in this process, which may be killed between two of its writes."""

    def __init__(self, folder):
        self.folder = folder
        self.blobs = Blobs(folder / "ecr")
        self.open()

    def open(self):
        self.store = Store(self.folder / "store.sqlite", Disk(self.folder))
        settings = Settings(port=1, bind="127.0.0.1", state_dir=self.folder)
        self.parts = ecr_service.build(self.store, settings)

    def restart(self):
        """Open the files again, and sweep as a start does."""
        self.store.close()
        self.open()
        self.parts.start()
        self.parts.stop()

    def call(self, operation, **parameters):
        return self.parts.service.call(CONTEXT, operation, {"repositoryName": "images", **parameters})

    def upload(self, content):
        started = self.call("InitiateLayerUpload")["uploadId"]
        part = base64.b64encode(content).decode()
        self.call(
            "UploadLayerPart", uploadId=started, partFirstByte=0, partLastByte=len(content) - 1, layerPartBlob=part
        )
        self.call("CompleteLayerUpload", uploadId=started, layerDigests=[digest(content)])

    def layers(self):
        return {path.name for path in self.folder.glob("ecr/*/*/*/blobs/*")}

    def age(self):
        """Let all files be two days old."""
        for path in self.folder.glob("ecr/*/*/*/*/*"):
            os.utime(path, (time.time() - 2 * DAY,) * 2)


@pytest.fixture
def registry(tmp_path):
    made = Registry(tmp_path)
    made.call("CreateRepository")
    yield made
    made.store.close()


def test_a_layer_that_no_image_has_needed_for_a_day_goes(registry):
    registry.upload(b"used")
    registry.upload(b"{}")
    registry.call("PutImage", imageManifest=manifest(b"{}", b"used"))
    registry.upload(b"unused")
    registry.restart()
    assert len(registry.layers()) == 3
    registry.age()
    registry.restart()
    assert registry.layers() == {digest(one)[7:] for one in (b"used", b"{}")}


def test_an_upload_that_nobody_goes_on_with_goes(registry, monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 2 * DAY)
    old = registry.call("InitiateLayerUpload")["uploadId"]
    monkeypatch.undo()
    new = registry.call("InitiateLayerUpload")["uploadId"]
    for one in (old, new):
        registry.call("UploadLayerPart", uploadId=one, partFirstByte=0, partLastByte=0, layerPartBlob="YQ==")
    registry.restart()
    assert [path.name for path in registry.folder.glob("ecr/*/*/*/uploads/*")] == [new]
    registry.call("CompleteLayerUpload", uploadId=new, layerDigests=[digest(b"a")])
    with pytest.raises(ServiceError, match="does not exist"):
        registry.call("CompleteLayerUpload", uploadId=old, layerDigests=[digest(b"a")])


def test_bytes_of_a_part_without_an_answer_do_not_count(registry):
    started = registry.call("InitiateLayerUpload")["uploadId"]
    [folder] = {path.parent for path in [registry.blobs.upload(CONTEXT, "images", started)]}
    folder.mkdir(parents=True)
    (folder / started).write_bytes(b"of a call that was never answered")
    registry.restart()
    registry.call("UploadLayerPart", uploadId=started, partFirstByte=0, partLastByte=0, layerPartBlob="YQ==")
    answer = registry.call("CompleteLayerUpload", uploadId=started, layerDigests=[digest(b"a")])
    assert answer["layerDigest"] == digest(b"a")


def test_a_folder_of_a_repository_that_was_deleted_goes(registry):
    registry.upload(b"layer")
    registry.store.collection("ecr_repositories").delete(CONTEXT, "images")
    registry.restart()
    assert list(registry.folder.glob("ecr/*/*/*")) == []


def test_an_image_is_deleted_before_its_layers(registry, monkeypatch):
    registry.upload(b"layer")
    registry.upload(b"{}")
    image = registry.call("PutImage", imageManifest=manifest(b"{}", b"layer"), imageTag="1")["image"]["imageId"]

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Blobs, "remove", killed)
    with pytest.raises(KeyboardInterrupt):
        registry.call("BatchDeleteImage", imageIds=[{"imageDigest": image["imageDigest"]}])
    monkeypatch.undo()
    registry.restart()
    assert registry.call("ListImages")["imageIds"] == []
    assert len(registry.layers()) == 2
    # The same image may be pushed again, with the layers that are still there.
    assert registry.call("PutImage", imageManifest=manifest(b"{}", b"layer"), imageTag="1")["image"]["imageId"] == image


@pytest.mark.parametrize("collection", ["ecr_tags", "ecr_scans"])
def test_an_image_whose_write_fails_is_not_there(registry, monkeypatch, collection):
    registry.call("PutImageScanningConfiguration", imageScanningConfiguration={"scanOnPush": True})
    registry.upload(b"layer")
    registry.upload(b"{}")
    from local_aws.framework.store import Collection

    put = Collection.put

    def failing(self, *arguments):
        if self._kind == collection:
            raise KeyboardInterrupt
        put(self, *arguments)

    monkeypatch.setattr(Collection, "put", failing)
    with pytest.raises(KeyboardInterrupt):
        registry.call("PutImage", imageManifest=manifest(b"{}", b"layer"), imageTag="1")
    monkeypatch.undo()
    registry.restart()
    assert registry.call("ListImages")["imageIds"] == []
    registry.call("PutImage", imageManifest=manifest(b"{}", b"layer"), imageTag="1")


def test_a_page_of_images_costs_the_same_whatever_the_repository_has(registry, monkeypatch):
    registry.upload(b"layer")

    def statements(count):
        for number in range(count):
            config = f"{{{count}.{number}}}".encode()
            registry.upload(config)
            registry.call("PutImage", imageManifest=manifest(config, b"layer"), imageTag=f"t{count}-{number}")
        ran = []
        rows = registry.store.execute
        monkeypatch.setattr(registry.store, "execute", lambda *one: ran.append(rows(*one)) or ran[-1])
        for operation in ("DescribeImages", "ListImages"):
            registry.call(operation, maxResults=3)
        monkeypatch.undo()
        return len(ran), sum(len(found) for found in ran)

    assert statements(5) == statements(25)


@pytest.mark.local_aws
def test_images_survive_a_kill_and_their_scan_is_done(new_local_aws, eventually):
    aws = new_local_aws().start()
    ecr = aws.client("ecr")
    name = repository(ecr, imageScanningConfiguration={"scanOnPush": True})
    layer = archive(distribution("PyYAML", "5.3"))
    image = push(ecr, name, layer, tag="1")
    unfinished = ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
    ecr.upload_layer_part(
        repositoryName=name, uploadId=unfinished, partFirstByte=0, partLastByte=2, layerPartBlob=b"abc"
    )
    aws.kill()
    aws.start()
    ecr = aws.client("ecr")
    assert [one["imageDigest"] for one in ecr.list_images(repositoryName=name)["imageIds"]] == [image]
    findings = eventually(
        lambda: ecr.describe_image_scan_findings(repositoryName=name, imageId={"imageTag": "1"}),
        lambda found: found["imageScanStatus"]["status"] == "COMPLETE",
    )
    assert [one["name"] for one in findings["imageScanFindings"]["findings"]] == ["CVE-2020-14343"]
    ecr.upload_layer_part(repositoryName=name, uploadId=unfinished, partFirstByte=3, partLastByte=3, layerPartBlob=b"d")
    digests = [digest(b"abcd")]
    # Both parts are small, and only the last one may be.
    with pytest.raises(ecr.exceptions.LayerPartTooSmallException):
        ecr.complete_layer_upload(repositoryName=name, uploadId=unfinished, layerDigests=digests)
    upload(ecr, name, b"abcd")
    assert digest(b"abcd") in files(aws, name)
    state = b"".join(path.read_bytes() for path in aws.state_dir.glob("*.sqlite*"))
    assert layer not in state
