"""The record of trials in the Model Registry."""

from __future__ import annotations

from slipway.aws.patience import patient
from slipway.registry.hook import ModelRegistryHook
from slipway.states import TrialOutcome
from slipway.trial import Comparison
from slipway.trial_record import OUTCOME, TrialRecord, outcome_properties, record_of, verdict_properties


class TrialRecordHook(ModelRegistryHook):
    """Writes a trial's verdict and outcome on the model package of the release that made it.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html
    """

    @patient
    def trial_record(self, arn: str, digest: str) -> TrialRecord | None:
        """Read the record.

        :param arn: The model package.
        :param digest: SHA-256 of the zip the package has to be of.
        :returns: None while there is no verdict.
        :raises slipway.errors.NotApproved: When the package is missing or of another digest.
        :raises slipway.errors.AwsError: When the call fails.
        """
        return record_of(self._package_of(arn, digest))

    @patient
    def record_verdict(self, arn: str, record: TrialRecord, figures: Comparison, *, digest: str) -> TrialRecord:
        """Record a verdict, unless one stands.

        :param arn: The model package.
        :param record: The verdict.
        :param figures: What it was made on.
        :param digest: SHA-256 of the zip the package has to be of.
        :returns: The verdict that stands.
        :raises slipway.errors.NotApproved: When the package is missing or of another digest.
        :raises slipway.errors.AwsError: When a call fails.
        """
        package = self._package_of(arn, digest)
        standing = record_of(package)
        if standing and standing.stands:
            return standing
        self._update(package, verdict_properties(record, figures), replaces=(OUTCOME,))
        return record

    @patient
    def record_outcome(self, arn: str, outcome: TrialOutcome, why: str = "", *, digest: str) -> None:
        """Record what became of a trial.

        :param arn: The model package.
        :param outcome: What became of it.
        :param why: The reason, if it is not the verdict.
        :param digest: SHA-256 of the zip the package has to be of.
        :raises slipway.errors.NotApproved: When the package is missing or of another digest.
        :raises slipway.errors.AwsError: When a call fails.
        """
        self._update(self._package_of(arn, digest), outcome_properties(outcome, why), replaces=(OUTCOME,))
