"""The record of a trial in a model package's metadata: how to write it and how to read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from slipway.aws.patience import patient
from slipway.registry.hook import ModelRegistryHook
from slipway.registry.metadata import FORMAT, FORMAT_CURRENT, metadata_value
from slipway.registry.record import HOW_OUTSIDE, Candidate, How, known_value
from slipway.signed.proofs import verifier
from slipway.states import TrialOutcome, TrialVerdict
from slipway.trial.figures import TrialComparison

# The approval stage of a person's Promote.
STAGE = "trial"
# Who decided, and how, when the rule decides.
BY_RULE = "rule"
VERDICT = "slipway-trial-verdict"
DECIDED = "slipway-trial-decided"
WHY = "slipway-trial-why"
LIVE = "slipway-trial-model-a"
TRIAL = "slipway-trial-model-b"
OUTCOME = "slipway-trial-outcome"

_POSSIBLE_OUTCOMES = {
    TrialVerdict.PROMOTE: (TrialOutcome.PROMOTED, TrialOutcome.SENT_BACK),
    TrialVerdict.KEEP: (TrialOutcome.KEPT,),
    TrialVerdict.RETIRE: (TrialOutcome.RETIRED,),
}
# After these the variants are as before the verdict, so another verdict may follow.
_NOT_FINAL = (TrialOutcome.KEPT, TrialOutcome.SENT_BACK)


@dataclass(frozen=True)
class TrialRecord:
    """The verdict on a trial, and its outcome.

    :param decided_at: ISO 8601, UTC
    :param how: the way the verdict came in
    :param outcome: None until the verdict is carried out
    :param proof: the guard's signature of a person's answer, see slipway/signed/proofs.py
    """

    verdict: TrialVerdict
    decided_by: str = "unknown"
    decided_at: str = "unknown"
    how: str = HOW_OUTSIDE
    why: str = ""
    outcome: TrialOutcome | None = None
    outcome_why: str = ""
    proof: str = field(default="", compare=False)

    @property
    def stands(self) -> bool:
        """Whether no other verdict may follow."""
        return self.outcome not in _NOT_FINAL

    def to_xcom(self) -> dict[str, Any]:
        """Return plain JSON."""
        plain = {**asdict(self), "verdict": self.verdict.value, "outcome": self.outcome and self.outcome.value}
        return {name: value for name, value in plain.items() if name != "proof"}

    def __str__(self) -> str:
        return f"{self.verdict} by {self.decided_by} at {self.decided_at} ({self.how}): {self.why}"


def record_of(package: Mapping[str, Any]) -> TrialRecord | None:
    """Read a trial's record. Whoever may update the model package may also write a verdict there.

    :param package: what DescribeModelPackage answered
    :returns: None without a verdict, or for an answer in Airflow that the guard has not signed
    :raises UnreadableDocument: when the verdict or the outcome is unknown
    """
    properties = package.get("CustomerMetadataProperties", {})
    if VERDICT not in properties:
        return None
    given = known_value(TrialVerdict, properties[VERDICT], package, VERDICT)
    record = TrialRecord(given, why=properties.get(WHY, ""))
    if DECIDED in properties:
        verdict, at, how, proof, by = (*properties[DECIDED].split("/", 4), "", "", "", "")[:5]
        # When the verdict was changed in SageMaker, the rest is about another one.
        if verdict == record.verdict:
            record = TrialRecord(record.verdict, by, at, how, record.why, proof=proof)
    if record.how == How.AIRFLOW and not _is_proven(record, package):
        return None
    outcome, _, why = properties.get(OUTCOME, "").partition(": ")
    if outcome and (reached := known_value(TrialOutcome, outcome, package, OUTCOME)) in _POSSIBLE_OUTCOMES[given]:
        record = TrialRecord(**{**vars(record), "outcome": reached, "outcome_why": why})
    return record


def _is_proven(record: TrialRecord, package: Mapping[str, Any]) -> bool:
    stage = STAGE if record.verdict is TrialVerdict.PROMOTE else ""
    said = {"by": record.decided_by, "at": record.decided_at, "how": record.how, "stage": stage}
    # The buttons have the verdicts' names.
    return verifier().proves(record.proof, *Candidate.of(package).statement(record.verdict.capitalize(), **said))


def verdict_properties(record: TrialRecord, figures: TrialComparison) -> dict[str, str]:
    """Return the metadata of a verdict and its figures."""
    decided = "/".join((record.verdict.value, record.decided_at, record.how, record.proof, record.decided_by))
    return {
        FORMAT: FORMAT_CURRENT,
        VERDICT: record.verdict.value,
        DECIDED: metadata_value(decided),
        WHY: metadata_value(record.why),
        LIVE: metadata_value(str(figures.live)),
        TRIAL: metadata_value(str(figures.trial)),
    }


def outcome_properties(outcome: TrialOutcome, why: str) -> dict[str, str]:
    """Return the metadata of a trial's outcome."""
    return {OUTCOME: metadata_value(f"{outcome}: {why}" if why else outcome.value)}


class TrialRecordHook(ModelRegistryHook):
    """A client that writes a trial's verdict and outcome on the release's model package.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html
    """

    @patient
    def trial_record(self, arn: str, digest: str) -> TrialRecord | None:
        """Read the record.

        :param arn: the model package
        :param digest: SHA-256 of the zip that the package must be of
        :returns: None while there is no verdict
        :raises slipway.errors.NotApproved: when the package is missing or of another digest
        :raises slipway.errors.AwsError: when the call fails
        """
        return record_of(self._package_of(arn, digest))

    @patient
    def record_verdict(self, arn: str, record: TrialRecord, figures: TrialComparison, *, digest: str) -> TrialRecord:
        """Record a verdict, unless one stands.

        :param arn: the model package
        :param record: the verdict
        :param figures: the figures that it is based on
        :param digest: SHA-256 of the zip that the package must be of
        :returns: the verdict that stands
        :raises slipway.errors.NotApproved: when the package is missing or of another digest
        :raises slipway.errors.AwsError: when a call fails
        """
        package = self._package_of(arn, digest)
        standing = record_of(package)
        if standing and standing.stands:
            return standing
        self._update(package, verdict_properties(record, figures), replaces=(OUTCOME,))
        return record

    @patient
    def record_outcome(self, arn: str, outcome: TrialOutcome, why: str = "", *, digest: str) -> None:
        """Record the outcome of a trial.

        :param arn: the model package
        :param outcome: the outcome
        :param why: the reason, if it is not the verdict
        :param digest: SHA-256 of the zip that the package must be of
        :raises slipway.errors.NotApproved: when the package is missing or of another digest
        :raises slipway.errors.AwsError: when a call fails
        """
        self._update(self._package_of(arn, digest), outcome_properties(outcome, why), replaces=(OUTCOME,))
