"""The life of two models under the roles of bootstrap.yaml and model.yaml, task by task as their runs go.

Each step is a function; `EACH_STEP` has them in order. What the roles are asked for meanwhile is in the ledger.
"""

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from slipway import names
from slipway.aws.cloudformation import CloudFormationHook
from slipway.aws.documents import S3Documents
from slipway.aws.s3 import bucket_and_key
from slipway.aws.sagemaker import SageMakerHook
from slipway.cleanup.collect_garbage import CollectGarbageOperator
from slipway.cleanup.teardown import NothingLeftOperator, TeardownOperator
from slipway.deployment import drift
from slipway.errors import StackFailed, TrainingFailed
from slipway.live.look import LiveSurvey
from slipway.live.snapshot import Snapshot
from slipway.model import config as model_config
from slipway.model.config import ModelConfig
from slipway.model.trial import Trial
from slipway.notices.send import Message, Notice, Notices
from slipway.source.intake import WatchedBucket, take_in
from slipway.source.versions import S3Versions
from slipway.source.watcher import UploadWatcherTrigger
from slipway.stress.operators import ReleaseStressOperator
from slipway.stress.report_hook import StressReportHook
from slipway.training import orphans
from slipway.training.reaper import reap
from slipway.training.train import SlipwayTrainingOperator
from slipway.trial.wait import TrialTrigger
from tests.cfn.life_images import build_an_image, look_at_images
from tests.cfn.life_models import FIRST, SECOND_MODEL, TOPIC, LifeModel, LifeRelease, real_account
from tests.cfn.releases import DEV, PRD, RollBack
from tests.cfn.trials import RULE, SECOND, TrialRun
from tests.local_aws.load import Load
from tests.local_aws.sagemaker_cases import BUCKET, create_config, variant, wait_for_endpoint
from tests.local_aws.server import ACCOUNT, REGION, LocalAws, eventually
from tests.unit.request_samples import changed
from tests.unit.scripted_aws import MemoryStore
from tests.unit.signatures import teardown_context
from tests.unit.task_runs import context, first_event, run_task

SCALING = {
    "MinCapacity": 1,
    "MaxCapacity": 3,
    "TargetValue": 1000,
    "ScaleInCooldown": 60,
    "ScaleOutCooldown": 60,
    "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance",
}
# Rows of iris, one of each species, and what they are with a column that no model of iris has.
ROWS = ("5.1,3.5,1.4,0.2", "6.0,2.7,4.5,1.5", "6.3,3.3,6.0,2.5")


class KilledError(Exception):
    """The task ends here."""


class Life:
    """Both models and who acts for them.

    :param aws: with the administrator's clients
    :param person: makes clients of slipway-operator
    """

    def __init__(self, aws: LocalAws, person: Callable[[str], Any]) -> None:
        self.aws, self.person = aws, person
        self.first = LifeModel(aws, person, FIRST)
        self.second = LifeModel(aws, person, SECOND_MODEL)
        self.production: list[LifeRelease] = []

    # --- steps, in order --------------------------------------------------------------------------------------

    def a_person_uploads_data(self) -> None:
        """Both models' data, and for one of them rows that no other model answers."""
        from sklearn.datasets import load_iris

        iris = load_iris()
        s3 = self.person("s3")
        for model in (self.first, self.second):
            for folder, more in (("input", ""), ("input/wide", ",1.0")):
                rows = [
                    f"{label},{','.join(map(str, row))}{more}"
                    for row, label in zip(iris.data, iris.target, strict=True)
                ]
                for channel, part in (("validation", rows[::3]), ("train", [r for i, r in enumerate(rows) if i % 3])):
                    key = f"{model.prefix}/{folder}/{channel}/iris.csv"
                    s3.put_object(Bucket=BUCKET, Key=key, Body="\n".join(part).encode())

    def uploads_are_noticed(self) -> None:
        """By the queue and by the bucket's listing."""
        model = self.first
        store = MemoryStore()
        bucket = WatchedBucket(BUCKET, "aws_default", {model.config.source.key: model.prefix})
        take_in(bucket, store, S3Versions(), lambda *_: True)
        trigger = UploadWatcherTrigger(
            bucket=BUCKET, keys=[model.config.source.key], queues=["slipway-uploads"], poll_seconds=0.2
        )
        trigger.asset_state_store = store

        async def first() -> None:
            stream = trigger.run()
            watching = asyncio.create_task(anext(stream))
            await asyncio.sleep(1)
            await asyncio.to_thread(model.upload)
            await asyncio.wait_for(watching, 120)
            take_in(bucket, store, S3Versions(), lambda *_: True)
            # The next look deletes the notification.
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 3)

        asyncio.run(first())

    def a_first_release(self) -> None:
        release = self.first.release(ABTests=False, AutoScaling=SCALING)
        release.deploy(DEV)
        release.test(DEV)
        assert release.deploy(DEV)["change"] == "unchanged"
        self.stressed(release)
        release.approve().deploy(PRD)
        release.test(PRD)
        self.production.append(release)

    def stressed(self, release: LifeRelease) -> None:
        """Load development, and keep the evidence."""
        stress = {"allowed": True, "before_production": True, "slo": {"min_accuracy": 0.5}}
        load = {"stages": [{"concurrency": 2, "requests": 50}], "watch_seconds": 1}
        before = release.model.config
        release.model.config = ModelConfig.model_validate(before.model_dump() | {"stress": stress | load})
        report = release.run("stress_dev", ReleaseStressOperator)["report"]
        release.model.config = before
        # The link of the task.
        with urllib.request.urlopen(StressReportHook().address(*bucket_and_key(report))) as answer:  # noqa: S310
            assert answer.status == 200

    def a_trial_that_is_promoted(self) -> None:
        place = f"s3://{BUCKET}/{FIRST}/ground-truth/"
        short = {"minutes": SECOND, "bake_minutes": SECOND, "decide": "rule", "rule": RULE}
        self.first.change(trial=Trial(**short, ground_truth=place))
        fields = {"ABTests": True, "InitialVariantWeight": 0.1, "AutoScaling": SCALING}
        release = self.first.release(**fields).approve()
        run = TrialRun(release)
        run.deploy()

        def wait(trigger: Any) -> dict[str, Any]:
            if isinstance(trigger, TrialTrigger):
                self.answered_and_labelled(run)
            return first_event(trigger)

        run.watch(wait=wait)
        run.run("decide_trial")
        assert run.run("settle_trial")["outcome"] == "promoted"
        self.first.change(trial=None)
        self.production.append(release)

    def answered_and_labelled(self, run: TrialRun) -> None:
        """Let people ask both variants, and write down the truth about the answers."""
        # The times of captured answers are whole seconds, and those before the watch do not count.
        time.sleep(1)
        runtime, records = self.person("sagemaker-runtime"), []
        for variant_name in ("model-a", "model-b"):
            for number in range(40):
                row = {"EndpointName": run.endpoint_name, "Body": ROWS[0], "ContentType": "text/csv"}
                name = f"{variant_name}-{number}"
                runtime.invoke_endpoint(**row, TargetVariant=variant_name, InferenceId=name)
                records.append(
                    {
                        "groundTruthData": {"data": "0", "encoding": "CSV"},
                        "eventMetadata": {"eventId": name},
                        "eventVersion": "0",
                    }
                )
        now = datetime.now(UTC)
        key = f"{FIRST}/ground-truth/{now:%Y/%m/%d/%H}/truth.jsonl"
        self.person("s3").put_object(Bucket=BUCKET, Key=key, Body="\n".join(map(json.dumps, records)).encode())
        captured = f"{FIRST}/monitoring/ProductionEndpoint/{run.endpoint_name}"
        for variant_name in ("model-a", "model-b"):
            look = partial(self.captures, f"{captured}/{variant_name}/", f'"{variant_name}-')
            eventually(look, lambda count: count >= len(records) / 2)

    def captures(self, prefix: str, beginning: str) -> int:
        """Count the captured answers whose inference ids begin in this way."""
        s3 = self.aws.client("s3")
        keys = [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ())]
        return sum(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().count(beginning.encode()) for key in keys)

    def a_change_of_instance_type(self) -> None:
        release = self.first.release(ABTests=False, AutoScaling=SCALING, InstanceType="ml.c5.xlarge").approve()
        release.deploy(PRD)
        self.production.append(release)

    def scaling_by_the_clock(self) -> None:
        schedule = [{"name": "night", "schedule": "rate(1 day)", "min_capacity": 1, "max_capacity": 2}]
        for wanted in (schedule, []):
            fields = self.first.config.model_dump() | {"scaling_schedule": wanted}
            self.first.config = ModelConfig.model_validate(fields)
            release = self.first.release(ABTests=False, AutoScaling=SCALING).approve()
            release.deploy(PRD)
            self.production.append(release)

    def a_canary_that_its_alarm_takes_back(self) -> None:
        model = self.second
        canary = {"strategy": "canary", "step_percent": 50, "wait_seconds": 180}
        timeouts = model.config.timeouts.model_dump() | {"stack_seconds": 10_000}
        alarms = {"model_error_share": 0.2}
        model.config = ModelConfig.model_validate(
            model.config.model_dump() | {"alarms": alarms, "deployment": canary, "timeouts": timeouts}
        )
        fields = {"ABTests": False, "AutoScaling": None, "InitialInstanceCount": 2}
        good = model.release(**fields).approve()
        good.deploy(PRD)
        longer = canary | {"wait_seconds": 3000, "maximum_seconds": 7200}
        quick = model.config
        model.config = ModelConfig.model_validate(model.config.model_dump() | {"deployment": longer})
        bad = model.release(**fields, job=model.job("input/wide")).approve()
        with (
            Load(self.aws, good.plan.endpoint(PRD), ROWS[0], 50),
            pytest.raises(StackFailed, match=r"the alarm slipway-.* fired at"),
        ):
            bad.deploy(PRD)
        model.config = quick
        model.release(**fields).approve().deploy(PRD)
        # Where no resource has failed, the reason is among what CloudFormation had found wrong before.
        assert CloudFormationHook().failures(self.aws.stack(good.plan.stack(PRD))["StackId"]) == []

    def a_roll_back(self) -> None:
        back = RollBack(self.first, "previous")
        back.choose()
        back.deploy()

    def notices(self) -> None:
        message = Message(Notice.WANTED, "life", FIRST, "text", "link")
        ctx = context({}) | {"task_state_store": MemoryStore()}
        assert Notices(TOPIC).send(message, ctx, "aws_default")

    def what_is_wrong_with_a_job(self) -> None:
        """The end of its log is in the error."""
        job = self.first.job()
        changed(job, "HyperParameters.num_class", "1")
        with pytest.raises(TrainingFailed, match="last lines of its log"):
            self.first.release(job=job)

    def a_job_with_checkpoints(self) -> None:
        """It goes on from what an earlier one has left; the local AWS's XGBoost writes none itself."""
        where = f"{FIRST}/checkpoints/"
        self.aws.client("s3").put_object(Bucket=BUCKET, Key=f"{where}xgboost-checkpoint.1", Body=b"1")
        job = self.first.job(CheckpointConfig={"S3Uri": f"s3://{BUCKET}/{where}"})
        LifeRelease.of(self.first, self.first.upload(job=job)).run("train", SlipwayTrainingOperator)

    def an_orphan_is_stopped(self) -> None:
        job = self.first.job()
        changed(job, "HyperParameters.num_round", "100000")
        plan = self.first.upload(job=job)
        tasks = SimpleNamespace(task_state=lambda owner: "failed", run_is_open=lambda owner: True)

        def reaped(trigger):
            if trigger.job_name.endswith("-2"):
                raise KilledError
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(orphans, "GRACE", timedelta(0))
                assert reap(SageMakerHook(), tasks, "tests") == [trigger.job_name]
            return first_event(trigger)

        operator = SlipwayTrainingOperator(task_id="train", model=self.first.config)
        with pytest.raises(KilledError):
            run_task(operator, context({"process_request": plan.to_xcom()}), wait=reaped)
        SageMakerHook().stop_training_job(f"{plan.training_job_name}-2")

    def an_image_is_built(self) -> None:
        """From its source, and once more while nobody waits for it."""
        build_an_image(self.aws, self.person)

    def a_look_for_drift(self) -> None:
        """Something is changed by hand; the look names it, and the next deployment reverts it."""
        model = self.second
        release = model.release(ABTests=False, AutoScaling=None, InitialInstanceCount=2).approve()
        release.deploy(PRD)
        dashboard = f"slipway-{release.plan.endpoint(PRD)}-{REGION}"
        self.aws.client("cloudwatch").delete_dashboards(DashboardNames=[dashboard])
        assert drift.of_stack(release.plan.stack(PRD), "aws_default")
        assert release.deploy(PRD)["change"] == "updated"
        assert self.aws.client("cloudwatch").get_dashboard(DashboardName=dashboard)

    def a_look_at_what_is_live(self) -> None:
        """The survey describes the endpoints of both models, and keeps them for the board."""
        found = LiveSurvey([FIRST, SECOND_MODEL], "aws_default").look(Snapshot()).snapshot
        live = {one.environment: one for one in found.endpoints.values() if one.model == FIRST}
        assert set(live) == {DEV.value, PRD.value}
        assert {one.model for one in found.endpoints.values()} == {FIRST, SECOND_MODEL}
        assert all(variant.package_arn for one in found.endpoints.values() for variant in one.variants)
        assert any(one.alarms for one in found.endpoints.values() if one.model == SECOND_MODEL)

    def garbage(self) -> None:
        """Releases beyond those that are kept, and what a stack left behind."""
        self.first.change(roll_back=model_config.RollBack(keep_releases=1))
        tag = [{"Key": "slipway:model-prefix", "Value": FIRST}]
        live = self.first.release(ABTests=False, AutoScaling=SCALING).approve()
        for release in [*self.production, live]:
            claim = {"dag_id": "x", "run_id": "x", "sequence": release.plan.sequence, "claimed_at": "2026-01-01"}
            S3Documents().write(BUCKET, names.claim_key(FIRST, release.plan.revision_id), claim, etag=None)
        live.deploy(PRD)
        left = self.left_over(live, tag)
        operator = CollectGarbageOperator(task_id="collect_garbage", model=self.first.config, do_xcom_push=False)
        found = run_task(self.first.at_its_gate(operator), context({"process_request": live.plan.to_xcom()}))
        self.production.append(live)
        assert found["revisions"] and set(left) <= {one.split()[-1] for one in found["resources"]}, found

    def left_over(self, release: LifeRelease, tag: list[dict[str, str]]) -> list[str]:
        sagemaker = self.aws.client("sagemaker")
        name = f"left-{time.time_ns()}"
        sagemaker.create_model(
            ModelName=name,
            PrimaryContainer={
                "Image": release.package["InferenceSpecification"]["Containers"][0]["Image"],
                "ModelDataUrl": release.model_data_url,
            },
            ExecutionRoleArn=f"arn:aws:iam::{ACCOUNT}:role/{names.endpoint_role(FIRST)}",
            Tags=tag,
        )
        return [name, create_config(self.aws, variant(name), Tags=tag)]

    def a_person_looks(self) -> None:
        """What the pages of docs/ and AWS's console show people, and an upload that is broken off."""
        look_at_images(self.person)
        s3, sagemaker, cloudformation = map(self.person, ("s3", "sagemaker", "cloudformation"))
        cloudwatch, logs, scaling = map(self.person, ("cloudwatch", "logs", "application-autoscaling"))
        key, live = self.first.config.source.key, self.production[-1]
        version = s3.list_object_versions(Bucket=BUCKET, Prefix=key)["Versions"][0]["VersionId"]
        s3.get_object(Bucket=BUCKET, Key=s3.list_objects_v2(Bucket=BUCKET, Prefix=key)["Contents"][0]["Key"])
        s3.get_object(Bucket=BUCKET, Key=key, VersionId=version)
        place = {"Bucket": BUCKET, "Key": f"{FIRST}/input/train/broken-off.csv"}
        s3.abort_multipart_upload(**place, UploadId=s3.create_multipart_upload(**place)["UploadId"])

        stack, endpoint = live.plan.stack(PRD), live.plan.endpoint(PRD)
        config = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
        variants = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
        arn = sagemaker.describe_model(ModelName=variants[0]["ModelName"])["ModelArn"]
        sagemaker.list_tags(ResourceArn=arn)
        sagemaker.describe_model_package(ModelPackageName=live.package_arn)
        sagemaker.describe_model_package_group(ModelPackageGroupName=live.plan.model_package_group)
        sagemaker.describe_training_job(TrainingJobName=live.plan.training_job_name)
        for kind in ("endpoint_configs", "endpoints", "model_package_groups", "model_packages", "models"):
            arguments = {"ModelPackageGroupName": live.plan.model_package_group} if kind == "model_packages" else {}
            getattr(sagemaker, f"list_{kind}")(**arguments)
        sagemaker.list_training_jobs()
        self.person("sagemaker-runtime").invoke_endpoint(EndpointName=endpoint, Body=ROWS[0], ContentType="text/csv")

        cloudformation.describe_stacks(StackName=stack)
        change_set = self.aws.client("cloudformation").list_change_sets(StackName=stack)["Summaries"][0]
        cloudformation.describe_change_set(StackName=stack, ChangeSetName=change_set["ChangeSetName"])
        for look in ("describe_stack_events", "describe_stack_resources", "list_stack_resources"):
            getattr(cloudformation, look)(StackName=stack)
        cloudformation.list_stacks()
        for look in ("describe_scalable_targets", "describe_scaling_activities", "describe_scaling_policies"):
            getattr(scaling, look)(ServiceNamespace="sagemaker")
        scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")
        cloudwatch.describe_alarms(AlarmNamePrefix="slipway-")
        cloudwatch.describe_alarm_history()
        cloudwatch.get_dashboard(DashboardName=cloudwatch.list_dashboards()["DashboardEntries"][0]["DashboardName"])
        metric = cloudwatch.list_metrics(Namespace="AWS/SageMaker")["Metrics"][0]
        span = {"StartTime": datetime.now(UTC) - timedelta(hours=1), "EndTime": datetime.now(UTC)}
        query = {"Id": "m", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}
        cloudwatch.get_metric_data(MetricDataQueries=[query], **span)
        cloudwatch.get_metric_statistics(**metric, **span, Period=60, Statistics=["Sum"])
        group = "/aws/sagemaker/TrainingJobs"
        logs.describe_log_groups(logGroupNamePrefix=group)
        stream = logs.describe_log_streams(logGroupName=group)["logStreams"][0]["logStreamName"]
        logs.get_log_events(logGroupName=group, logStreamName=stream)
        logs.filter_log_events(logGroupName=group)

    def a_teardown(self) -> None:
        """Of the first model; then of its record, and of an endpoint that no stack has."""
        form = teardown_context(FIRST)
        run_task(TeardownOperator(task_id="remove"), form)
        assert run_task(NothingLeftOperator(task_id="nothing_left"), form) == []

        tag = [{"Key": "slipway:model-prefix", "Value": FIRST}]
        _, config = self.left_over(self.production[-1], tag)
        name = self.production[-1].plan.endpoint(PRD)
        self.aws.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=tag)
        wait_for_endpoint(self.aws, name)
        self.aws.client("application-autoscaling").register_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId=f"endpoint/{name}/variant/model-a",
            ScalableDimension="sagemaker:variant:DesiredInstanceCount",
            MinCapacity=1,
            MaxCapacity=2,
        )
        form = teardown_context(FIRST, remove_record=True)
        run_task(TeardownOperator(task_id="remove"), form)
        assert run_task(NothingLeftOperator(task_id="nothing_left"), form) == []


EACH_STEP = (
    Life.a_person_uploads_data,
    Life.uploads_are_noticed,
    Life.a_first_release,
    Life.a_trial_that_is_promoted,
    Life.a_change_of_instance_type,
    Life.scaling_by_the_clock,
    Life.a_canary_that_its_alarm_takes_back,
    Life.a_roll_back,
    Life.notices,
    Life.what_is_wrong_with_a_job,
    Life.a_job_with_checkpoints,
    Life.an_orphan_is_stopped,
    Life.an_image_is_built,
    Life.a_look_for_drift,
    Life.a_look_at_what_is_live,
    Life.a_person_looks,
    Life.garbage,
    Life.a_teardown,
)


@contextmanager
def real_roles(state: Path, *arguments: str) -> Iterator[Life]:
    """Run an account for a life."""
    with real_account(state, *arguments) as (aws, person):
        yield Life(aws, person)
