"""What Slipway adds to Airflow itself."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from slipway.links.cloudformation import CloudFormationStackLink
from slipway.links.runs import NewerReleaseLink, ReleasedByLink
from slipway.links.sagemaker import EndpointLink, ModelPackageLink, TrainingJobLink


class SlipwayPlugin(AirflowPlugin):
    """Makes the links of Slipway's operators known to the webserver, which deserializes no others."""

    name = "slipway"
    operator_extra_links = [
        CloudFormationStackLink(),
        EndpointLink(),
        ModelPackageLink(),
        NewerReleaseLink(),
        ReleasedByLink(),
        TrainingJobLink(),
    ]
