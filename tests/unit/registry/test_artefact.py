"""What a model package has on record about its bytes."""

from dataclasses import replace

import pytest

from slipway.errors import ArtefactChanged
from slipway.registry.artefact import artefact_of, changed, on_record
from tests.unit.releases import ARTEFACT

ARN = "arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-iris-model/3"


def package(properties: dict | None = None) -> dict:
    return {
        "ModelPackageArn": ARN,
        "InferenceSpecification": {"Containers": [{"Image": "i", "ModelDataUrl": ARTEFACT.uri}]},
        "CustomerMetadataProperties": ARTEFACT.properties() if properties is None else properties,
    }


def test_what_is_written_on_a_package_is_read_from_it():
    assert artefact_of(package()) == ARTEFACT
    in_parts = replace(ARTEFACT, etag=f"{'e' * 32}-12", version_id="3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY.MTRCxf3_vjVBH40")
    assert artefact_of(package(in_parts.properties())) == in_parts
    odd = replace(ARTEFACT, version_id="a=b~c!'(d)*")
    assert artefact_of(package(odd.properties())) == odd
    assert all(len(text) <= 256 for text in in_parts.properties().values())


def test_an_artefact_that_nothing_is_known_of_is_not_served():
    whole = ARTEFACT.properties()
    assert len(whole) == 4
    assert [artefact_of(package({k: v for k, v in whole.items() if k != one})) for one in whole] == [None] * 4
    assert artefact_of(package(whole | {"slipway-artefact-size": "many"})) is None
    with pytest.raises(ArtefactChanged, match=rf"{ARN} has no record of them.*new_attempt"):
        on_record(package({}), ARTEFACT.uri)
    with pytest.raises(ArtefactChanged, match="no model package has it"):
        on_record(None, ARTEFACT.uri)


def test_a_change_says_what_is_on_record_what_was_found_and_how_to_bring_it_back():
    found = replace(ARTEFACT, size_bytes=9, etag="f" * 32, version_id="v8", sha256="b" * 64)
    text = str(changed(ARTEFACT, found))
    for one in (ARTEFACT, found):
        for said in (f"{one.size_bytes} bytes", one.etag, f"version {one.version_id}", one.sha256):
            assert said in text
    assert "--bucket mlops-us-west-2-123456789012 --prefix releases/" in text and "after version v7," in text
    assert "found no such object" in str(changed(ARTEFACT, None))
