"""Images for the tests of ECR: layers that are real archives, and their manifests."""

import hashlib
import io
import json
import tarfile

from tests.local_aws.sagemaker_cases import unique

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_CONFIG = "application/vnd.docker.container.image.v1+json"


def repository(ecr, **settings):
    """Make a repository with a unique name."""
    return ecr.create_repository(repositoryName=unique("tests/images"), **settings)["repository"]["repositoryName"]


def digest(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def archive(files):
    """Pack files, by name, as a layer."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as layer:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            layer.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def distribution(name, version):
    """The file that a Python package leaves where it is installed."""
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nA package.\n"
    return {f"usr/lib/python3.11/site-packages/{name}-{version}.dist-info/METADATA": text}


def upload(ecr, name, content, part_bytes=None):
    """Upload a layer in parts; return its digest."""
    started = ecr.initiate_layer_upload(repositoryName=name)
    size = part_bytes or started["partSize"]
    for first in range(0, len(content), size):
        part = content[first : first + size]
        ecr.upload_layer_part(
            repositoryName=name,
            uploadId=started["uploadId"],
            partFirstByte=first,
            partLastByte=first + len(part) - 1,
            layerPartBlob=part,
        )
    wanted = digest(content)
    done = ecr.complete_layer_upload(repositoryName=name, uploadId=started["uploadId"], layerDigests=[wanted])
    assert done["layerDigest"] == wanted
    return wanted


def manifest(config, *layers):
    """Write the manifest of an image."""
    described = [{"mediaType": _LAYER, "digest": digest(layer), "size": len(layer)} for layer in layers]
    head = {"mediaType": _CONFIG, "digest": digest(config), "size": len(config)}
    return json.dumps({"schemaVersion": 2, "mediaType": DOCKER, "config": head, "layers": described})


def push(ecr, name, *layers, tag=None, config=None):
    """Push an image of some layers; return its digest."""
    config = config or unique("config").encode()
    missing = [
        one["layerDigest"]
        for one in ecr.batch_check_layer_availability(
            repositoryName=name, layerDigests=[digest(one) for one in (config, *layers)]
        )["layers"]
        if one["layerAvailability"] == "UNAVAILABLE"
    ]
    for content in (config, *layers):
        if digest(content) in missing:
            upload(ecr, name, content)
    parameters = {"imageTag": tag} if tag else {}
    text = manifest(config, *layers)
    put = ecr.put_image(repositoryName=name, imageManifest=text, imageManifestMediaType=DOCKER, **parameters)
    return put["image"]["imageId"]["imageDigest"]


def tags(ecr, name):
    """Return the tags of a repository."""
    pages = ecr.get_paginator("list_images").paginate(repositoryName=name, filter={"tagStatus": "TAGGED"})
    return sorted(one["imageTag"] for page in pages for one in page["imageIds"])


def files(aws, name):
    """Return the layers of a repository that are on disk."""
    found = (aws.state_dir / "ecr").glob(f"us-west-2/123456789012/{name.replace('/', ':')}/blobs/*")
    return sorted(f"sha256:{path.name}" for path in found)
