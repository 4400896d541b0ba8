"""The tasks ``deploy_dev`` and ``deploy_prd``: deploy one release to the endpoint of one environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from slipway import paths
from slipway.aws.clients import client
from slipway.aws.cloudwatch import CloudWatchHook
from slipway.aws.ecr import EcrHook
from slipway.aws.identity import identity
from slipway.aws.links import CloudFormationStackLink, DashboardLink, EndpointLink
from slipway.aws.s3 import S3Hook
from slipway.aws.stacks import Stack
from slipway.deployment import (
    change_sets,
    checks,
    drift,
    guardrails,
    history,
    parameters,
    roll_back_order,
    served_artefacts,
)
from slipway.deployment.endpoint_stack import EndpointStackOperator
from slipway.errors import ArtefactChanged, AwsError, StackFailed, Superseded
from slipway.host.links import NewerReleaseLink
from slipway.names import ACCOUNT_BUCKET, dashboard_name, package_version
from slipway.plan import TAG_MODEL_PREFIX, ReleasePlan, named_package_arn, pull_plan, roll_back_target
from slipway.registry import approval_check
from slipway.registry.artefact_store import S3Artefacts
from slipway.registry.finding import package_of_artefact
from slipway.registry.hook import ModelRegistryHook
from slipway.request.fence import load_request
from slipway.request.pinned_image import require_image
from slipway.request.uploader import uploader_under
from slipway.stages.mixin import STAGE_OF, StageMixin
from slipway.states import Environment
from slipway.waiting.activity import note_activity

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.config import ModelConfig


class EndpointDeployOperator(StageMixin, EndpointStackOperator):
    """Deploy a release's model to the endpoint of one environment, while no other release changes that endpoint.

    The operator deploys what the run's own copy of the zip and the Model Registry say, not what another task says. An
    older release never overwrites a newer one. Production needs an approval of this digest in the Model Registry.

    :param model: the model file's content
    :param environment: development or production
    """

    # None: prepare() sets what the base class takes as templates.
    template_fields = ()
    operator_extra_links = (CloudFormationStackLink(), EndpointLink(), DashboardLink(), NewerReleaseLink())
    _s3 = client(S3Hook)
    _registry = client(ModelRegistryHook)
    _ecr = client(EcrHook)

    def __init__(self, *, model: ModelConfig, environment: Environment, **kwargs: Any) -> None:
        super().__init__(
            stack_name="",
            template_path=str(paths.endpoint_template()),
            template_bucket=ACCOUNT_BUCKET,
            # Nobody uses a failed stack of development; in production a person decides.
            recreate_failed=environment is Environment.DEVELOPMENT,
            timeout_seconds=model.timeouts.stack_seconds,
            poll_seconds=model.timeouts.poll_seconds,
            aws_conn_id=model.aws_conn_id,
            **kwargs,
        )
        self.model = model
        self.environment = environment
        self._known_package: dict[str, Any] | None = None
        self.configure_stages(model)

    def execute(self, context: Context) -> dict[str, Any]:
        """Wait until this release may change the environment, then deploy.

        :raises slipway.errors.Superseded: when a newer release supersedes this one
        :raises NotApproved: when it is a roll-back that no approver ordered
        """
        # First of all: a roll-back without an approver's order must not enter the stage.
        self._check_ordered(context, pull_plan(context))
        self.enter_stage(context, STAGE_OF[self.environment])
        with self._handle_failures(context):
            return super().execute(context)

    def resume(self, context: Context, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Continue after a wait, as CloudFormationDeployOperator.resume."""
        with self._handle_failures(context):
            return super().resume(context, *args, **kwargs)

    @contextmanager
    def _handle_failures(self, context: Context) -> Iterator[None]:
        """Reject the model package of a superseded release, and notify people of a changed artefact."""
        try:
            yield
        except ArtefactChanged as error:
            served_artefacts.notify_changed(error, self.model, context)
            raise
        except Superseded as error:
            self.reject_superseded(context, str(error))
            self.tell_superseded(context, error)
            raise

    def prepare(self, context: Context) -> None:
        """Read the plan and the request again, and check them against the digest that the release began with."""
        self._plan = plan = pull_plan(context)
        self._named_package_arn = named_package_arn(context, plan)
        self._forget_package()
        self._check_ordered(context, plan)
        self._aws = aws = identity(self.model.aws_conn_id)
        self._fenced = load_request(self._s3, plan, self.model, aws)
        self.stack_name = plan.stack(self.environment)
        self.tags = plan.tags()
        self.ownership_tags = {TAG_MODEL_PREFIX: plan.prefix}
        self.role_arn = self._fenced.model.roles.cloudformation
        self.change_set_prefix = change_sets.release_prefix(plan)
        # The template is always in the account's bucket, whichever bucket the model's zips are uploaded to.
        self.template_bucket = aws.resolve(ACCOUNT_BUCKET)
        name = plan.endpoint(self.environment)
        arn = self._endpoint_arn()
        EndpointLink.keep_for(arn, self, self.aws_conn_id, endpoint_name=name)
        if self.environment is Environment.PRODUCTION:
            dashboard = dashboard_name(name, aws.region)
            DashboardLink.keep_for(arn, self, self.aws_conn_id, dashboard_name=dashboard)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Say which model package was put onto the endpoint, whose version is the release's revision.

        :param task_instance: the task that has ended; what it deployed is here
        :returns: None where the task has not come so far
        """
        from slipway.aws.lineage import lineage, of_resource

        if self._known_package is None:
            return None
        package = self._known_package["ModelPackageArn"]
        endpoint = of_resource(self._endpoint_arn(), self._plan.revision_id)
        return lineage([of_resource(package, package_version(package))], [endpoint])

    def _endpoint_arn(self) -> str:
        return self._aws.sagemaker_arn(f"endpoint/{self.endpoint_name}")

    def _check_ordered(self, context: Context, plan: ReleasePlan) -> None:
        if roll_back_target(context) is not None:
            rules = self.model.approval.rules()
            roll_back_order.check_plan(context, rules, plan, plan.stack(self.environment))

    def parameters_for(self, stack: Stack | None) -> dict[str, str]:
        """Return the template's parameters for this release, given what is live."""
        new = parameters.candidate(self._package())
        return parameters.release_parameters(self._fenced, self._plan, self.environment, new, _outputs(stack))

    def check_may_apply(self, stack: Stack | None) -> None:
        """Check that this release may be deployed here, that the artefacts are those on record, and the images there.

        :raises slipway.errors.ArtefactChanged: when an artefact is not the one on record; other errors as check_allowed
        :raises slipway.errors.ImageMissing: when an image is gone
        """
        self.check_allowed(stack)
        self.check_artefacts(stack)
        self.check_images(stack)

    def check_allowed(self, stack: Stack | None) -> None:
        """Check the sequence, the trial, the approval, and that the endpoint belongs to the stack.

        :raises slipway.errors.Superseded: when a newer release is deployed
        :raises slipway.errors.TrialFailed: when the trial of this release retired its model
        :raises NotApproved: when production needs a valid approval on record and there is none
        :raises NameConflict: when an endpoint of this name exists outside the stack
        :raises StackFailed: when the endpoint has drifted from its stack, or SageMaker's guardrails exclude the update
        """
        checks.check_sequence(_outputs(stack), self._plan, self.stack_name)
        self.check_trial(stack)
        if self.environment is Environment.PRODUCTION:
            rules = self.model.approval.rules()
            uploader = uploader_under(rules, self._plan, self._fenced.model.source.bucket, self._s3)
            decision = approval_check.check_approved(self._package(), rules, uploader, lambda: self._aws.arn)
            self.log.info("Approved by %s at %s (%s)", decision.decided_by, decision.decided_at, decision.how)
        checks.check_drift(self.endpoint(), _outputs(stack), self.stack_name)
        deployed = _outputs(stack).get(parameters.REVISION) == self._plan.revision_id
        if self.environment is Environment.PRODUCTION and not deployed:
            guardrails.check_live(self._fenced.model, self.endpoint(), self.stack_name)

    def check_artefacts(self, stack: Stack | None) -> None:
        """Check the artefacts that new instances would load: of this release's model, and of the one beside it.

        :raises slipway.errors.ArtefactChanged: when an artefact is not the one on record
        """
        served = served_artefacts.ServedArtefacts(self._plan.model_package_group, self._registry, S3Artefacts(self._s3))
        served.check(parameters.data_urls(self.parameters_for(stack)), self._package())

    def check_images(self, stack: Stack | None) -> None:
        """Check that new instances could pull the images: of this release's model, and of the one beside it.

        :raises slipway.errors.ImageMissing: when an image is gone
        """
        for image in parameters.images(self.parameters_for(stack)):
            require_image(image, self._aws, self._ecr)

    def before_execution(self, context: Context, stack: Stack | None) -> None:
        """Mark the package with the package that it replaces, while the stack still names that one."""
        note_activity()
        if self.environment is not Environment.PRODUCTION:
            return
        package, live_arn = self._package(), self._live_package_arn(_outputs(stack))
        if marks := history.marks(package, self._plan, live_arn, context["dag_run"].run_id):
            self._registry.annotate(package, marks)

    def _live_package_arn(self, outputs: Mapping[str, str]) -> str | None:
        """Return the ARN of the package that is live: the one before, or this release's own once it is deployed."""
        ours = self._package()["ModelPackageArn"]
        if outputs.get(parameters.MODEL_PACKAGE_ARN) == ours:
            return ours
        return history.live_arn(
            outputs,
            judged=self.model.trial is not None,
            of_artefact=self._package_of_artefact,
        )

    def check_trial(self, stack: Stack | None) -> None:
        """Check that the trial of this release has not retired its model."""
        checks.check_not_retired(_outputs(stack), self._plan, self.stack_name)

    def check_disposable(self, stack: Stack) -> None:
        """Raise StackFailed if the stack that would be deleted holds a live endpoint."""
        if self.endpoint() and any(
            item.type == "AWS::SageMaker::Endpoint" for item in self.hook.resources(stack.stack_id)
        ):
            raise StackFailed(
                "The stack can only be deleted, but its endpoint is live",
                resource=stack.name,
                why=f"the stack is {stack.status}, and {self.endpoint_name} answers requests",
                fix="make sure nobody uses the endpoint, delete the stack in the console, then clear this task",
            )

    def check_deployed(self, stack: Stack) -> None:
        """Raise StackFailed unless the live endpoint serves this release's configuration."""
        if stack.outputs.get(parameters.REVISION) != self._plan.revision_id:
            # Another run deployed first: its release may be newer, which is the better reason to fail.
            self.check_may_apply(stack)
        checks.check_revision(stack.outputs, self._plan, stack.name)
        checks.check_served(self.endpoint(), stack.outputs, stack.name)
        drift.check_none(self.differences(stack), stack.name)

    def _reason(self, stack: Stack) -> str:
        """Return why the stack failed, with the alarms that rolled the endpoint back."""
        reason = super()._reason(stack)
        if self.environment is Environment.DEVELOPMENT or self.model.deployment is None:
            return reason
        try:
            since, names = self.hook.touched(stack.stack_id, "AWS::CloudWatch::Alarm")
            fired = CloudWatchHook(aws_conn_id=self.aws_conn_id).fired(names, since) if since else []
        except AwsError as error:
            # The reason of the failure is still worth showing without the alarms.
            self.log.warning("Cannot tell which alarms went off: %s", error.problem)
            return reason
        return "; ".join([reason, *map(str, fired)])

    @property
    def endpoint_name(self) -> str:
        """The endpoint of this release's environment."""
        return self._plan.endpoint(self.environment)

    def _package(self) -> dict[str, Any]:
        """Return the release's model package, which is read once until _forget_package()."""
        if self._known_package is None:
            package = self._registry.find_model_package(self._plan, named=self._named_package_arn)
            self._known_package = checks.check_registered(package, self._plan)
        return self._known_package

    def _forget_package(self) -> None:
        """Have the model package read again: it may have changed."""
        self._known_package = None

    def _package_of_artefact(self, url: str) -> Mapping[str, Any] | None:
        return package_of_artefact(self._plan.model_package_group, url, self._registry, self._s3)


def _outputs(stack: Stack | None) -> dict[str, str]:
    return dict(stack.outputs) if stack else {}
