"""A release with a model on trial in production, and the tasks that decide on it."""

import time
from datetime import UTC, datetime
from typing import Any

from slipway.aws.cloudwatch import next_whole_minute
from slipway.deployment.weights import trial_share
from slipway.model.config import ModelConfig
from slipway.model.trial import Trial, TrialRule
from slipway.trial.decide import TrialDecisionSensor
from slipway.trial.settle import TrialSettleOperator
from slipway.trial.wait import TrialTrigger
from slipway.trial.watch import TrialWatchOperator
from tests.cfn.releases import PRD, Model, Release
from tests.local_aws.sagemaker_cases import model_data
from tests.unit.scripted_aws import MemoryStore
from tests.unit.task_runs import context, first_event, run_task

# The local AWS publishes its metrics every minute. A trial and a bake last only a second here, so the test publishes
# the metrics itself.
SECOND = 1 / 60
RULE = TrialRule(latency_p99_ratio=None, minimum_invocations=10)


class TrialModel(Model):
    """A model whose file has a trial that its rule decides."""

    def __init__(self, aws, **trial: Any) -> None:
        super().__init__(aws)
        settings = Trial(**{"minutes": SECOND, "bake_minutes": SECOND, "decide": "rule", "rule": RULE} | trial)
        self.config: ModelConfig = self.config.model_copy(update={"trial": settings})
        self.made: list[Release] = []

    def on_trial(self, number: int = 2, **production: Any) -> "TrialRun":
        """Deploy this number of releases to production; the last one is on trial beside the first one."""
        for shift in range(number):
            fields = {"InitialVariantWeight": 0.1, **production}
            release = self.release(model_data(self.aws, label_shift=shift), **fields).approve()
            self.made.append(release)
            run = TrialRun(release)
            run.deploy()
        return run


class TrialRun:
    """One run: its XComs and its tasks' state stores, which outlive every attempt."""

    def __init__(self, release: Release) -> None:
        self.release, self.aws = release, release.model.aws
        self.run_id = f"s3__{release.plan.revision_id}"
        self.endpoint_name = release.plan.endpoint(PRD)
        self.xcoms: dict[str, Any] = {
            "process_request": release.plan.to_xcom(),
            "register": {"model_package_arn": release.package_arn},
        }
        self.stores: dict[str, MemoryStore] = {}

    def context(self, task_id: str) -> dict[str, Any]:
        made = context(self.xcoms, run_id=self.run_id)
        made["ti"].dag_id, made["ti"].run_id, made["ti"].task_id, made["ti"].id = (
            "iris-model",
            self.run_id,
            task_id,
            "x",
        )
        made["task_instance"] = made["ti"]
        made["task_state_store"] = self.stores.setdefault(task_id, MemoryStore())
        return made

    def deploy(self) -> dict[str, Any]:
        from slipway.deployment.deploy_endpoint import EndpointDeployOperator

        operator = EndpointDeployOperator(
            task_id="deploy_prd", model=self.release.model.config, environment=PRD, do_xcom_push=False
        )
        return run_task(operator, self.context("deploy_prd"))

    def make(self, task_id: str) -> Any:
        kinds = {
            "watch_trial": TrialWatchOperator,
            "decide_trial": TrialDecisionSensor,
            "settle_trial": TrialSettleOperator,
        }
        return kinds[task_id](task_id=task_id, model=self.release.model.config, do_xcom_push=False)

    def run(self, task_id: str, wait=first_event) -> dict[str, Any]:
        self.xcoms[task_id] = result = run_task(self.make(task_id), self.context(task_id), wait=wait)
        return result

    def watch(self, *, live: tuple[int, int] = (100, 1), trial: tuple[int, int] = (40, 0), wait=first_event) -> dict:
        """Watch the trial, while both variants get requests.

        :param live: invocations and errors of the live model
        :param trial: those of the new one
        """

        def answer(trigger):
            # Within the watched time, whenever the minute began.
            if isinstance(trigger, TrialTrigger):
                self.measured(trigger, "model-a", *live)
                self.measured(trigger, "model-b", *trial)
            return wait(trigger)

        return self.run("watch_trial", answer)

    def measured(self, trigger: Any, variant: str, invocations: int, errors: int = 0) -> None:
        """Let CloudWatch show what a variant did in this minute, or in the first that a trigger counts."""
        minute = max(next_whole_minute(trigger.began), time.time() // 60 * 60)
        now = datetime.fromtimestamp(minute, UTC)
        dimensions = [{"Name": "EndpointName", "Value": self.endpoint_name}, {"Name": "VariantName", "Value": variant}]
        self.aws.client("cloudwatch").put_metric_data(
            Namespace="AWS/SageMaker",
            MetricData=[
                {"MetricName": name, "Dimensions": dimensions, "Timestamp": now, "Value": value}
                for name, value in (("Invocations", invocations), ("Invocation5XXErrors", errors))
            ],
        )

    # What the local AWS shows.

    def share(self) -> float | None:
        """The share of requests that the model on trial gets; None where there is none."""
        share = trial_share(self.endpoint())
        return None if share is None else round(share, 3)

    def endpoint(self) -> dict[str, Any]:
        return self.aws.client("sagemaker").describe_endpoint(EndpointName=self.endpoint_name)

    def weights(self) -> dict[str, float]:
        return {one["VariantName"]: round(one["CurrentWeight"], 4) for one in self.endpoint()["ProductionVariants"]}

    def served(self, variant: str) -> str:
        """The artefact behind a variant."""
        sagemaker = self.aws.client("sagemaker")
        config = sagemaker.describe_endpoint_config(EndpointConfigName=self.endpoint()["EndpointConfigName"])
        names = {one["VariantName"]: one["ModelName"] for one in config["ProductionVariants"]}
        return sagemaker.describe_model(ModelName=names[variant])["PrimaryContainer"]["ModelDataUrl"]

    def outputs(self) -> dict[str, str]:
        stack = self.aws.stack(self.release.plan.stack(PRD))
        return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}

    def record(self) -> dict[str, str]:
        package = self.aws.client("sagemaker").describe_model_package(ModelPackageName=self.release.package_arn)
        properties = package["CustomerMetadataProperties"]
        return {key: value for key, value in properties.items() if key.startswith("slipway-trial-")}

    def scaled(self) -> set[str]:
        """The variants with auto scaling."""
        prefix = f"endpoint/{self.endpoint_name}/variant/"
        found = self.aws.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
        ids = (one["ResourceId"] for one in found["ScalableTargets"])
        return {one.removeprefix(prefix) for one in ids if one.startswith(prefix)}

    def moves(self) -> int:
        """How often the weights were changed, by the ledger, which does not keep the values."""
        calls = self.aws.ledger(operation="UpdateEndpointWeightsAndCapacities", outcome="ok")
        return sum(self.endpoint_name in str(call["resource"]) for call in calls)
