"""Images: put, read, listed and deleted."""

import json

import pytest

from tests.local_aws.ecr_cases import DOCKER, archive, digest, manifest, push, repository, tags, upload
from tests.local_aws.sagemaker_cases import refused, unique

pytestmark = pytest.mark.local_aws
LAYER = archive({"a": "1"})
INDEX = "application/vnd.oci.image.index.v1+json"


def put(ecr, name, text, **parameters):
    return ecr.put_image(repositoryName=name, imageManifest=text, **parameters)["image"]


def test_an_image_is_read_as_it_was_put(ecr):
    name = repository(ecr)
    text = manifest(b"{}", LAYER)
    upload(ecr, name, LAYER)
    upload(ecr, name, b"{}")
    image = put(ecr, name, text, imageTag="1", imageDigest=digest(text.encode()))
    assert image["imageId"] == {"imageDigest": digest(text.encode()), "imageTag": "1"}
    for identifier in ({"imageTag": "1"}, {"imageDigest": digest(text.encode())}):
        [found] = ecr.batch_get_image(repositoryName=name, imageIds=[identifier])["images"]
        assert (found["imageManifest"], found["imageManifestMediaType"]) == (text, DOCKER)
    [described] = ecr.describe_images(repositoryName=name)["imageDetails"]
    assert described["imageTags"] == ["1"]
    assert described["imageSizeInBytes"] == len(LAYER) + 2
    assert described["lastRecordedPullTime"] >= described["imagePushedAt"]


def test_an_image_without_its_layers_is_refused(ecr):
    name = repository(ecr)
    upload(ecr, name, b"{}")
    refused(lambda: put(ecr, name, manifest(b"{}", LAYER)), "LayersNotFoundException", digest(LAYER))
    assert ecr.list_images(repositoryName=name)["imageIds"] == []


@pytest.mark.parametrize(
    ("text", "parameters", "code"),
    [
        ("{", {}, "InvalidParameterException"),
        ("[]", {}, "InvalidParameterException"),
        (json.dumps({"schemaVersion": 1, "mediaType": DOCKER}), {}, "InvalidParameterException"),
        (manifest(b"{}", LAYER), {"imageDigest": digest(b"x")}, "ImageDigestDoesNotMatchException"),
        (manifest(b"{}", LAYER), {"imageManifestMediaType": INDEX}, "InvalidParameterException"),
    ],
)
def test_a_manifest_that_is_none_is_refused(ecr, text, parameters, code):
    name = repository(ecr)
    refused(lambda: put(ecr, name, text, **parameters), code, "")


def test_a_tag_of_an_immutable_repository_stays(ecr):
    name = repository(ecr, imageTagMutability="IMMUTABLE")
    first = push(ecr, name, LAYER, tag="1")
    refused(
        lambda: push(ecr, name, LAYER, tag="1"),
        "ImageTagAlreadyExistsException",
        f"The image tag '1' already exists in the '{name}' repository and cannot be overwritten because the tag is"
        " immutable.",
    )
    assert (
        ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": "1"}])["imageDetails"][0]["imageDigest"]
        == first
    )


def test_a_tag_of_a_mutable_repository_moves(ecr):
    name = repository(ecr)
    first, second = push(ecr, name, LAYER, tag="1"), push(ecr, name, LAYER, tag="1")
    details = {
        one["imageDigest"]: one.get("imageTags") for one in ecr.describe_images(repositoryName=name)["imageDetails"]
    }
    assert details == {first: None, second: ["1"]}


def test_excluded_tags_of_an_immutable_repository_move(ecr):
    filters = [{"filterType": "WILDCARD", "filter": "latest*"}]
    name = repository(ecr, imageTagMutability="IMMUTABLE_WITH_EXCLUSION", imageTagMutabilityExclusionFilters=filters)
    push(ecr, name, LAYER, tag="latest")
    moved = push(ecr, name, LAYER, tag="latest")
    [found] = ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": "latest"}])["imageDetails"]
    assert found["imageDigest"] == moved
    push(ecr, name, LAYER, tag="1")
    refused(lambda: push(ecr, name, LAYER, tag="1"), "ImageTagAlreadyExistsException", "'1'")


def test_the_same_image_is_put_once(ecr):
    name = repository(ecr)
    config = unique("config").encode()
    wanted = push(ecr, name, LAYER, tag="1", config=config)
    refused(lambda: push(ecr, name, LAYER, tag="1", config=config), "ImageAlreadyExistsException", wanted)
    refused(lambda: push(ecr, name, LAYER, config=config), "ImageAlreadyExistsException", wanted)
    assert push(ecr, name, LAYER, tag="2", config=config) == wanted
    assert tags(ecr, name) == ["1", "2"]


def test_images_are_deleted_by_tag_and_by_digest(ecr):
    name = repository(ecr)
    config = unique("config").encode()
    image = push(ecr, name, LAYER, tag="1", config=config)
    push(ecr, name, LAYER, tag="2", config=config)
    answer = ecr.batch_delete_image(
        repositoryName=name, imageIds=[{"imageTag": "1"}, {"imageTag": "none"}, {"imageDigest": image, "imageTag": "1"}]
    )
    assert answer["imageIds"] == [{"imageDigest": image, "imageTag": "1"}]
    assert [one["failureCode"] for one in answer["failures"]] == ["ImageNotFound", "ImageNotFound"]
    assert tags(ecr, name) == ["2"]
    ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageDigest": image}])
    assert ecr.list_images(repositoryName=name)["imageIds"] == []
    refused(
        lambda: ecr.describe_images(repositoryName=name, imageIds=[{"imageDigest": image}]),
        "ImageNotFoundException",
        f"{{imageDigest:'{image}', imageTag:null}}",
    )


def test_an_index_keeps_its_images(ecr):
    name = repository(ecr)
    child = push(ecr, name, LAYER)
    entry = {"mediaType": DOCKER, "digest": child, "size": 10, "platform": {"os": "linux", "architecture": "amd64"}}
    text = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})
    other = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**entry, "digest": digest(b"x")}]})
    refused(lambda: put(ecr, name, other), "ReferencedImagesNotFoundException", digest(b"x"))
    index = put(ecr, name, text, imageTag="1")["imageId"]["imageDigest"]
    [failure] = ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageDigest": child}])["failures"]
    assert failure["failureCode"] == "ImageReferencedByManifestList"
    ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageDigest": index}])
    assert ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageDigest": child}])["failures"] == []


def test_images_are_listed_in_pages(ecr):
    name = repository(ecr)
    tagged = sorted(f"t{number}" for number in range(5))
    for tag in tagged:
        push(ecr, name, LAYER, tag=tag)
    untagged = {push(ecr, name, LAYER) for _ in range(3)}

    def listed(**wanted):
        pages = ecr.get_paginator("list_images").paginate(
            repositoryName=name, PaginationConfig={"PageSize": 2}, **wanted
        )
        return [(one.get("imageTag"), one["imageDigest"]) for page in pages for one in page["imageIds"]]

    assert [tag for tag, _ in listed(filter={"tagStatus": "TAGGED"})] == tagged
    assert {one for _, one in listed(filter={"tagStatus": "UNTAGGED"})} == untagged
    assert [tag for tag, _ in listed()] == [*tagged, None, None, None]
    pages = list(ecr.get_paginator("describe_images").paginate(repositoryName=name, PaginationConfig={"PageSize": 3}))
    assert [len(page["imageDetails"]) for page in pages] == [3, 3, 2]
    refused(lambda: ecr.list_images(repositoryName=name, nextToken="x"), "InvalidParameterException", "nextToken")


def test_the_token_is_what_docker_login_takes(ecr):
    [data] = ecr.get_authorization_token()["authorizationData"]
    import base64

    user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    assert (user, bool(password)) == ("AWS", True)
    assert data["proxyEndpoint"] == "https://123456789012.dkr.ecr.us-west-2.amazonaws.com"
