"""Survey a model for garbage collection: what exists in AWS and what is in use, as input for the rules."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

from slipway import names
from slipway.aws.cloudformation import CloudFormationHook
from slipway.aws.documents import S3Documents, reading
from slipway.aws.s3 import S3Hook, StoredObject, uri
from slipway.aws.sagemaker import Resource, SageMakerHook
from slipway.aws.stacks import Stack
from slipway.cleanup.rules import InUse, Past
from slipway.deployment import history
from slipway.deployment.parameters import MODEL_PACKAGE_ARN, data_urls
from slipway.errors import PermanentError, SlipwayError
from slipway.plan import TAG_MODEL_PREFIX, Revision
from slipway.registry.hook import ModelRegistryHook
from slipway.registry.metadata import REVISION
from slipway.source.claims import Claim
from slipway.stages import sequences
from slipway.states import Environment, ModelApprovalStatus

log = logging.getLogger(__name__)

_MAX_JOBS = 9


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
        self.sagemaker = SageMakerHook(aws_conn_id=aws_conn_id)
        self.registry = ModelRegistryHook(aws_conn_id=aws_conn_id)
        self.s3 = S3Hook(aws_conn_id=aws_conn_id)
        self._documents = S3Documents(self.s3)
        self._cloudformation = CloudFormationHook(aws_conn_id=aws_conn_id)
        self._goes_on = goes_on
        self._packages: dict[str, Mapping[str, Any]] = {}

    def folders(self) -> dict[str, list[StoredObject]]:
        """Return the objects under each release's prefix, by revision id, without its claim, which is kept."""
        home = names.release_prefix(self.prefix, "")[:-1]
        of_a_release = re.compile(rf"{re.escape(home)}([0-9a-f]{{32}})/(.+)")
        found: dict[str, list[StoredObject]] = defaultdict(list)
        for item in self.s3.objects(self.bucket, home):
            match = of_a_release.fullmatch(item.key)
            if match and item.key != names.claim_key(self.prefix, match[1]):
                found[match[1]].append(item)
        return dict(found)

    def resources(self) -> list[Resource]:
        """Return the endpoint configs and models with the model's tag; configs first, because they refer to models."""
        kinds = ("endpoint config", "model")
        return [one for kind in kinds for one in self.sagemaker.list_tagged(kind, TAG_MODEL_PREFIX, self.prefix)]

    def past(self, revision_ids: list[str], keep_releases: int) -> tuple[list[Past], list[str]]:
        """Read releases, and the newest packages that production has served.

        :param revision_ids: the releases
        :param keep_releases: how many packages of production to find
        :returns: the releases; the ARNs of those packages, newest first
        """
        by_revision, deployed = self._registered(set(revision_ids), keep_releases)
        return [self._past(one, by_revision.get(one)) for one in revision_ids], deployed

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
        name = names.stack_name(self.prefix, Environment.PRODUCTION)
        live = next((stack.outputs.get(MODEL_PACKAGE_ARN) for stack in stacks if stack.name == name), None)
        return (package["ModelPackageArn"] for package in history.chain(live, self.package))

    def in_use(self, stacks: list[Stack]) -> InUse:
        """Read what every endpoint of the account uses, also those of others, and what the model's stacks use.

        :raises SlipwayError: when the configuration of an endpoint was deleted
        """
        used, urls = set(), set()
        for stack in stacks:
            used |= {item.physical_id for item in self._cloudformation.resources(stack.stack_id)}
            urls |= set(data_urls(stack.parameters))
        for endpoint in self.sagemaker.list_all("endpoint"):
            for config_name in self._configs_of(endpoint.name):
                models = self._models_of(endpoint.name, config_name)
                used |= {config_name, *models}
                for model in models:
                    urls |= set(_data_urls(self.sagemaker.describe_model(model) or {}))
        return InUse(frozenset(used), frozenset(urls))

    def _configs_of(self, endpoint_name: str) -> set[str]:
        """Return the configuration that an endpoint serves, and the one that it is being updated to."""
        found = self.sagemaker.describe_endpoint(endpoint_name) or {}
        wanted = (found, found.get("PendingDeploymentSummary", {}))
        return {each["EndpointConfigName"] for each in wanted if "EndpointConfigName" in each}

    def _models_of(self, endpoint_name: str, config_name: str) -> set[str]:
        config = self.sagemaker.describe_endpoint_config(config_name)
        if config is None:
            raise SlipwayError(
                "Cannot find out which models an endpoint uses",
                resource=endpoint_name,
                why=f"its configuration {config_name} was deleted",
                fix="update the endpoint to a configuration that exists, or delete it",
            )
        variants = [*config.get("ProductionVariants", ()), *config.get("ShadowProductionVariants", ())]
        return {variant["ModelName"] for variant in variants if "ModelName" in variant}

    def _registered(self, revision_ids: set[str], keep: int) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
        wanted, by_revision = set(revision_ids), {}
        deployed: list[str] = []
        for arn in self.registry.model_package_arns(names.model_package_group(self.prefix)):
            package = self.package(arn)
            properties = package.get("CustomerMetadataProperties", {}) if package else {}
            if package and properties.get(REVISION) in wanted:
                by_revision[properties[REVISION]] = package
                wanted.discard(properties[REVISION])
            if history.BEFORE in properties:
                deployed.append(arn)
            if not wanted and len(deployed) >= keep:
                break
        return by_revision, deployed

    def _past(self, revision_id: str, package: Mapping[str, Any] | None) -> Past:
        home = uri(self.bucket, names.release_prefix(self.prefix, revision_id))
        try:
            claim, pinned = self._claim(revision_id), self._revision(revision_id)
        except PermanentError as error:
            # Without a sequence nothing of it is removed.
            log.warning("%s. Everything of this release is kept", error.problem)
            return Past(revision_id, None, True, home)
        status = package.get("ModelApprovalStatus") if package else None
        return Past(
            revision_id,
            claim.sequence if claim and not sequences.fault(claim.sequence) else None,
            self._goes_on(claim.dag_id, claim.run_id) if claim else True,
            home,
            package["ModelPackageArn"] if package else None,
            status == ModelApprovalStatus.PENDING,
            tuple(self._outputs(pinned)) if pinned else (),
        )

    def _claim(self, revision_id: str) -> Claim | None:
        key = names.claim_key(self.prefix, revision_id)
        return Claim.of(self._documents.read(self.bucket, key), uri(self.bucket, key))

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


def _data_urls(model: Mapping[str, Any]) -> Iterator[str]:
    for container in [model.get("PrimaryContainer", {}), *model.get("Containers", ())]:
        source = container.get("ModelDataSource", {}).get("S3DataSource", {}).get("S3Uri")
        yield from (url for url in (container.get("ModelDataUrl"), source) if url)
