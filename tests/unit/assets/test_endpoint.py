"""The URIs of endpoints' assets: what Airflow makes of them, with and without Slipway's part in it."""

from urllib.parse import urlsplit, urlunsplit

import pytest
from airflow.sdk import Asset

from slipway.assets.endpoint import convert_asset_to_openlineage, create_asset, sanitize_uri

URI = "sagemaker://us-west-2/123456789012/endpoint/iris-model-production"


def sanitized(uri: str) -> str:
    return urlunsplit(sanitize_uri(urlsplit(uri)))


def test_the_factory_makes_the_uri_that_consumers_write():
    made = create_asset(region="us-west-2", account="123456789012", endpoint="iris-model-production", extra={"a": 1})
    assert (made.uri, made.name, made.extra) == (URI, URI, {"a": 1})


def test_airflow_keeps_the_uri_whether_or_not_it_knows_the_scheme():
    assert sanitized(URI) == URI == Asset(URI).uri


def test_a_region_in_capitals_is_the_same_place():
    assert sanitized(URI.replace("us-west-2", "US-WEST-2")) == URI


@pytest.mark.parametrize(
    "uri",
    [
        "sagemaker:///123456789012/endpoint/iris",
        "sagemaker://us-west-2/endpoint/iris",
        "sagemaker://us-west-2/12345/endpoint/iris",
        "sagemaker://us-west-2/123456789012/model/iris",
        "sagemaker://us-west-2/123456789012/endpoint/",
        "sagemaker://us-west-2/123456789012/endpoint/iris_model",
        f"sagemaker://us-west-2/123456789012/endpoint/{'a' * 64}",
    ],
)
def test_what_names_no_endpoint_is_refused_with_the_form(uri):
    with pytest.raises(ValueError, match="sagemaker://REGION/ACCOUNT/endpoint/NAME"):
        sanitized(uri)


def test_lineage_has_the_account_as_the_place_and_the_endpoint_as_the_name():
    found = convert_asset_to_openlineage(Asset(URI), None)
    assert (found.namespace, found.name) == (
        "sagemaker://us-west-2/123456789012",
        "endpoint/iris-model-production",
    )
