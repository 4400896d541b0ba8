"""Survey a model for garbage collection: what exists in AWS and what is in use, as input for the rules."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

from slipway import names
from slipway.aws.cloudformation import CloudFormationHook
from slipway.aws.documents import S3Documents, reading
from slipway.aws.endpoints import EndpointsHook
from slipway.aws.identity import identity
from slipway.aws.s3 import S3Hook, StoredObject, uri
from slipway.aws.sagemaker import Resource
from slipway.aws.stacks import Stack
from slipway.aws.tagging import TaggedResourcesHook
from slipway.cleanup import rules
from slipway.cleanup.account import AccountSurvey
from slipway.cleanup.builds import BuildFolders
from slipway.cleanup.folders import MARGIN, Folders, ReleaseFolders
from slipway.cleanup.rules import InUse, Past
from slipway.deployment import history
from slipway.deployment.parameters import MODEL_PACKAGE_ARN, data_urls
from slipway.errors import PermanentError
from slipway.plan import TAG_MODEL_PREFIX, Revision
from slipway.registry.hook import ModelRegistryHook
from slipway.registry.metadata import REVISION
from slipway.request.uploader import image_of
from slipway.source.claims import claimed, read_claim
from slipway.states import Environment, ModelApprovalStatus

log = logging.getLogger(__name__)

_MAX_JOBS = 9
# So many releases are removed by one collection, because deployments wait meanwhile; the next ones go on.
_MOST = 100


class Survey:
    """Read what exists of one model, and what is in use.

    Read what exists first: a resource that is made between the two reads is then never taken for unused.

    :param prefix: the model's prefix
    :param bucket: the bucket of its releases
    :param aws_conn_id: Airflow connection with the AWS credentials
    :param goes_on: tells whether the run of a DAG id and a run id has not ended
    """

    def __init__(self, prefix: str, bucket: str, aws_conn_id: str | None, goes_on: Callable[[str, str], bool]) -> None:
        self.prefix, self.bucket = prefix, bucket
        self.sagemaker = TaggedResourcesHook(aws_conn_id=aws_conn_id)
        self.registry = ModelRegistryHook(aws_conn_id=aws_conn_id)
        self.s3 = S3Hook(aws_conn_id=aws_conn_id)
        self._documents = S3Documents(self.s3)
        self._folders = ReleaseFolders(prefix, bucket, self.s3, self._documents, self.registry)
        endpoints = EndpointsHook(aws_conn_id=aws_conn_id)
        self._account = AccountSurvey(
            prefix,
            bucket,
            self._documents,
            endpoints,
            lambda: identity(aws_conn_id),
            lambda: self.sagemaker.tag_values("endpoint", TAG_MODEL_PREFIX),
        )
        self._cloudformation = CloudFormationHook(aws_conn_id=aws_conn_id)
        self._goes_on = goes_on
        self._builds = BuildFolders(prefix, bucket, self.s3, self._documents, goes_on)
        self._packages: dict[str, Mapping[str, Any]] = {}
        self._claims: dict[str, tuple[str | None, bool]] = {}

    def folders(self, own: str) -> Folders:
        """Return what each release has left under its prefix, without its claim, which is kept.

        :param own: the release that collects
        """
        return self._folders.read(own, datetime.now(UTC))

    def tagged(self) -> list[tuple[str, str]]:
        """Return the kinds and ARNs of what has the model's tag; configs first, because they refer to models."""
        kinds = ("endpoint config", "model")
        return [
            (kind, arn) for kind in kinds for arn in self.sagemaker.tagged_arns(kind, TAG_MODEL_PREFIX, self.prefix)
        ]

    def unused(self, tagged: Iterable[tuple[str, str]], in_use: InUse) -> list[Resource]:
        """Describe what nothing uses.

        :param tagged: what has the model's tag
        :param in_use: what endpoints and stacks use
        """
        found = (
            self.sagemaker.tagged_resource(kind, arn, TAG_MODEL_PREFIX, self.prefix)
            for kind, arn in tagged
            if not in_use.has_arn(arn)
        )
        return [one for one in found if one and not in_use.has_name(one.name, one.arn)]

    def undecided(self, folders: Folders, sequence: str) -> set[str]:
        """Find the releases that stay because nobody has decided on them and somebody still may.

        The list of packages and the claims say so, so their packages are not described.

        :param folders: what each release has left
        :param sequence: the sequence of the release that collects
        """
        pending = self._folders.pending().intersection(folders)
        return {one for one in pending if not rules.ended_before(self._past(one, None), sequence)}

    def past(
        self, releases: Iterable[str], packages: Mapping[str, Mapping[str, Any]], needed: Collection[str]
    ) -> list[Past]:
        """Read the releases that may be superseded: not those whose package a roll-back needs.

        :param releases: their ids
        :param packages: those that `registered` has found
        :param needed: ARNs of packages that a roll-back needs
        """
        found = {one: packages.get(one) for one in releases}
        stay = {one for one, package in found.items() if package and _arn(package) in needed}
        return [self._past(one, package) for one, package in found.items() if one not in stay]

    def remember(self, folders: Folders, gone: Iterable[Past]) -> None:
        """Let the next collection know of the releases without a list; those of which nothing is left are forgotten.

        :param folders: what each release has left
        :param gone: those of them that nothing needs, and whose objects are listed for that
        """
        self._folders.remember(set(folders) - {one.revision_id for one in gone if not folders[one.revision_id].objects})

    def superseded(
        self, past: Iterable[Past], sequence: str, deployed: str | None, in_use: InUse, kept: Collection[str]
    ) -> list[Past]:
        """Choose the releases that may be removed, as rules.superseded, with the folders that their jobs wrote.

        Those folders take calls for each release, so they are looked up only of those that nothing else keeps, and
        only of the oldest of these.
        """
        candidates = rules.superseded(list(past), sequence, deployed, in_use, kept)
        oldest = sorted(candidates, key=lambda one: datetime.fromisoformat(str(one.sequence)))[:_MOST]
        return rules.superseded(list(map(self._with_outputs, oldest)), sequence, deployed, in_use, kept)

    def superseded_builds(self, kept: Iterable[str], sequence: str) -> list[tuple[str, list[StoredObject]]]:
        """Find what builds of the model's image have left that nothing needs, where all objects were listed.

        :param kept: the ids of the releases that stay
        :param sequence: the sequence of the release that collects
        :returns: places with the objects that may be removed from them
        """
        try:
            return self._builds.superseded(self._folders.builds, sequence, lambda: set(self._images(kept)))
        except PermanentError as error:
            log.warning("%s. Everything that builds of images have left is kept", error.problem)
            return []

    def _images(self, releases: Iterable[str]) -> Iterator[str]:
        """Return the digests of the images that releases use."""
        for one in releases:
            key = names.revision_key(self.prefix, one)
            content = self._documents.read(self.bucket, key).content
            if content and (image := image_of(content, uri(self.bucket, key))):
                yield image.uri.rpartition("@")[2]

    def _with_outputs(self, past: Past) -> Past:
        try:
            pinned = self._revision(past.revision_id)
        except PermanentError as error:
            # Without a sequence nothing of it is removed.
            log.warning("%s. Everything of this release is kept", error.problem)
            return replace(past, sequence=None)
        return replace(past, outputs=tuple(self._outputs(pinned))) if pinned else past

    def package(self, arn: str) -> Mapping[str, Any] | None:
        """Return the answer of DescribeModelPackage, which is cached; None if the package was deleted."""
        if arn not in self._packages and (found := self.registry.describe_model_package(arn)):
            self._packages[arn] = found
        return self._packages.get(arn)

    def stacks(self) -> list[Stack]:
        """Return the model's stacks that exist."""
        found = (self._cloudformation.describe_stack(names.stack_name(self.prefix, each)) for each in Environment)
        return [stack for stack in found if stack]

    def chain(self, stacks: list[Stack]) -> Iterator[str]:
        """Return the packages that production has served, the live one first, each followed by the one before it."""
        live = self.production(stacks).get(MODEL_PACKAGE_ARN)
        return (package["ModelPackageArn"] for package in history.chain(live, self.package))

    def production(self, stacks: list[Stack]) -> Mapping[str, str]:
        """Return the outputs of production's stack; none where it is not among them."""
        name = names.stack_name(self.prefix, Environment.PRODUCTION)
        return next((stack.outputs for stack in stacks if stack.name == name), {})

    def in_use(self, stacks: list[Stack]) -> InUse:
        """Read what the account's endpoints use, also those of others, and what the model's stacks use.

        :raises SlipwayError: when that is not known of every endpoint
        """
        account = self._account.in_use(datetime.now(UTC))
        used, urls = set(account.names), set(account.data_urls)
        for stack in stacks:
            used |= {item.physical_id for item in self._cloudformation.resources(stack.stack_id)}
            urls |= set(data_urls(stack.parameters))
        return InUse(frozenset(used), frozenset(urls))

    def registered(self, folders: Folders, keep: int) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
        """Find the packages of releases, among those that were made since the oldest of them began.

        Where an object was written again meanwhile, its package is older: it is looked for among all.

        :param folders: what each release has left
        :param keep: how many packages of production to find
        :returns: the packages by revision id; the ARNs of the newest that production has served
        """
        wanted, by_revision = set(folders), {}
        deployed: list[str] = []
        oldest = self._folders.oldest()
        for since in (oldest - MARGIN, None) if oldest else ():
            for listed in self._folders.packages(since):
                # `register` wrote where the release's zip is.
                named = self._folders.of_a_release.search(listed.description)
                if named and named[1] not in wanted:
                    continue
                package = self.package(listed.arn)
                properties = package.get("CustomerMetadataProperties", {}) if package else {}
                if package and properties.get(REVISION) in wanted:
                    by_revision[properties[REVISION]] = package
                    wanted.discard(properties[REVISION])
                    if history.BEFORE in properties and len(deployed) < keep:
                        deployed.append(listed.arn)
            if not any(self._has_a_model(one, folders[one].objects) for one in wanted):
                break
        return by_revision, deployed

    def _has_a_model(self, revision_id: str, objects: Iterable[StoredObject]) -> bool:
        """Tell whether a release has come so far that it may have a package."""
        key = names.artefact_key(self.prefix, revision_id)
        return any(item.key == key for item in objects)

    def _past(self, revision_id: str, package: Mapping[str, Any] | None) -> Past:
        return Past(
            revision_id,
            *self._claimed(revision_id),
            uri(self.bucket, names.release_prefix(self.prefix, revision_id)),
            _arn(package) if package else None,
            package is not None and package.get("ModelApprovalStatus") == ModelApprovalStatus.PENDING,
        )

    def goes_on(self, revision_id: str) -> bool:
        """Tell whether the run of a release goes on now; somebody may have cleared it since it was looked at."""
        self._claims.pop(revision_id, None)
        _, goes_on = self._claimed(revision_id)
        return goes_on

    def _claimed(self, revision_id: str) -> tuple[str | None, bool]:
        """Tell a release's sequence and whether its run has not ended, which is found out once."""
        if revision_id not in self._claims:
            try:
                claim = read_claim(self._documents, self.bucket, self.prefix, revision_id)
                self._claims[revision_id] = claimed(claim, self._goes_on)
            except PermanentError as error:
                # Without a sequence nothing of it is removed.
                log.warning("%s. Everything of this release is kept", error.problem)
                self._claims[revision_id] = None, True
        return self._claims[revision_id]

    def _revision(self, revision_id: str) -> Revision | None:
        key = names.revision_key(self.prefix, revision_id)
        pinned = self._documents.read(self.bucket, key).content
        with reading(uri(self.bucket, key)):
            return Revision.from_xcom(pinned) if pinned is not None else None

    def _outputs(self, revision: Revision) -> Iterator[str]:
        """Return the folders that the release's training jobs wrote; SageMaker keeps job descriptions for good."""
        for attempt in count(1):
            name = names.training_job_name(self.prefix, revision.written_at, revision.revision_id, attempt)
            job = self.sagemaker.describe_training_job(name)
            if job is None:
                return
            yield f"{job['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{name}/output/"
            if attempt == _MAX_JOBS:
                return


def _arn(package: Mapping[str, Any]) -> str:
    return str(package["ModelPackageArn"])
