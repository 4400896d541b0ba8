"""What Airflow shows of the installed package as a provider, and which options it takes.

Airflow reads this while it reads its configuration, so nothing here imports Airflow.
"""

from __future__ import annotations

from typing import Any

from slipway.options import OPTIONS, SECTION, Option

PACKAGE = "airflow-slipway"
# The version in which an option came; there has been no other yet.
_ADDED_IN = "0.1.0"
# The plugin registers the same ones, because from plugins/ there is no provider.
_LINKS = (
    "slipway.aws.links.BuildLink",
    "slipway.aws.links.CloudFormationStackLink",
    "slipway.aws.links.DashboardLink",
    "slipway.aws.links.EndpointLink",
    "slipway.aws.links.ModelPackageLink",
    "slipway.aws.links.TrainingJobLink",
    "slipway.host.links.NewerReleaseLink",
    "slipway.host.links.ReleasedByLink",
    "slipway.stress.link.StressReportLink",
)


def get_provider_info() -> dict[str, Any]:
    """Describe the package to Airflow, by the entry point ``apache_airflow_provider``.

    https://airflow.apache.org/docs/apache-airflow-providers/howto/create-custom-providers.html

    :returns: what Airflow's provider_info.schema.json allows
    """
    described = "How Slipway proves approvals, how patient it is with AWS, and where it sends load from."
    return {
        "package-name": PACKAGE,
        "name": "Slipway",
        "description": "Launches SageMaker models: train, deploy to development, approve, deploy to production.",
        "extra-links": list(_LINKS),
        "asset-uris": [
            {
                "schemes": ["sagemaker"],
                "handler": "slipway.assets.endpoint.sanitize_uri",
                "factory": "slipway.assets.endpoint.create_asset",
                "to_openlineage_converter": "slipway.assets.endpoint.convert_asset_to_openlineage",
            }
        ],
        "config": {
            SECTION: {"description": described, "options": {option.name: _described(option) for option in OPTIONS}}
        },
    }


def _described(option: Option) -> dict[str, Any]:
    return {
        "description": option.description,
        "version_added": _ADDED_IN,
        "type": option.kind,
        "sensitive": option.sensitive,
        "default": option.default,
        "example": None,
    }
