"""The task ``roll_back``: choose the earlier release that goes back into production, and check that it may."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator

from slipway import names
from slipway.aws.clients import client
from slipway.aws.cloudformation import CloudFormationHook
from slipway.aws.ecr import EcrHook
from slipway.aws.identity import identity, resolve
from slipway.aws.links import ModelPackageLink
from slipway.aws.s3 import S3Hook, uri
from slipway.deployment import history, roll_back_order
from slipway.deployment.parameters import MODEL_PACKAGE_ARN, SEQUENCE, candidate
from slipway.errors import ArtefactChanged, ImageMissing, PermanentError, RollBackRefused, Skipped
from slipway.host.links import NewerReleaseLink
from slipway.plan import PREVIOUS, ReleasePlan, roll_back_target
from slipway.registry import approval_check, artefact
from slipway.registry.artefact_store import S3Artefacts
from slipway.registry.finding import package_of_artefact
from slipway.registry.hook import ModelRegistryHook
from slipway.registry.metadata import DIGEST, REVISION
from slipway.request.contents import CONTENTS
from slipway.request.pinned_image import require_image
from slipway.request.process import plan_again
from slipway.request.uploader import uploader_under
from slipway.signed.orders import Order
from slipway.stages.mixin import StageMixin
from slipway.states import BoardStage, Environment

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.config import ModelConfig

_REVISION_ID = re.compile(r"[0-9a-f]{32}")
_HOW_TO_RELEASE = f"release its version again: {names.RELEASE_A_VERSION}"


class RollBackOperator(StageMixin, BaseOperator):
    """Choose the model package that a roll-back deploys; the XCom is the plan that ``deploy_prd`` follows.

    The task first checks the order, the approval on record, the artefact and the release's own documents. Then it
    takes production's lease, and chooses again while no other run can deploy. The roll-back's sequence is the time of
    its order, so repeating an old roll-back cannot overwrite a newer release.

    In the run of a release this task is skipped.

    :param model: the model file's content
    """

    operator_extra_links = (ModelPackageLink(), NewerReleaseLink())
    registry = client(ModelRegistryHook)
    s3 = client(S3Hook)
    _ecr = client(EcrHook)

    def __init__(self, *, model: ModelConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self._contents: dict[str, Any] = {}
        self.configure_stages(model)

    def execute(self, context: Context) -> dict[str, Any]:
        """Choose, check, and wait for production's lease.

        :returns: the plan of the earlier release, with the sequence of this roll-back
        :raises slipway.errors.NotApproved: when no approver ordered it, or the package's approval is not enough
        :raises RollBackRefused: when there is no earlier release, or something that it needs was removed
        :raises slipway.errors.Superseded: when a newer release is about to deploy
        """
        target = roll_back_target(context)
        if target is None:
            raise Skipped("This run is no roll-back", why="it releases an upload")
        order = roll_back_order.check(context, self.model.approval.rules())
        self._plan = self._plan_for(self._package(target, order), order)
        self.enter_stage(context, BoardStage.PRD)
        # The previous holder of the lease may have deployed meanwhile.
        self._plan = self._plan_for(self._package(target, order), order)
        self.log.info("%s rolls production back to %s", order.by, self._arn)
        ModelPackageLink.keep_for(self._arn, self, self.aws_conn_id, model_package_arn=self._arn)
        context["ti"].xcom_push(CONTENTS, self._contents)
        return self._plan.to_xcom()

    def plan(self, context: Context) -> ReleasePlan:
        """Return the plan that is being made, which is in no XCom yet."""
        return self._plan

    def _package(self, target: str, order: Order) -> Mapping[str, Any]:
        outputs = self._outputs()
        live_arn = outputs.get(MODEL_PACKAGE_ARN)
        if live_arn and outputs.get(SEQUENCE) == order.at:
            # An earlier attempt of this roll-back has been deployed.
            return self._named(live_arn)
        package = self._previous(live_arn) if target == PREVIOUS else self._named(target)
        arn = package["ModelPackageArn"]
        if arn == live_arn:
            self._refuse(
                arn,
                "production serves it already, or has it on trial",
                "wait for its trial, or name another",
            )
        return package

    def _previous(self, live_arn: str | None) -> Mapping[str, Any]:
        stack_name = names.stack_name(self.model.prefix, Environment.PRODUCTION)
        if live_arn is None:
            self._refuse(stack_name, "production has nothing deployed", self._how_to_choose)
        packages = history.chain(live_arn, self.registry.describe_model_package)
        previous = next(islice(packages, 1, None), None)
        if previous is None:
            self._refuse(live_arn, "no release before it is on record", self._how_to_choose)
        return previous

    @property
    def _how_to_choose(self) -> str:
        """Say it for each of the three ways by which a roll-back is ordered."""
        return (
            f"choose the release yourself: slipway rollback {self.model.prefix} --to VERSION, Roll back on the "
            "release's page of the board, or roll_back_to in the DAG's form"
        )

    def _named(self, target: str) -> Mapping[str, Any]:
        group = names.model_package_group(self.model.prefix)
        if _REVISION_ID.fullmatch(target):
            bucket = resolve(self.model.source.bucket, self.aws_conn_id)
            url = uri(bucket, names.artefact_key(self.model.prefix, target))
            # A person may have registered its artefact again.
            package = package_of_artefact(group, url, self.registry, self.s3, revision_id=target)
        elif target.startswith("arn:"):
            package = self.registry.describe_model_package(target)
        else:
            self._refuse(
                target,
                "expected previous, the ARN of a model package or a revision's id",
                "trigger it again with one of these",
            )
        if package is None or package.get("ModelPackageGroupName") != group:
            self._refuse(target, f"the group {group} has no such model package", "look it up in the Model Registry")
        return package

    def _plan_for(self, package: Mapping[str, Any], order: Order) -> ReleasePlan:
        self._arn = arn = package["ModelPackageArn"]
        properties = _properties(package)
        if collected_at := properties.get(history.COLLECTED):
            self._refuse(arn, f"its artefact was collected as garbage at {collected_at}", _HOW_TO_RELEASE)
        revision_id, digest = properties.get(REVISION), properties.get(DIGEST)
        if not revision_id or not digest:
            self._refuse(arn, "no release of Slipway registered it", "name a model package of a release")
        try:
            plan = plan_again(self.model, revision_id, digest, s3=self.s3, tell=partial(setattr, self, "_contents"))
        except PermanentError as error:
            self._refuse(arn, error.problem, _HOW_TO_RELEASE, error)
        rules = self.model.approval.rules()
        uploader = uploader_under(rules, plan, plan.home_bucket, self.s3)
        approval_check.check_approved(package, rules, uploader, lambda: identity(self.aws_conn_id).arn)
        self._check_artefact(package)
        self._check_image(package)
        return replace(plan, sequence=order.at, rolled_back_by=order.by, model_package_arn=arn)

    def _check_artefact(self, package: Mapping[str, Any]) -> None:
        try:
            S3Artefacts(self.s3).check(artefact.on_record(package, artefact.data_url(package)))
        except ArtefactChanged as error:
            self._refuse(package["ModelPackageArn"], error.problem, _HOW_TO_RELEASE, error)

    def _check_image(self, package: Mapping[str, Any]) -> None:
        image = candidate(package).model.image
        try:
            require_image(image, identity(self.aws_conn_id), self._ecr)
        except ImageMissing as error:
            fix = f"push the same image again, or {_HOW_TO_RELEASE}"
            self._refuse(package["ModelPackageArn"], error.problem, fix, error)

    def _outputs(self) -> Mapping[str, str]:
        stack_name = names.stack_name(self.model.prefix, Environment.PRODUCTION)
        stack = CloudFormationHook(aws_conn_id=self.aws_conn_id).describe_stack(stack_name)
        return stack.outputs if stack else {}

    def _refuse(self, resource: str, why: str, fix: str, cause: Exception | None = None) -> NoReturn:
        raise RollBackRefused("Production was not changed", resource=resource, why=why, fix=fix) from cause


def _properties(package: Mapping[str, Any]) -> Mapping[str, str]:
    return package.get("CustomerMetadataProperties", {})
