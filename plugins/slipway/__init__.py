"""Slipway launches SageMaker models with Airflow: train, deploy to development, approve, deploy to production.

What a DAG file of your own may use is here: `from slipway import build_release_dag, load_model`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slipway.approval.approve import HumanApprovalSensor
    from slipway.cleanup.collect_garbage import CollectGarbageOperator
    from slipway.deployment.deploy_endpoint import EndpointDeployOperator
    from slipway.deployment.roll_back import RollBackOperator
    from slipway.errors import (
        AlreadyDecided,
        ArtefactChanged,
        AwsError,
        AwsRefused,
        BuildFailed,
        EndpointTestFailed,
        GateFailed,
        ImageMissing,
        ImageRefused,
        IntakeUnreadable,
        ModelFileError,
        NameConflict,
        NotApproved,
        PermanentError,
        PolicyViolation,
        Rejected,
        ReleasedAlready,
        ReleasedMeanwhile,
        RequestRefused,
        RollBackRefused,
        ScanFailed,
        Skipped,
        SlipwayError,
        StackFailed,
        StressFailed,
        StressRefused,
        StressStopped,
        Superseded,
        TrainingFailed,
        TrainingStopped,
        TrialFailed,
        UnreadableDocument,
        UnsafeConfiguration,
    )
    from slipway.model.config import ModelConfig
    from slipway.model.files import load_model
    from slipway.quality.endpoint import EndpointTestOperator
    from slipway.quality.evaluate import EvaluateOperator
    from slipway.registry.register import RegisterModelOperator
    from slipway.release_dag import build_release_dag
    from slipway.request.task import ProcessRequestOperator
    from slipway.source.pin import S3VersionSensor
    from slipway.stress.operators import ReleaseStressOperator
    from slipway.training.train import SlipwayTrainingOperator
    from slipway.trial.decide import TrialDecisionSensor
    from slipway.trial.settle import TrialSettleOperator
    from slipway.trial.watch import TrialWatchOperator

__version__ = "0.1.0"

__all__ = [
    "AlreadyDecided",
    "ArtefactChanged",
    "AwsError",
    "AwsRefused",
    "BuildFailed",
    "CollectGarbageOperator",
    "EndpointDeployOperator",
    "EndpointTestFailed",
    "EndpointTestOperator",
    "EvaluateOperator",
    "GateFailed",
    "HumanApprovalSensor",
    "ImageMissing",
    "ImageRefused",
    "IntakeUnreadable",
    "ModelConfig",
    "ModelFileError",
    "NameConflict",
    "NotApproved",
    "PermanentError",
    "PolicyViolation",
    "ProcessRequestOperator",
    "RegisterModelOperator",
    "Rejected",
    "ReleaseStressOperator",
    "ReleasedAlready",
    "ReleasedMeanwhile",
    "RequestRefused",
    "RollBackOperator",
    "RollBackRefused",
    "S3VersionSensor",
    "ScanFailed",
    "Skipped",
    "SlipwayError",
    "SlipwayTrainingOperator",
    "StackFailed",
    "StressFailed",
    "StressRefused",
    "StressStopped",
    "Superseded",
    "TrainingFailed",
    "TrainingStopped",
    "TrialDecisionSensor",
    "TrialFailed",
    "TrialSettleOperator",
    "TrialWatchOperator",
    "UnreadableDocument",
    "UnsafeConfiguration",
    "build_release_dag",
    "load_model",
]

# Where each name is; the errors are in _ERRORS. A name is imported when it is first used: Airflow imports this package
# in every process, and the load engine's processes need neither Airflow nor boto3, which take a second to import.
_MODULES = {
    "CollectGarbageOperator": "slipway.cleanup.collect_garbage",
    "EndpointDeployOperator": "slipway.deployment.deploy_endpoint",
    "EndpointTestOperator": "slipway.quality.endpoint",
    "EvaluateOperator": "slipway.quality.evaluate",
    "HumanApprovalSensor": "slipway.approval.approve",
    "ModelConfig": "slipway.model.config",
    "ProcessRequestOperator": "slipway.request.task",
    "RegisterModelOperator": "slipway.registry.register",
    "ReleaseStressOperator": "slipway.stress.operators",
    "RollBackOperator": "slipway.deployment.roll_back",
    "S3VersionSensor": "slipway.source.pin",
    "SlipwayTrainingOperator": "slipway.training.train",
    "TrialDecisionSensor": "slipway.trial.decide",
    "TrialSettleOperator": "slipway.trial.settle",
    "TrialWatchOperator": "slipway.trial.watch",
    "build_release_dag": "slipway.release_dag",
    "load_model": "slipway.model.files",
}
_ERRORS = "slipway.errors"


def __getattr__(name: str) -> Any:
    """Import what `__all__` names.

    https://peps.python.org/pep-0562/
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES.get(name, _ERRORS)), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
