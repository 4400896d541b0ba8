"""Assets of SageMaker endpoints: ``sagemaker://<region>/<account>/endpoint/<name>``.

Airflow knows the scheme by the entry ``asset-uris`` of the package's provider info. Without it, as where Slipway is a
folder of plugins, Airflow takes such a URI as it is, so a URI must be the same with and without ``sanitize_uri``.
https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/assets.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from airflow.sdk import Asset, AssetAlias

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset

SCHEME = "sagemaker"
_PATH = re.compile(r"/(?P<account>[0-9]{12})/endpoint/(?P<name>[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62})")
_FORM = (
    f"{SCHEME}://REGION/ACCOUNT/endpoint/NAME, such as {SCHEME}://us-east-1/123456789012/endpoint/iris-model-production"
)


def create_asset(*, region: str, account: str, endpoint: str, extra: Mapping[str, Any] | None = None) -> Asset:
    """Make the asset of an endpoint.

    :param region: such as ``us-east-1``
    :param account: the twelve digits of the AWS account
    :param endpoint: the endpoint's name
    :param extra: what else is kept on the asset
    """
    return Asset(f"{SCHEME}://{region}/{account}/endpoint/{endpoint}", extra=dict(extra or {}))


def live_alias(model: str) -> AssetAlias:
    """Return the alias under which a model's production is announced, wherever it runs.

    A DAG file knows neither region nor account.
    https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/asset-scheduling.html

    :param model: the model's prefix
    """
    return AssetAlias(f"slipway-live-{model}")


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Check the URI of an endpoint's asset; Airflow calls this for each asset of the scheme.

    :param uri: the URI, split, with its scheme in small letters
    :returns: the same with the region in small letters
    :raises ValueError: when it does not name region, account and endpoint
    """
    if not uri.netloc or not _PATH.fullmatch(uri.path):
        raise ValueError(f"The URI of a SageMaker endpoint has the form {_FORM}")
    return uri._replace(netloc=uri.netloc.lower(), query="")


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> Dataset:
    """Name an endpoint's asset as a dataset of OpenLineage: its namespace is the account in its region.

    :param asset: an asset of the scheme
    :param lineage_context: Airflow's; not needed
    """
    from airflow.providers.common.compat.openlineage.facet import Dataset

    parts = urlsplit(asset.uri)
    _, account, _, name = parts.path.split("/")
    return Dataset(namespace=f"{SCHEME}://{parts.netloc}/{account}", name=f"endpoint/{name}")
