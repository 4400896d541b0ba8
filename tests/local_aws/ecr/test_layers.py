"""Layers: uploaded in parts, downloaded, and gone when no image needs them."""

import os
import urllib.error
import urllib.request

import pytest

from tests.local_aws.ecr_cases import archive, digest, files, push, repository, upload
from tests.local_aws.sagemaker_cases import refused

pytestmark = pytest.mark.local_aws
MIB = 1024 * 1024


def part(ecr, name, upload_id, first, content, last=None):
    return ecr.upload_layer_part(
        repositoryName=name,
        uploadId=upload_id,
        partFirstByte=first,
        partLastByte=first + len(content) - 1 if last is None else last,
        layerPartBlob=content,
    )


def complete(ecr, name, upload_id, *digests):
    return ecr.complete_layer_upload(repositoryName=name, uploadId=upload_id, layerDigests=list(digests))


def test_a_layer_of_several_parts_comes_back_as_it_was(ecr):
    name, content = repository(ecr), os.urandom(12 * MIB)
    wanted = upload(ecr, name, content)
    answer = ecr.batch_check_layer_availability(repositoryName=name, layerDigests=[wanted, digest(b"none"), "bad"])
    assert [(one["layerAvailability"], one.get("layerSize")) for one in answer["layers"]] == [
        ("AVAILABLE", len(content)),
        ("UNAVAILABLE", None),
    ]
    assert [one["failureCode"] for one in answer["failures"]] == ["InvalidLayerDigest"]
    url = ecr.get_download_url_for_layer(repositoryName=name, layerDigest=wanted)["downloadUrl"]
    with urllib.request.urlopen(url) as found:  # noqa: S310 (the local AWS)
        assert found.headers["Content-Length"] == str(len(content))
        assert found.read() == content


def test_the_ledger_names_the_repository_of_a_long_part(local_aws, ecr):
    name = repository(ecr)
    upload(ecr, name, os.urandom(MIB))
    calls = local_aws.ledger(operation="UploadLayerPart", resource=name)
    assert [call["outcome"] for call in calls] == ["ok"]


def test_an_address_that_was_changed_gives_nothing(ecr):
    name = repository(ecr)
    first, second = upload(ecr, name, b"first"), upload(ecr, name, b"second")
    url = ecr.get_download_url_for_layer(repositoryName=name, layerDigest=first)["downloadUrl"]
    for changed in (url.replace(first, second), url.replace("expires=1", "expires=2"), url.partition("?")[0]):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(changed)  # noqa: S310 (the local AWS)
        assert error.value.code == 403
    refused(
        lambda: ecr.get_download_url_for_layer(repositoryName=name, layerDigest=digest(b"none")),
        "LayersNotFoundException",
        digest(b"none"),
    )


def test_parts_must_follow_each_other(ecr):
    name = repository(ecr)
    upload_id = ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
    assert part(ecr, name, upload_id, 0, b"12345")["lastByteReceived"] == 4
    with pytest.raises(ecr.exceptions.InvalidLayerPartException) as error:
        part(ecr, name, upload_id, 0, b"12345")
    assert error.value.response["lastValidByteReceived"] == 4
    refused(lambda: part(ecr, name, upload_id, 5, b"67", last=9), "InvalidLayerPartException", "not valid")
    part(ecr, name, upload_id, 5, b"67")
    refused(lambda: complete(ecr, name, upload_id, digest(b"1234567")), "LayerPartTooSmallException", "at least 5 MiB")


def test_a_layer_has_the_digest_that_was_said(local_aws, ecr):
    name = repository(ecr)
    upload_id = ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
    refused(lambda: complete(ecr, name, upload_id, digest(b"x")), "EmptyUploadException", "any layer parts")
    part(ecr, name, upload_id, 0, b"x")
    refused(lambda: complete(ecr, name, upload_id, digest(b"y")), "InvalidLayerException", digest(b"x"))
    assert files(local_aws, name) == []
    complete(ecr, name, upload_id, digest(b"y"), digest(b"x"))
    assert files(local_aws, name) == [digest(b"x")]
    refused(lambda: part(ecr, name, upload_id, 1, b"x"), "UploadNotFoundException", upload_id)
    refused(lambda: upload(ecr, name, b"x"), "LayerAlreadyExistsException", digest(b"x"))


def test_layers_go_with_the_last_image_that_needs_them(local_aws, ecr):
    name = repository(ecr)
    shared, own = archive({"shared": "1"}), archive({"own": "1"})
    push(ecr, name, shared, own, tag="both", config=b"both")
    push(ecr, name, shared, tag="one", config=b"one")
    assert set(files(local_aws, name)) == {digest(one) for one in (shared, own, b"both", b"one")}
    ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "both"}])
    assert set(files(local_aws, name)) == {digest(one) for one in (shared, b"one")}
    ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "one"}])
    assert files(local_aws, name) == []
