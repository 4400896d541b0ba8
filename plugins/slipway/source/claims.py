"""Which run releases a version: one small document per revision, written once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any, Self

from slipway import names
from slipway.aws.documents import Document, Documents, reading
from slipway.aws.s3 import uri
from slipway.errors import ReleasedAlready, ReleasedMeanwhile
from slipway.formats.stored import known, versioned
from slipway.host.links import run_url
from slipway.plan import Revision
from slipway.stages import sequences

# How far apart two clocks may be of which AWS accepts both.
_SKEW = 2 * sequences.CLOCK_SKEW


@dataclass(frozen=True)
class Claim:
    """The content of a revision's claim document.

    :param sequence: orders the releases of a model; ISO 8601
    :param claimed_at: when the run claimed the version; ISO 8601
    :param data: the fingerprint of the training data then; None where the model names none
    """

    dag_id: str
    run_id: str
    sequence: str
    claimed_at: str
    data: str | None = None

    def is_of(self, dag_id: str, run_id: str) -> bool:
        """Tell whether it is the claim of this run."""
        return (self.dag_id, self.run_id) == (dag_id, run_id)

    def is_from_before(self, moment: datetime) -> bool:
        """Tell whether it was written before a moment; False where it does not say when."""
        try:
            return datetime.fromisoformat(self.claimed_at) < moment
        except (ValueError, TypeError):
            return False

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return versioned(asdict(self))

    @classmethod
    def of(cls, document: Document, resource: str) -> Self | None:
        """Read a claim document.

        :param document: what was read
        :param resource: its S3 URI
        :returns: None where there is no document
        :raises UnreadableDocument: when the document is no claim
        """
        if document.content is None:
            return None
        with reading(resource):
            return known(cls, document.content)


def read_claim(documents: Documents, bucket: str, prefix: str, revision_id: str) -> Claim | None:
    """Read the claim of a revision.

    :param documents: S3
    :param bucket: the bucket of the model's releases
    :param prefix: the model's prefix, or that of its builds
    :param revision_id: the revision's id
    :returns: None where nobody has claimed it
    :raises UnreadableDocument: when the document is no claim
    """
    key = names.claim_key(prefix, revision_id)
    return Claim.of(documents.read(bucket, key), uri(bucket, key))


def claimed(claim: Claim | None, goes_on: Callable[[str, str], bool]) -> tuple[str | None, bool]:
    """Tell the order and the state of a claimed revision.

    :param claim: its claim
    :param goes_on: tells whether the run of a DAG id and a run id has not ended
    :returns: its sequence, None if the claim names none; whether its run has not ended, which counts as so without a
        claim
    """
    if claim is None:
        return None, True
    return None if sequences.fault(claim.sequence) else claim.sequence, goes_on(claim.dag_id, claim.run_id)


class _Attempts:
    """The claims of a version's attempts, each of which is read once.

    The numbers have no gap: a run claims one after it has read the claim before, and nothing ever removes a claim.

    :param read: reads the claim of an attempt
    """

    def __init__(self, read: Callable[[int], Claim | None]) -> None:
        self.claim = cache(read)

    def last(self) -> int:
        """Return the number of the last attempt, 0 before the first one, after reading about 2 log2 of it."""
        taken, free = 0, 1
        while self.claim(free):
            taken, free = free, 2 * free
        while free - taken > 1:
            middle = (taken + free) // 2
            taken, free = (middle, free) if self.claim(middle) else (taken, middle)
        return taken

    def of_run(self, dag_id: str, run_id: str, began: datetime) -> tuple[int, Claim] | None:
        """Find the attempt of a run whose task was killed or cleared; only those since it began are read.

        :param dag_id: the run's DAG
        :param run_id: the run
        :param began: a moment before which the run has claimed nothing; aware
        """
        for number in range(self.last(), 0, -1):
            claim = self.claim(number)
            if claim and claim.is_of(dag_id, run_id):
                return number, claim
            if claim and claim.is_from_before(began):
                break
        return None


class Claims:
    """Claim versions for runs.

    :param documents: S3
    :param bucket: the bucket of the model's releases
    :param prefix: the model's prefix
    :param run_exists: tells whether Airflow has the run of a DAG id and a run id
    """

    def __init__(self, documents: Documents, bucket: str, prefix: str, run_exists: Callable[[str, str], bool]) -> None:
        self._documents = documents
        self._bucket = bucket
        self._prefix = prefix
        self._run_exists = run_exists

    def claim(
        self,
        revision: Revision,
        dag_id: str,
        run_id: str,
        *,
        began: datetime,
        new_attempt: bool,
        new_data: bool = False,
    ) -> Revision | Claim:
        """Claim a version for a run, or find the claim that this run made before.

        The claim of a run that no longer exists passes to the next run, which continues that release. A new attempt
        is a new release: it gets the first attempt number that is free, and the present time as its sequence.

        :param revision: the pinned version, with the sequence of its upload
        :param dag_id: the run's DAG
        :param run_id: the run
        :param began: a moment before which the run has claimed nothing; aware
        :param new_attempt: whether to release again what another run has released
        :param new_data: whether to do so only if the data is not that of the last attempt
        :returns: the revision with its attempt and sequence, or the claim of another run
        :raises slipway.errors.AwsError: when a call fails
        """
        if not new_attempt:
            standing = self._take(revision, dag_id, run_id, new_attempt=False)
            return _claimed(revision, standing) if standing.is_of(dag_id, run_id) else standing
        attempts = self._attempts(revision)
        attempt = attempts.last()
        if own := attempts.of_run(dag_id, run_id, began - _SKEW):
            return _claimed(replace(revision, attempt=own[0]), own[1])
        before = attempts.claim(attempt) if attempt else None
        while True:
            attempt += 1
            wanted = replace(revision, attempt=attempt)
            if new_data and before and before.data == revision.data and self._standing(wanted) is None:
                # The conditional write of another run may come first: then the loop goes on from its claim.
                return before
            before = self._take(wanted, dag_id, run_id, new_attempt=True)
            if before.is_of(dag_id, run_id):
                return _claimed(wanted, before)

    def last(self, revision: Revision) -> tuple[int, Claim] | None:
        """Return the last attempt of a version and its claim; None before the first one."""
        attempts = self._attempts(revision)
        claim = attempts.claim(number) if (number := attempts.last()) else None
        return (number, claim) if claim else None

    def _attempts(self, revision: Revision) -> _Attempts:
        return _Attempts(lambda number: self._standing(replace(revision, attempt=number)))

    def _standing(self, revision: Revision) -> Claim | None:
        return read_claim(self._documents, self._bucket, self._prefix, revision.revision_id)

    def _take(self, revision: Revision, dag_id: str, run_id: str, *, new_attempt: bool) -> Claim:
        """Write the claim of a run unless there is one, and return the claim that is valid."""
        key = names.claim_key(self._prefix, revision.revision_id)
        now = datetime.now(UTC).isoformat()
        while True:
            document = self._documents.read(self._bucket, key)
            standing = Claim.of(document, uri(self._bucket, key))
            if standing and standing.is_of(dag_id, run_id):
                return standing
            if standing and (new_attempt or self._run_exists(standing.dag_id, standing.run_id)):
                return standing
            sequence = revision.sequence or revision.last_modified
            if standing and not sequences.fault(standing.sequence):
                sequence = standing.sequence
            mine = Claim(dag_id, run_id, now if new_attempt else sequence, now, revision.data)
            if self._documents.write(self._bucket, key, mine.to_json(), etag=document.etag):
                return mine


def _claimed(revision: Revision, claim: Claim) -> Revision:
    return replace(revision, sequence=claim.sequence, data=claim.data)


def refusal(revision: Revision, claim: Claim, run_id: str, *, newest: bool) -> ReleasedAlready | ReleasedMeanwhile:
    """Build the error that names the run which releases a version.

    :param revision: the version
    :param claim: the claim of that run
    :param run_id: the run that is refused
    :param newest: whether that run named no version, so that this is the newest
    :returns: an error that fails the task; it skips the run that the upload started, where a person was faster
    """
    if run_id.startswith(names.DATA_RUN_PREFIX):
        return ReleasedMeanwhile(
            f"The run {claim.run_id} has this version with the same data",
            resource=uri(revision.bucket, revision.key, revision.version_id),
            why=f"it started at {claim.claimed_at}: {run_url(claim.dag_id, claim.run_id)}",
            fix="nothing: the data has not changed since",
        )
    # Only the intake starts runs with such an id.
    kind = ReleasedMeanwhile if run_id.startswith(names.AUTO_RUN_PREFIX) else ReleasedAlready
    return kind(
        f"The run {claim.run_id} has {'the newest' if newest else 'this'} version",
        resource=uri(revision.bucket, revision.key, revision.version_id),
        why=f"it started at {claim.claimed_at}: {run_url(claim.dag_id, claim.run_id)}",
        fix=f"to release this version again, {names.RELEASE_AGAIN}, or press Trigger, "
        f"write {revision.version_id} into Version id and turn on New attempt: it trains and asks again. To go on with "
        "that run, clear its failed task",
    )
