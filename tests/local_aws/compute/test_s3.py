"""Model archives: what is unpacked, and what is refused."""

import io
import tarfile

import pytest

from local_aws.compute.base import ContainerFailed
from local_aws.compute.s3 import download_model

BUCKET = "model-archives"


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.fixture
def unpack(local_aws, tmp_path):
    """A function that uploads an archive of these members and unpacks it as hosting does."""
    client = local_aws.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})

    def run(*members: tarfile.TarInfo):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as tar:
            for info in members:
                info.size = len(b"model") if info.isfile() else 0
                tar.addfile(info, io.BytesIO(b"model"))
        client.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=stream.getvalue())
        download_model(client, f"s3://{BUCKET}/model.tar.gz", tmp_path / "model")
        return tmp_path / "model"

    yield run
    client.delete_object(Bucket=BUCKET, Key="model.tar.gz")
    client.delete_bucket(Bucket=BUCKET)


def test_files_and_directories_are_unpacked(unpack):
    folder = unpack(member("code", tarfile.DIRTYPE), member("code/inference.py"), member("xgboost-model"))
    assert (folder / "xgboost-model").read_bytes() == b"model"
    assert (folder / "code" / "inference.py").is_file()


@pytest.mark.parametrize(
    "hostile",
    [
        member("../outside"),
        member("/tmp/outside"),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("link", tarfile.LNKTYPE, "../outside"),
        member("device", tarfile.CHRTYPE),
        member("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.name}-{info.type.decode()}",
)
def test_what_leads_outside_or_is_no_file_is_refused(unpack, tmp_path, hostile):
    with pytest.raises(ContainerFailed):
        unpack(member("xgboost-model"), hostile)
    assert not (tmp_path / "outside").exists()
