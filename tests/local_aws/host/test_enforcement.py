"""IAM as the roles of bootstrap.yaml and model.yaml meet it: what they may do, and what a refusal says."""

import contextlib
import json
from dataclasses import astuple
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError

from local_aws.compute.base import ContainerFailed
from local_aws.compute.checkpoints import Checkpoints
from tests.aws_keys import CREDENTIALS
from tests.local_aws import sagemaker_cases as cases
from tests.local_aws.server import ACCOUNT, REGION, ROOT, LocalAws
from tests.local_aws.signing import signed
from tools import bootstrap_stack
from tools.settings import AIRFLOW_PRINCIPAL

pytestmark = pytest.mark.local_aws

BUCKET = cases.BUCKET
TAGS = [{"Key": "slipway:model-prefix", "Value": "iris-model"}]
AIRFLOW = f"arn:aws:iam::{ACCOUNT}:role/slipway-airflow"
CLOUDFORMATION = f"arn:aws:iam::{ACCOUNT}:role/slipway-cloudformation"
TRAINING = f"arn:aws:iam::{ACCOUNT}:role/slipway-training-iris-model"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/slipway-airflow/tests"
SAGEMAKER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"


@pytest.fixture(scope="module")
def local_aws(tmp_path_factory):
    """A local AWS whose users and roles may do what releases need, and no more."""
    running = LocalAws(tmp_path_factory.mktemp("strict_aws") / "state", as_admin=True).start()
    try:
        assert bootstrap_stack.deploy(running.client, ROOT / "include", AIRFLOW_PRINCIPAL) == []
        yield running
    finally:
        running.stop()


def keys_of(key):
    return dict(zip(("aws_access_key_id", "aws_secret_access_key"), astuple(key), strict=True))


@pytest.fixture(scope="module")
def airflow(local_aws):
    """Makes clients of slipway-airflow."""
    sts = local_aws.client("sts", **keys_of(CREDENTIALS.airflow))
    session = sts.assume_role(RoleArn=AIRFLOW, RoleSessionName="tests")["Credentials"]
    return lambda service: local_aws.client(
        service,
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )


def refused(call, **parameters):
    with pytest.raises(ClientError) as error:
        call(**parameters)
    return error.value.response["Error"]


def text(action, resource, who=SESSION):
    return (
        f"User: {who} is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )


def job(name, **changes):
    return {**cases.training_request(name, "iris-model"), "RoleArn": TRAINING, "Tags": TAGS, **changes}


class TestTheRoleOfAirflow:
    def test_it_uses_the_bucket_which_asks_for_tls(self, local_aws, airflow):
        cases.upload(local_aws, "iris-model")
        assert airflow("s3").get_object(Bucket=BUCKET, Key="iris-model/input/train/data.csv")["Body"].read()

    def test_a_header_does_not_decide_about_tls(self, local_aws):
        headers = signed("GET", f"{local_aws.endpoint_url}/{BUCKET}", "s3", headers={"X-Forwarded-Proto": "http"})
        request = Request(f"{local_aws.endpoint_url}/{BUCKET}", headers=headers)  # noqa: S310
        assert urlopen(request).status == 200  # noqa: S310

    @pytest.mark.parametrize(
        ("service", "operation", "parameters", "action", "resource"),
        [
            (
                "sagemaker",
                "describe_training_job",
                {"TrainingJobName": "theirs"},
                "sagemaker:DescribeTrainingJob",
                f"{SAGEMAKER}:training-job/theirs",
            ),
            (
                "sagemaker",
                "delete_endpoint",
                {"EndpointName": "untagged"},
                "sagemaker:DeleteEndpoint",
                f"{SAGEMAKER}:endpoint/untagged",
            ),
            (
                "sagemaker",
                "create_endpoint",
                {"EndpointName": "e", "EndpointConfigName": "c"},
                "sagemaker:CreateEndpoint",
                f"{SAGEMAKER}:endpoint/e",
            ),
            (
                "cloudformation",
                "delete_stack",
                {"StackName": "theirs"},
                "cloudformation:DeleteStack",
                f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/theirs/*",
            ),
            (
                "s3",
                "put_object",
                {"Bucket": BUCKET, "Key": "templates/endpoint-0.yaml", "Body": b""},
                "s3:PutObject",
                f'"arn:aws:s3:::{BUCKET}/templates/endpoint-0.yaml"',
            ),
            (
                "cloudwatch",
                "delete_alarms",
                {"AlarmNames": ["slipway-a"]},
                "cloudwatch:DeleteAlarms",
                f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:slipway-a",
            ),
            ("iam", "list_roles", {}, "iam:ListRoles", "*"),
            (
                "application-autoscaling",
                "register_scalable_target",
                {
                    "ServiceNamespace": "sagemaker",
                    "ResourceId": "endpoint/e/variant/v",
                    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
                },
                "application-autoscaling:RegisterScalableTarget",
                f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT}:scalable-target/*",
            ),
        ],
    )
    def test_what_no_statement_allows_is_refused_in_awss_words(
        self, local_aws, airflow, service, operation, parameters, action, resource
    ):
        error = refused(getattr(airflow(service), operation), **parameters)
        assert error["Code"] in ("AccessDenied", "AccessDeniedException")
        assert error["Message"] == text(action, resource)
        call = [call for call in local_aws.ledger(caller=SESSION) if "denied" in call][-1]
        assert call["outcome"] == error["Code"]
        assert call["denied"]["statement"] == {
            "Effect": "Allow",
            "Action": action,
            "Resource": resource.strip('"'),
        }

    def test_the_ledger_names_the_statement_whose_condition_is_not_met(self, local_aws, airflow):
        refused(airflow("sagemaker").create_training_job, **job("mlops-iris-model-untagged", Tags=[]))
        call = local_aws.ledger(operation="CreateTrainingJob", resource="mlops-iris-model-untagged")[0]
        assert call["denied"]["why"] == "the condition of sagemaker/StartJobsThatCarryOurTag is not met"

    def test_a_buckets_policy_denies_what_the_administrator_may(self, local_aws):
        error = refused(local_aws.client("s3").put_object, Bucket=BUCKET, Key="releases/x/model.tar.gz", Body=b"x")
        assert error["Message"].endswith("with an explicit deny in a resource-based policy")
        call = local_aws.ledger(operation="PutObject", resource=f"{BUCKET}/releases/x/model.tar.gz")[0]
        assert call["denied"]["why"] == "a statement denies it"

    def test_the_ledger_names_the_statement_that_allows_or_denies_a_call(self, local_aws, airflow):
        """By API call, by S3, by a role that is handed over, and by the bucket's policy."""

        def decided(operation, resource):
            (*_, call) = local_aws.ledger(operation=operation, resource=resource)
            return [(one["action"], one["resource"], one["allowed"], one["statement"]) for one in call["iam"]]

        cases.upload(local_aws, "iris-model")
        name = "mlops-iris-model-named"
        airflow("sagemaker").create_training_job(**job(name))
        # The job may have ended by then, which is no matter of rights.
        with contextlib.suppress(ClientError):
            airflow("sagemaker").stop_training_job(TrainingJobName=name)
        arn = f"{SAGEMAKER}:training-job/{name}"
        assert decided("CreateTrainingJob", name) == [
            ("sagemaker:CreateTrainingJob", arn, True, "sagemaker/StartJobsThatCarryOurTag"),
            ("sagemaker:AddTags", arn, True, "sagemaker/FollowJobs"),
            ("iam:PassRole", TRAINING, True, "sagemaker/HandJobsTheirRole"),
        ]
        (call,) = local_aws.ledger(operation="StopTrainingJob", resource=name)
        assert [one["principal"] for one in call["iam"]] == [SESSION]

        key = "releases/iris-model/named/model.tar.gz"
        airflow("s3").put_object(Bucket=BUCKET, Key=key, Body=b"x")
        said = ("s3:PutObject", f"arn:aws:s3:::{BUCKET}/{key}")
        assert decided("PutObject", f"{BUCKET}/{key}") == [(*said, True, "s3/KeepCopiesOfReleases")]
        refused(local_aws.client("s3").put_object, Bucket=BUCKET, Key=key, Body=b"x")
        denies = "policy of the resource/OnlyAirflowWritesReleases"
        assert decided("PutObject", f"{BUCKET}/{key}") == [(*said, False, denies)]

    def test_a_batch_of_messages_needs_the_permission_for_one(self, local_aws, airflow):
        sqs = airflow("sqs")
        url = sqs.get_queue_url(QueueName="slipway-uploads")["QueueUrl"]
        sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": "1", "ReceiptHandle": "gone"}])
        (*_, call) = local_aws.ledger(operation="DeleteMessageBatch")
        assert [(one["action"], one["statement"]) for one in call["iam"]] == [
            ("sqs:DeleteMessage", "watch/HearOfUploads")
        ]

    def test_alarms_are_found_by_a_prefix(self, airflow):
        assert "MetricAlarms" in airflow("cloudwatch").describe_alarms(AlarmNamePrefix="slipway-")

    def test_tags_of_resources_decide(self, local_aws, airflow):
        admin = local_aws.client("sagemaker")
        for name, tags in (("tagged-for-iam", TAGS), ("untagged-for-iam", [])):
            admin.create_model(
                ModelName=name,
                ExecutionRoleArn=cases.ROLE,
                PrimaryContainer={"Image": cases.IMAGE},
                Tags=tags,
            )
        airflow("sagemaker").delete_model(ModelName="tagged-for-iam")
        assert refused(airflow("sagemaker").delete_model, ModelName="untagged-for-iam")["Code"] == (
            "AccessDeniedException"
        )

    def test_packages_are_registered_without_an_approval(self, airflow):
        sagemaker = airflow("sagemaker")
        sagemaker.create_model_package_group(ModelPackageGroupName="mlops-iam", Tags=TAGS)
        package = {
            "ModelPackageGroupName": "mlops-iam",
            "InferenceSpecification": {
                "Containers": [{"Image": cases.IMAGE}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
        }
        assert refused(sagemaker.create_model_package, **package, ModelApprovalStatus="Approved")["Code"] == (
            "AccessDeniedException"
        )
        made = sagemaker.create_model_package(**package, ModelApprovalStatus="PendingManualApproval")
        assert sagemaker.describe_model_package(ModelPackageName=made["ModelPackageArn"])["ModelPackageVersion"] == 1


class TestPassedRoles:
    def test_a_role_of_another_service_is_not_handed_over(self, local_aws, airflow):
        name = "mlops-iris-model-with-another-role"
        error = refused(airflow("sagemaker").create_training_job, **job(name, RoleArn=CLOUDFORMATION))
        assert error == {"Code": "AccessDeniedException", "Message": text("iam:PassRole", CLOUDFORMATION)}
        call = local_aws.ledger(operation="CreateTrainingJob", resource=name)[0]
        assert call["denied"]["statement"]["Action"] == "iam:PassRole"

    def test_airflows_own_role_is_not_handed_to_cloudformation(self, airflow):
        error = refused(
            airflow("cloudformation").delete_stack, StackName="mlops-deploy-iris-model-dev", RoleARN=AIRFLOW
        )
        assert error["Message"] == text("iam:PassRole", AIRFLOW)

    @pytest.mark.parametrize("role", ["slipway-training-nobody", "slipway-cloudformation"])
    def test_a_role_that_sagemaker_cannot_assume_is_refused(self, local_aws, role):
        """The administrator may hand over every role, but it is missing, or trusts another service."""
        cases.upload(local_aws, "iris-model")
        arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
        error = refused(local_aws.client("sagemaker").create_training_job, **job("cannot-assume", RoleArn=arn))
        assert error["Code"] == "ValidationException"
        assert error["Message"].startswith(f"Could not assume role {arn}. Please ensure that the role exists")

    @pytest.mark.parametrize("role", ["nobody", "slipway-training-iris-model"])
    def test_a_role_that_cloudformation_cannot_assume_is_refused(self, local_aws, role):
        arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
        template = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
        error = refused(
            local_aws.client("cloudformation").create_stack, StackName="no-role", TemplateBody=template, RoleARN=arn
        )
        assert error == {
            "Type": "Sender",
            "Code": "ValidationError",
            "Message": f"Role {arn} is invalid or cannot be assumed",
        }


class TestRolesOfStacks:
    def group(self, name):
        return {"Resources": {"Group": {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": name}}}

    def alarm(self, name):
        properties = {
            "AlarmName": name,
            "Namespace": "n",
            "MetricName": "m",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanThreshold",
        }
        return {"Resources": {"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}}}

    def reason(self, aws, stack):
        events = aws.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
        return next(e["ResourceStatusReason"] for e in events if e["ResourceStatus"] == "CREATE_FAILED")

    def test_a_stack_makes_only_what_its_role_may_make(self, local_aws):
        """The administrator who asks may make a group; the stack's role may not."""
        found = local_aws.deploy(
            "group-by-role", self.group({"ModelPackageGroupName": "by-role"}), RoleARN=CLOUDFORMATION
        )
        assert (found["StackStatus"], found["RoleARN"]) == ("ROLLBACK_COMPLETE", CLOUDFORMATION)
        who = f"arn:aws:sts::{ACCOUNT}:assumed-role/slipway-cloudformation/AWSCloudFormation"
        action = "sagemaker:CreateModelPackageGroup"
        assert text(action, f"{SAGEMAKER}:model-package-group/by-role", who) in self.reason(local_aws, "group-by-role")
        (call,) = local_aws.ledger(operation="CreateModelPackageGroup", resource="by-role")
        assert (call["caller"], call["outcome"]) == (who, "AccessDeniedException")

    def test_types_of_other_services_are_checked_too(self, local_aws):
        found = local_aws.deploy("alarm-by-role", self.alarm("theirs"), RoleARN=CLOUDFORMATION)
        assert found["StackStatus"] == "ROLLBACK_COMPLETE"
        assert "cloudwatch:PutMetricAlarm on resource" in self.reason(local_aws, "alarm-by-role")

    def test_a_role_is_kept_for_later_operations(self, local_aws):
        assert (
            local_aws.deploy("kept-role", self.alarm("slipway-one"), RoleARN=CLOUDFORMATION)["StackStatus"]
            == "CREATE_COMPLETE"
        )
        (*_, call) = local_aws.ledger(operation="PutMetricAlarm", resource="slipway-one")
        assert [one["statement"] for one in call["iam"]] == ["endpoint-stacks/KeepTheAlarmsOfEndpoints"]
        found = local_aws.deploy("kept-role", self.alarm("theirs"))
        assert (found["StackStatus"], found["RoleARN"]) == ("UPDATE_ROLLBACK_COMPLETE", CLOUDFORMATION)

    def test_a_change_set_brings_its_role(self, local_aws):
        cloudformation = local_aws.client("cloudformation")
        body = json.dumps(self.group({"ModelPackageGroupName": "by-change-set"}))
        names = {"StackName": "role-of-a-change-set", "ChangeSetName": "c"}
        cloudformation.create_change_set(**names, ChangeSetType="CREATE", TemplateBody=body, RoleARN=CLOUDFORMATION)
        cloudformation.execute_change_set(**names)
        found = local_aws.stack("role-of-a-change-set")
        assert (found["StackStatus"], found["RoleARN"]) == ("ROLLBACK_COMPLETE", CLOUDFORMATION)

    def test_a_stack_without_a_role_acts_as_who_asks(self, local_aws):
        iam = local_aws.client("iam")
        iam.create_user(UserName="stacker")
        document = {"Statement": {"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"}}
        iam.put_user_policy(UserName="stacker", PolicyName="p", PolicyDocument=json.dumps(document))
        key = iam.create_access_key(UserName="stacker")["AccessKey"]
        client = local_aws.client(
            "cloudformation",
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )
        client.create_stack(
            StackName="no-role-at-all", TemplateBody=json.dumps(self.group({"ModelPackageGroupName": "by-a-stacker"}))
        )
        assert local_aws.stack("no-role-at-all")["StackStatus"] == "ROLLBACK_COMPLETE"
        assert ":user/stacker is not authorized" in self.reason(local_aws, "no-role-at-all")


class TestRolesOfJobs:
    def test_a_job_reads_and_writes_as_its_role(self, local_aws, airflow, eventually):
        cases.upload(local_aws, "iris-model")
        name = "mlops-iris-model-as-its-role"
        airflow("sagemaker").create_training_job(**job(name))
        found = eventually(
            lambda: airflow("sagemaker").describe_training_job(TrainingJobName=name),
            lambda found: found["TrainingJobStatus"] in ("Completed", "Failed"),
        )
        assert found["TrainingJobStatus"] == "Completed", found.get("FailureReason")
        who = f"arn:aws:sts::{ACCOUNT}:assumed-role/slipway-training-iris-model/SageMaker"
        calls = {(call["service"], call["operation"]) for call in local_aws.ledger(caller=who, outcome="ok")}
        assert {("s3", "GetObject"), ("s3", "PutObject"), ("logs", "PutLogEvents")} <= calls

    def test_a_job_goes_on_from_checkpoints_which_only_its_own_folder_may_have(self, local_aws, airflow, eventually):
        cases.upload(local_aws, "iris-model")
        who = f"arn:aws:sts::{ACCOUNT}:assumed-role/slipway-training-iris-model/SageMaker"
        kept = "iris-model/checkpoints/earlier/1.pt"
        local_aws.client("s3").put_object(Bucket=BUCKET, Key=kept, Body=b"1")
        for place, state in (("checkpoints/earlier/", "Completed"), ("saved", "Failed")):
            name = f"mlops-iris-model-{place.split('/')[0]}"
            where = {"S3Uri": f"s3://{BUCKET}/iris-model/{place}"}
            local_aws.client("s3").put_object(Bucket=BUCKET, Key=f"iris-model/{place}x", Body=b"x")
            airflow("sagemaker").create_training_job(**job(name, CheckpointConfig=where))
            found = eventually(
                lambda name=name: airflow("sagemaker").describe_training_job(TrainingJobName=name),
                lambda found: found["TrainingJobStatus"] in ("Completed", "Failed"),
            )
            assert found["TrainingJobStatus"] == state, found.get("FailureReason")
        read = local_aws.ledger(caller=who, operation="GetObject", resource=f"{BUCKET}/{kept}")
        assert [one["statement"] for call in read for one in call["iam"]] == ["training/KeepCheckpoints"]

    def test_the_role_of_a_job_writes_checkpoints(self, local_aws, tmp_path):
        """As the compute does it; the built-in XGBoost writes none."""
        role = {"RoleName": "slipway-training-iris-model"}
        iam, sts = local_aws.client("iam"), local_aws.client("sts")
        trust = iam.get_role(**role)["Role"]["AssumeRolePolicyDocument"]
        me = {"Effect": "Allow", "Principal": {"AWS": sts.get_caller_identity()["Arn"]}, "Action": "sts:AssumeRole"}
        lent = {**trust, "Statement": [*trust["Statement"], me]}
        iam.update_assume_role_policy(**role, PolicyDocument=json.dumps(lent))
        session = sts.assume_role(RoleArn=TRAINING, RoleSessionName="tests")["Credentials"]
        iam.update_assume_role_policy(**role, PolicyDocument=json.dumps(trust))
        s3 = local_aws.client(
            "s3",
            aws_access_key_id=session["AccessKeyId"],
            aws_secret_access_key=session["SecretAccessKey"],
            aws_session_token=session["SessionToken"],
        )

        def written(place: str) -> None:
            folder = tmp_path / place
            checkpoints = Checkpoints(s3, f"s3://{BUCKET}/{place}", folder, tmp_path)
            checkpoints.begin()
            (folder / "1.pt").write_bytes(b"1")
            checkpoints.end()

        written("iris-model/checkpoints/new")
        with pytest.raises(ContainerFailed, match=r"Checkpoint upload failed.*s3:PutObject"):
            written("iris-model/input/new")
        with pytest.raises(ContainerFailed, match=r"Checkpoint download failed.*s3:ListBucket"):
            written("another-model/checkpoints/new")
        key = "iris-model/checkpoints/new/1.pt"
        assert local_aws.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"1"

    def test_data_that_the_role_may_not_read_is_refused(self, local_aws):
        cases.upload(local_aws, "another-model")
        request = {**cases.training_request("reads-another", "another-model"), "RoleArn": TRAINING}
        error = refused(local_aws.client("sagemaker").create_training_job, **request)
        assert error["Code"] == "ValidationException"
        assert "s3:ListBucket" in error["Message"]


class TestUsers:
    def test_airflows_user_may_only_assume_its_role(self, local_aws):
        s3 = local_aws.client("s3", **keys_of(CREDENTIALS.airflow))
        assert refused(s3.list_objects_v2, Bucket=BUCKET)["Code"] == "AccessDenied"
        sts = local_aws.client("sts", **keys_of(CREDENTIALS.airflow))
        assert refused(sts.assume_role, RoleArn=cases.ROLE, RoleSessionName="tests")["Code"] == "AccessDenied"

    def test_the_operator_uploads_reads_and_approves_nothing(self, local_aws, airflow):
        def client(service):
            return local_aws.client(service, **keys_of(CREDENTIALS.operator))

        for key in ("iris-model/input/train/x.csv", "training_jobs/iris-model/x.zip"):
            client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"x")
            assert client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"x"
        client("sagemaker").list_training_jobs()
        who = f"arn:aws:iam::{ACCOUNT}:user/slipway-operator"
        airflow("sagemaker").create_model_package_group(ModelPackageGroupName="mlops-operator", Tags=TAGS)
        arn = f"{SAGEMAKER}:model-package/mlops-operator/1"
        error = refused(client("sagemaker").update_model_package, ModelPackageArn=arn, ModelApprovalStatus="Approved")
        assert error["Message"] == text("sagemaker:UpdateModelPackage", arn, who)
        assert refused(client("s3").put_object, Bucket=BUCKET, Key="releases/x", Body=b"x")["Code"] == "AccessDenied"
        assert refused(client("sts").assume_role, RoleArn=AIRFLOW, RoleSessionName="tests")["Code"] == "AccessDenied"
