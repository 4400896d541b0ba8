"""Training jobs under SageMaker's container contract."""

from __future__ import annotations

from collections.abc import Callable

from local_aws.compute.base import Compute, ComputeSettings, TrainingResult, TrainingSpec, TrainingTransition


class TrainingRun:
    """One training job, driven by the thread that calls `run`."""

    def __init__(
        self,
        spec: TrainingSpec,
        settings: ComputeSettings,
        compute: Compute,
        on_status: Callable[[TrainingTransition], None],
    ) -> None: ...

    def run(self) -> TrainingResult:
        """Run the job to its end, reporting each transition; a failure of the job is a result, not an exception."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ask the job to stop and return at once; `run` reports Stopping and returns Stopped. Any thread."""
        raise NotImplementedError
