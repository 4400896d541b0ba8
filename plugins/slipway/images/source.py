"""The task ``source`` of an image's build: it pins the version of the source that is built, and claims it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway import image_names, names
from slipway.aws.documents import S3Documents
from slipway.aws.identity import resolve
from slipway.aws.s3 import uri
from slipway.errors import PermanentError, ReleasedAlready, ReleasedMeanwhile
from slipway.host.links import run_url
from slipway.plan import Revision
from slipway.source.claims import Claim, Claims
from slipway.source.pin import S3VersionSensor


class ImageSourceSensor(S3VersionSensor):
    """Wait for the source of an image, pin one version and claim it; the XCom is a Revision.

    A version is built by one run. Any other run fails and names that run, unless it asks for a new attempt; the run
    that the upload started is skipped instead.
    """

    nothing = "There is no source of an image"

    @property
    def claims(self) -> Claims:
        """The claims of the versions of this source, apart from those of the model's zips."""
        bucket = resolve(str(self.bucket_name), self.aws_conn_id)
        home = image_names.builds_of(self.model_prefix)
        return Claims(S3Documents(self.versions.s3), bucket, home, self.run_exists)

    def _wanted(self, context: Mapping[str, Any]) -> tuple[str, str, str | None]:
        """Return what the run builds; its configuration may name a version, and no source but the model's own."""
        bucket, key, version_id = super()._wanted(context)
        own = resolve(str(self.bucket_name), self.aws_conn_id), str(self.bucket_key)
        if (bucket, key) != own:
            raise PermanentError(
                "This DAG builds another source",
                resource="the run's configuration",
                why=f"it names {uri(bucket, key)}; the images of {self.model_prefix} are built from {uri(*own)}",
                fix=f"upload the source to {uri(*own)}, or trigger a new run without bucket and key",
            )
        return bucket, key, version_id

    def refusal(self, revision: Revision, claim: Claim, run_id: str, *, newest: bool) -> Exception:
        """Build the error that names the run which builds a version."""
        # Only the intake starts runs with such an id.
        kind: Any = ReleasedMeanwhile if run_id.startswith(names.AUTO_RUN_PREFIX) else ReleasedAlready
        return kind(
            f"The run {claim.run_id} builds {'the newest' if newest else 'this'} version",
            resource=uri(revision.bucket, revision.key, revision.version_id),
            why=f"it started at {claim.claimed_at}: {run_url(claim.dag_id, claim.run_id)}",
            fix=f"to build this version again, press Trigger, write {revision.version_id} into Version id and turn on "
            "New attempt; an image that its source has given stays as it is. To go on with that run, clear its failed "
            "task",
        )
