"""Where the pages read from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_aws.framework.api import JsonService, RequestContext, ServiceError
from local_aws.framework.store import Scope
from local_aws.host.cloudwatch import CloudWatch
from local_aws.host.views import Views
from local_aws.sagemaker.views import SageMakerViews
from local_aws.settings import Settings


@dataclass(frozen=True)
class Sources:
    """The state of one local AWS, for reading.

    :param views: of ministack's services
    :param cloudwatch: for metrics
    :param sagemaker: of SageMaker
    :param autoscaling: Application Auto Scaling
    :param ecr: ECR
    :param codebuild: CodeBuild
    :param settings: how it runs
    """

    views: Views
    cloudwatch: CloudWatch
    sagemaker: SageMakerViews
    autoscaling: JsonService
    ecr: JsonService
    codebuild: JsonService
    settings: Settings

    @property
    def ledger_path(self) -> Path:
        """The file of the call ledger."""
        return self.settings.ledger_path

    def scaling(self, scope: Scope, operation: str, **parameters: Any) -> Mapping[str, Any]:
        """Return what a Describe operation of Application Auto Scaling answers; nothing for an error."""
        return _answer(self.autoscaling, scope, operation, {"ServiceNamespace": "sagemaker", **parameters})

    def images(self, scope: Scope, operation: str, **parameters: Any) -> dict[str, Any]:
        """Return what a reading operation of ECR answers; nothing for an error."""
        return _answer(self.ecr, scope, operation, parameters)

    def builds(self, scope: Scope, operation: str, **parameters: Any) -> dict[str, Any]:
        """Return what a reading operation of CodeBuild answers; nothing for an error."""
        return _answer(self.codebuild, scope, operation, parameters)


def _answer(service: JsonService, scope: Scope, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Ask a service without IAM and the ledger."""
    try:
        return service.operations[operation](RequestContext(scope.account_id, scope.region), parameters)
    except ServiceError:
        return {}
