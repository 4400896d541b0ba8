"""Releases of one model as the deployment sees them: the run's copy of the zip and a registered model package."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from slipway import names
from slipway.aws.s3 import S3Hook
from slipway.deployment.deploy_endpoint import EndpointDeployOperator
from slipway.deployment.roll_back import RollBackOperator
from slipway.deployment.roll_back_order import ROLL_BACK_TASKS
from slipway.model.config import ModelConfig
from slipway.plan import ReleasePlan
from slipway.registry.artefact_store import S3Artefacts
from slipway.registry.hook import ModelRegistryHook
from slipway.registry.metadata import DIGEST, REVISION
from slipway.request.process import process_request
from slipway.signed.orders import Act
from slipway.states import Environment
from tests.cfn.stacks import unique
from tests.local_aws.sagemaker_cases import BUCKET, IMAGE
from tests.unit.request_samples import AWS, deployment, iris_model, request_zip, revision
from tests.unit.scripted_aws import MemoryStore
from tests.unit.signatures import record_decision, signed_order
from tests.unit.stage_runs import MemoryDocuments, with_gate
from tests.unit.task_runs import context, run_task

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DEV, PRD = Environment.DEVELOPMENT, Environment.PRODUCTION


class Model:
    """A model of its own, made from the one the repository ships."""

    def __init__(self, aws) -> None:
        self.aws = aws
        self.prefix = unique("m")
        aws.make_role(names.training_role(self.prefix), names.endpoint_role(self.prefix))
        fields = iris_model().model_dump()
        fields["prefix"] = self.prefix
        fields["source"]["key"] = names.source_key(self.prefix)
        fields["policy"]["endpoint"]["endpoint_prefix"] = self.prefix
        fields["policy"]["image"] = IMAGE
        fields["timeouts"]["poll_seconds"] = 0.5
        self.config = ModelConfig.model_validate(fields)
        self.releases = 0
        self.documents = MemoryDocuments()

    def at_its_gate(self, operator):
        """Give an operator the model's board, on which every other run has ended."""
        return with_gate(operator, self.documents, goes_on=lambda dag_id, run_id: False)

    def release(
        self, trained_url: str, *, uploaded_now: bool = False, job: dict | None = None, **production: object
    ) -> "Release":
        """Upload a zip whose production endpoint is changed as given, and register the model it made."""
        return Release(self, self.upload(uploaded_now=uploaded_now, job=job, **production), trained_url)

    def upload(self, *, uploaded_now: bool = False, job: dict | None = None, **production: object) -> ReleasePlan:
        """Upload a zip with this training job, or the lab's, whose production endpoint is changed as given."""
        document = deployment()
        document["EndpointPrefix"] = self.prefix
        document["ProductionEndpoint"] |= {"InitialInstanceCount": 1, **production}
        if "AutoScaling" not in production:
            document["ProductionEndpoint"]["AutoScaling"]["MinCapacity"] = 1
        self.releases += 1
        # Each zip needs content of its own, so that its digest differs.
        document["DevelopmentEndpoint"]["InferenceMonitoringSampling"] = self.releases
        data = request_zip(job, document)
        version = self.aws.client("s3").put_object(Bucket=BUCKET, Key=self.config.source.key, Body=data)["VersionId"]
        moment = (datetime.now(UTC) if uploaded_now else FIRST + timedelta(days=self.releases)).isoformat()
        pinned = replace(revision(data, version), key=self.config.source.key, last_modified=moment)
        return process_request(self.config, pinned, s3=S3Hook(aws_conn_id=None), aws=AWS)


class RollBack:
    """A run that rolls production back, ordered by somebody through the API."""

    def __init__(self, model: Model, target: str, by: str | None = "alice", run_id: str = "manual__back") -> None:
        self.model, self.stores = model, {}
        self.context = context({}, run_id=run_id)
        self.context["dag_run"].conf = {"roll_back_to": target}
        if by:
            order = signed_order(Act.ROLL_BACK, target, by=by, run_id=run_id)
            self.stores = {task_id: MemoryStore(ordered=order) for task_id in ROLL_BACK_TASKS}

    def choose(self) -> dict:
        operator = RollBackOperator(task_id="roll_back", model=self.model.config, do_xcom_push=False)
        self.model.at_its_gate(operator)
        self.context["ti"].xcoms["roll_back"] = plan = self._run(operator)
        return plan

    def deploy(self) -> dict:
        operator = EndpointDeployOperator(
            task_id="deploy_prd", model=self.model.config, environment=Environment.PRODUCTION, do_xcom_push=False
        )
        self.context["ti"].xcoms["deploy_prd"] = result = self._run(self.model.at_its_gate(operator))
        return result

    def _run(self, operator) -> dict:
        store = self.stores.setdefault(operator.task_id, MemoryStore())
        return run_task(operator, self.context | {"task_state_store": store})


class Release:
    """One release of a model: registered, and waiting for its approval."""

    def __init__(self, model: Model, plan: ReleasePlan, trained_url: str) -> None:
        self.model, self.plan = model, plan
        self.artefact = S3Artefacts(aws_conn_id=None).keep(
            trained_url, BUCKET, names.artefact_key(plan.prefix, plan.revision_id)
        )
        self.model_data_url = self.artefact.uri
        hook = ModelRegistryHook(aws_conn_id=None)
        hook.ensure_model_package_group(plan.model_package_group, description="test", tags={})
        self.package_arn = hook.create_model_package(
            {
                "ModelPackageGroupName": plan.model_package_group,
                "ModelPackageDescription": f"Trained by {plan.training_job_name} from {plan.request_uri}",
                "ModelApprovalStatus": "PendingManualApproval",
                "InferenceSpecification": {
                    "Containers": [{"Image": IMAGE, "ModelDataUrl": self.artefact.uri}],
                    "SupportedContentTypes": ["text/csv"],
                    "SupportedResponseMIMETypes": ["text/csv"],
                },
                "CustomerMetadataProperties": {
                    DIGEST: plan.digest,
                    REVISION: plan.revision_id,
                    **self.artefact.properties(),
                },
            }
        )

    def approve(self, approved: bool = True) -> "Release":
        record_decision(self.package_arn, self.plan.digest, approved=approved)
        return self

    @property
    def package(self) -> dict:
        return ModelRegistryHook(aws_conn_id=None).describe_model_package(self.package_arn)

    def deploy(self, environment: Environment) -> dict:
        operator = EndpointDeployOperator(
            task_id=f"deploy_{environment.short}", model=self.model.config, environment=environment, do_xcom_push=False
        )
        run = context({"process_request": self.plan.to_xcom()}, run_id=f"s3__{self.plan.revision_id}")
        return run_task(self.model.at_its_gate(operator), run | {"task_state_store": MemoryStore()})
