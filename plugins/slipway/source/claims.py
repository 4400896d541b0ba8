"""Which run releases a version: one small document per revision, written once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self

from slipway import names
from slipway.aws.documents import Document, Documents, reading
from slipway.aws.s3 import uri
from slipway.errors import ReleasedAlready, ReleasedMeanwhile, SlipwayError
from slipway.formats.stored import known, versioned
from slipway.host.links import run_url
from slipway.plan import Revision
from slipway.stages import sequences

_MAX_ATTEMPTS = 1000


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
        self, revision: Revision, dag_id: str, run_id: str, *, new_attempt: bool, new_data: bool = False
    ) -> Revision | Claim:
        """Claim a version for a run, or find the claim that this run made before.

        The claim of a run that no longer exists passes to the next run, which continues that release. A new attempt
        is a new release: it gets the first attempt number that is free, and the present time as its sequence.

        :param revision: the pinned version, with the sequence of its upload
        :param dag_id: the run's DAG
        :param run_id: the run
        :param new_attempt: whether to release again what another run has released
        :param new_data: whether to do so only if the data is not that of the last attempt
        :returns: the revision with its attempt and sequence, or the claim of another run
        :raises slipway.errors.AwsError: when a call fails
        """
        standing: Claim | None = None
        for attempt in range(1, _MAX_ATTEMPTS):
            wanted = replace(revision, attempt=attempt)
            if new_data and standing and standing.data == revision.data and self._standing(wanted) is None:
                # The conditional write of another run may come first: then the loop goes on from its claim.
                return standing
            standing = self._take(wanted, dag_id, run_id, new_attempt=new_attempt)
            if (standing.dag_id, standing.run_id) == (dag_id, run_id):
                return replace(wanted, sequence=standing.sequence, data=standing.data)
            if not new_attempt:
                return standing
        raise SlipwayError(
            "This version has too many attempts",
            resource=revision.version_id,
            why=f"new_attempt has released it {_MAX_ATTEMPTS - 1} times",
            fix="upload the zip again: a new version has attempts of its own",
        )

    def last(self, revision: Revision) -> tuple[int, Claim] | None:
        """Return the last attempt of a version and its claim; None before the first one."""
        found = None
        for attempt in range(1, _MAX_ATTEMPTS):
            claim = self._standing(replace(revision, attempt=attempt))
            if claim is None:
                break
            found = attempt, claim
        return found

    def _standing(self, revision: Revision) -> Claim | None:
        return read_claim(self._documents, self._bucket, self._prefix, revision.revision_id)

    def _take(self, revision: Revision, dag_id: str, run_id: str, *, new_attempt: bool) -> Claim:
        """Write the claim of a run unless there is one, and return the claim that is valid."""
        key = names.claim_key(self._prefix, revision.revision_id)
        now = datetime.now(UTC).isoformat()
        while True:
            document = self._documents.read(self._bucket, key)
            standing = Claim.of(document, uri(self._bucket, key))
            if standing and (standing.dag_id, standing.run_id) == (dag_id, run_id):
                return standing
            if standing and (new_attempt or self._run_exists(standing.dag_id, standing.run_id)):
                return standing
            sequence = revision.sequence or revision.last_modified
            if standing and not sequences.fault(standing.sequence):
                sequence = standing.sequence
            mine = Claim(dag_id, run_id, now if new_attempt else sequence, now, revision.data)
            if self._documents.write(self._bucket, key, mine.to_json(), etag=document.etag):
                return mine


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
