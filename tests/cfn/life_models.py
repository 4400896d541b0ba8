"""A model and its releases under the roles of the set-up templates, and the account that has these roles."""

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

from slipway import names, paths
from slipway.host import runs
from slipway.model.config import ModelConfig
from slipway.plan import ReleasePlan
from slipway.quality.endpoint import EndpointTestOperator
from slipway.quality.evaluate import EvaluateOperator
from slipway.registry.register import RegisterModelOperator
from slipway.request.process import process_request
from slipway.source.versions import S3Versions
from slipway.states import Environment
from slipway.training.train import SlipwayTrainingOperator
from tests.aws_keys import CREDENTIALS
from tests.cfn.releases import Release
from tests.cfn.trials import TrialModel
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.sagemaker_cases import BUCKET
from tests.local_aws.server import ACCOUNT, REGION, ROOT, LocalAws
from tests.unit.request_samples import changed, deployment, iris_model, request_zip, training_job
from tests.unit.scripted_aws import MemoryStore
from tests.unit.signatures import record_decision
from tests.unit.stage_runs import MemoryDocuments
from tests.unit.task_runs import context, run_task
from tools import bootstrap_stack
from tools.settings import AIRFLOW_PRINCIPAL

FIRST, SECOND_MODEL = "iris-model", "second-model"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:slipway-releases"


class LifeModel(TrialModel):
    """A model whose stack of roles is there; its releases train, and all their tasks act as slipway-airflow.

    :param aws: with the administrator's clients
    :param person: makes clients of slipway-operator
    """

    def __init__(self, aws: LocalAws, person: Callable[[str], Any], prefix: str) -> None:
        self.aws, self.person, self.prefix = aws, person, prefix
        text = json.dumps(iris_model().model_dump(mode="json")).replace(FIRST, prefix)
        fields = json.loads(text)
        fields["timeouts"]["poll_seconds"] = 0.5
        fields["approval"]["topic"] = TOPIC
        fields["alarms"] = None
        fields["gates"] = []
        self.config = ModelConfig.model_validate(fields)
        self.releases = 0
        self.uploaded_at = 0
        self.documents = MemoryDocuments()
        self.made: list[Release] = []

    def change(self, **sections: Any) -> None:
        """Change the model file."""
        self.config = self.config.model_copy(update=sections)

    def job(self, data: str = "input", **more: Any) -> dict[str, Any]:
        """Return a trainingjob.json that trains with the model's data, quickly."""
        job = changed(training_job(), "OutputDataConfig.S3OutputPath", f"s3://{BUCKET}/{self.prefix}")
        for number, channel in enumerate(("train", "validation")):
            place = f"s3://{BUCKET}/{self.prefix}/{data}/{channel}"
            changed(job, f"InputDataConfig.{number}.DataSource.S3DataSource.S3Uri", place)
        changed(job, "RoleArn", f"arn:aws:iam::{ACCOUNT}:role/{names.training_role(self.prefix)}")
        changed(job, "HyperParameters.num_round", "5")
        return job | more

    def upload(self, *, job: dict[str, Any] | None = None, **production: Any) -> ReleasePlan:
        """Upload a zip as a person does, and process it as its run does."""
        document = json.loads(json.dumps(deployment()).replace(FIRST, self.prefix))
        for part in ("DevelopmentEndpoint", "ProductionEndpoint"):
            document[part]["InferenceMonitoringOutputBucket"] = f"s3://{BUCKET}/{self.prefix}/monitoring/{part}"
        self.releases += 1
        # Each zip needs content of its own, so that its digest differs.
        document["DevelopmentEndpoint"]["InferenceMonitoringSampling"] = self.releases
        document["ProductionEndpoint"] |= {"InitialInstanceCount": 1, **production}
        data = request_zip(job or self.job(), document)
        key = self.config.source.key
        # S3's LastModified has whole seconds, and two releases of one second have no order.
        time.sleep(max(0, self.uploaded_at + 1 - time.time()))
        version = self.person("s3").put_object(Bucket=BUCKET, Key=key, Body=data)["VersionId"]
        self.uploaded_at = math.floor(time.time())
        return process_request(self.config, S3Versions().head_version(BUCKET, key, version))

    def release(self, trained_url: str = "", **production: Any) -> "LifeRelease":
        """Upload a zip as a person, and take its release up to the approval."""
        job = production.pop("job", None) or self.job()
        return LifeRelease(self, self.upload(job=job, **production))


class LifeRelease(Release):
    """A release that was trained and registered by the tasks of a run."""

    def __init__(self, model: LifeModel, plan: ReleasePlan) -> None:
        self._begin(model, plan)
        self.run("train", SlipwayTrainingOperator)
        self.run("evaluate", EvaluateOperator)
        self.package_arn = self.run("register", RegisterModelOperator)["model_package_arn"]
        self.model_data_url = self.package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]

    @classmethod
    def of(cls, model: LifeModel, plan: ReleasePlan) -> "LifeRelease":
        """Return a release none of whose tasks has run."""
        made = cls.__new__(cls)
        made._begin(model, plan)
        return made

    def _begin(self, model: LifeModel, plan: ReleasePlan) -> None:
        self.model, self.plan = model, plan
        self.xcoms: dict[str, Any] = {"process_request": plan.to_xcom()}

    def run(self, task_id: str, operator: type, **arguments: Any) -> Any:
        made = operator(task_id=task_id, model=self.model.config, do_xcom_push=False, **arguments)
        run = context(self.xcoms, run_id=f"s3__{self.plan.revision_id}") | {"task_state_store": MemoryStore()}
        self.xcoms[task_id] = result = run_task(made, run)
        return result

    def approve(self, approved: bool = True) -> "LifeRelease":
        record_decision(self.package_arn, self.plan.digest, approved=approved)
        return self

    def deploy(self, environment: Environment) -> dict[str, Any]:
        self.xcoms[f"deploy_{environment.short}"] = result = super().deploy(environment)
        return result

    def test(self, environment: Environment) -> None:
        self.run(f"test_{environment.short}", EndpointTestOperator, environment=environment)


@contextmanager
def real_account(state: Path, *arguments: str) -> Iterator[tuple[LocalAws, Callable[[str], Any]]]:
    """Run a local AWS whose account the set-up templates have made, with every hook as slipway-airflow.

    :param state: the folder of the local AWS
    :param arguments: of the local AWS
    :returns: the local AWS with the administrator's clients, and what makes clients of slipway-operator
    """
    aws = LocalAws(state, *arguments, as_admin=True).start()

    def person(service: str) -> Any:
        return aws.client(service, **_keys(*astuple(CREDENTIALS.operator)))

    try:
        assert bootstrap_stack.deploy(aws.client, ROOT / "include", AIRFLOW_PRINCIPAL) == []
        body = paths.set_up_template("model").read_text()
        prefix = [{"ParameterKey": "ModelPrefix", "ParameterValue": SECOND_MODEL}]
        cloudformation, name = aws.client("cloudformation"), f"slipway-model-{SECOND_MODEL}"
        named = ["CAPABILITY_NAMED_IAM"]
        cloudformation.create_stack(StackName=name, TemplateBody=body, Parameters=prefix, Capabilities=named)
        assert aws.stack(name)["StackStatus"] == "CREATE_COMPLETE"
        sts = aws.client("sts", **_keys(*astuple(CREDENTIALS.airflow)))
        role = f"arn:aws:iam::{ACCOUNT}:role/slipway-airflow"
        session = sts.assume_role(RoleArn=role, RoleSessionName="life")["Credentials"]
        with pytest.MonkeyPatch.context() as patch:
            lead_hooks_to(aws.endpoint_url, patch)
            keys = _keys(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
            for key, value in keys.items():
                patch.setenv(key.upper(), value)
            # Without an Airflow to ask, a run that holds a stage has always ended.
            patch.setattr(runs, "goes_on", lambda dag_id, run_id: False)
            yield aws, person
    finally:
        aws.stop()


def _keys(*values: str) -> dict[str, str]:
    names_of = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    return dict(zip(names_of, values, strict=False))
