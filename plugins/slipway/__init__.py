"""Slipway launches SageMaker models with Airflow: train, deploy to development, approve, deploy to production.

What a DAG file of your own may use is here: `from slipway import ModelConfig, build_release_dag`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slipway.errors import (
        AlreadyDecided,
        ArtefactChanged,
        AwsError,
        AwsRefused,
        EndpointTestFailed,
        GateFailed,
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
        UnsafeConfiguration,
    )
    from slipway.model_config import ModelConfig
    from slipway.operators.collect_garbage import CollectGarbageOperator
    from slipway.operators.endpoint_deploy import EndpointDeployOperator
    from slipway.operators.endpoint_test import EndpointTestOperator
    from slipway.operators.evaluate import EvaluateOperator
    from slipway.operators.model_registry import RegisterModelOperator
    from slipway.operators.roll_back import RollBackOperator
    from slipway.operators.stress_test import ReleaseStressOperator
    from slipway.operators.training import SlipwayTrainingOperator
    from slipway.operators.trial_settle import TrialSettleOperator
    from slipway.operators.trial_watch import TrialWatchOperator
    from slipway.release_dag import build_release_dag
    from slipway.sensors.human_approval import HumanApprovalSensor
    from slipway.sensors.s3_version import S3VersionSensor
    from slipway.sensors.trial_decision import TrialDecisionSensor

__version__ = "0.1.0"

__all__ = [
    "AlreadyDecided",
    "ArtefactChanged",
    "AwsError",
    "AwsRefused",
    "CollectGarbageOperator",
    "EndpointDeployOperator",
    "EndpointTestFailed",
    "EndpointTestOperator",
    "EvaluateOperator",
    "GateFailed",
    "HumanApprovalSensor",
    "IntakeUnreadable",
    "ModelConfig",
    "ModelFileError",
    "NameConflict",
    "NotApproved",
    "PermanentError",
    "PolicyViolation",
    "RegisterModelOperator",
    "Rejected",
    "ReleaseStressOperator",
    "ReleasedAlready",
    "ReleasedMeanwhile",
    "RequestRefused",
    "RollBackOperator",
    "RollBackRefused",
    "S3VersionSensor",
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
    "UnsafeConfiguration",
    "build_release_dag",
]

# Where each name is; the errors are in _ERRORS. A name is imported when it is first used: Airflow imports this package
# in every process, and the load engine's processes need neither Airflow nor boto3, which take a second to import.
_MODULES = {
    "CollectGarbageOperator": "slipway.operators.collect_garbage",
    "EndpointDeployOperator": "slipway.operators.endpoint_deploy",
    "EndpointTestOperator": "slipway.operators.endpoint_test",
    "EvaluateOperator": "slipway.operators.evaluate",
    "HumanApprovalSensor": "slipway.sensors.human_approval",
    "ModelConfig": "slipway.model_config",
    "RegisterModelOperator": "slipway.operators.model_registry",
    "ReleaseStressOperator": "slipway.operators.stress_test",
    "RollBackOperator": "slipway.operators.roll_back",
    "S3VersionSensor": "slipway.sensors.s3_version",
    "SlipwayTrainingOperator": "slipway.operators.training",
    "TrialDecisionSensor": "slipway.sensors.trial_decision",
    "TrialSettleOperator": "slipway.operators.trial_settle",
    "TrialWatchOperator": "slipway.operators.trial_watch",
    "build_release_dag": "slipway.release_dag",
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
