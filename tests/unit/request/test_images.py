"""AWS's images by algorithm and version, with and without the SageMaker SDK."""

import sys

import pytest

from slipway.errors import PermanentError
from slipway.request.images import repositories, resolve_image
from tests.unit.request_samples import needs_sdk


@needs_sdk
@pytest.mark.parametrize(
    ("algorithm", "version", "region", "uri"),
    [
        ("xgboost", "1.7-1", "us-west-2", "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1"),
        (
            "xgboost",
            "1.0-1",
            "us-east-1",
            "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.0-1-cpu-py3",
        ),
        ("knn", "1", "us-west-2", "174872318107.dkr.ecr.us-west-2.amazonaws.com/knn:1"),
        (
            "sklearn",
            "1.2-1",
            "us-west-2",
            "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
        ),
    ],
)
def test_an_image_is_found_by_name(algorithm, version, region, uri):
    assert resolve_image(algorithm, version, region, "ml.m4.xlarge") == uri
    assert uri.partition(":")[0] in repositories(algorithm, region, "ml.m4.xlarge")


@needs_sdk
@pytest.mark.parametrize(
    ("algorithm", "version", "region", "why"),
    [
        ("xgboost", "9.9", "us-west-2", "Unsupported xgboost version"),
        ("xgboost", "1.7-1", "mars-1", "Unsupported region"),
        ("nonsense", "1", "us-west-2", "knows no such algorithm"),
    ],
)
def test_an_unknown_image_is_an_error_with_advice(algorithm, version, region, why):
    with pytest.raises(PermanentError, match=why) as error:
        resolve_image(algorithm, version, region)
    assert "full URI" in str(error.value)


def test_without_the_sdk_the_error_names_the_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sagemaker.core", None)
    repositories.cache_clear()
    for look_up in (lambda: resolve_image("xgboost", "1.7-1", "us-west-2"), lambda: repositories("xgboost", "r")):
        with pytest.raises(PermanentError, match=r"SDK is not installed.*slipway\[sdk\]"):
            look_up()
