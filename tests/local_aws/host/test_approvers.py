"""The approver roles of model.yaml: who may be one, what one may do, and that nobody else approves in their place."""

import contextlib
import json

import pytest
from botocore.exceptions import ClientError

from slipway.errors import NotApproved
from slipway.paths import set_up_template
from slipway.registry.decisions import DecisionRecordHook
from slipway.registry.metadata import DIGEST
from slipway.registry.record import HOW_OUTSIDE
from tests.aws_keys import CREDENTIALS
from tests.local_aws import sagemaker_cases as cases
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.roles import denial, deploy, keys_of, refused, role_arn, session_of, trust, user_of
from tests.local_aws.server import ACCOUNT, OPERATOR_ARN, REGION, ROOT, LocalAws
from tools import bootstrap_stack
from tools.environment import AIRFLOW_CONNECTION
from tools.settings import AIRFLOW_PRINCIPAL

pytestmark = pytest.mark.local_aws

APPROVER = "slipway-approver-iris-model"
ALICE = f"arn:aws:sts::{ACCOUNT}:assumed-role/{APPROVER}/alice"
SAGEMAKER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
STACK = "slipway-model-iris-model"
TAGS = [{"Key": "slipway:model-prefix", "Value": "iris-model"}]
PERSON = f"arn:aws:iam::{ACCOUNT}:user/dora"
DIGEST_VALUE = "0" * 64


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    """A local AWS where people act as data-science, which may approve iris-model."""
    running = LocalAws(tmp_path_factory.mktemp("approvers") / "state", as_admin=True).start()
    try:
        assert bootstrap_stack.deploy(running.client, ROOT / "include", AIRFLOW_PRINCIPAL) == []
        iam = running.client("iam")
        iam.create_role(RoleName="data-science", AssumeRolePolicyDocument=trust(OPERATOR_ARN))
        running.dora = user_of(running, "dora")
        # The last one is named by mistake: Airflow must not approve, whatever the parameter says.
        named = ",".join((role_arn("data-science"), PERSON, role_arn("slipway-airflow")))
        found = deploy(running, STACK, set_up_template("model").read_text(), ApproverPrincipalArns=named)
        assert found["StackStatus"] == "UPDATE_COMPLETE"
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def people(aws):
    sts = aws.client("sts", **keys_of(CREDENTIALS.operator))
    return session_of(aws, sts, "data-science", "alice")


@pytest.fixture(scope="module")
def approver(aws, people):
    return session_of(aws, people("sts"), APPROVER, "alice")


@pytest.fixture(scope="module")
def airflow(aws):
    return session_of(aws, aws.client("sts", **keys_of(CREDENTIALS.airflow)), "slipway-airflow", "tests")


@pytest.fixture
def package(airflow):
    """Registers a package of a model."""

    def registered(prefix="iris-model"):
        sagemaker, group = airflow("sagemaker"), f"mlops-{prefix}"
        with contextlib.suppress(ClientError):
            sagemaker.create_model_package_group(ModelPackageGroupName=group, Tags=TAGS)
        return sagemaker.create_model_package(
            ModelPackageGroupName=group,
            ModelApprovalStatus="PendingManualApproval",
            InferenceSpecification={
                "Containers": [{"Image": cases.IMAGE}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
            CustomerMetadataProperties={DIGEST: DIGEST_VALUE},
        )["ModelPackageArn"]

    return registered


def test_an_approver_finds_sees_and_approves_a_package_of_her_model(approver, package):
    arn, sagemaker = package(), approver("sagemaker")
    listed = sagemaker.list_model_packages(ModelPackageGroupName="mlops-iris-model")["ModelPackageSummaryList"]
    assert arn in [one["ModelPackageArn"] for one in listed]
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="good")
    found = sagemaker.describe_model_package(ModelPackageName=arn)
    assert (found["ModelApprovalStatus"], found["LastModifiedBy"]["IamIdentity"]["Arn"]) == ("Approved", ALICE)


def test_another_models_package_is_not_hers(aws, approver, package):
    arn = package("wine-model")
    error = refused(approver("sagemaker").update_model_package, ModelPackageArn=arn, ModelApprovalStatus="Approved")
    assert error["Message"] == denial(ALICE, "sagemaker:UpdateModelPackage", arn)
    assert refused(approver("sagemaker").describe_model_package, ModelPackageName=arn)["Code"].startswith("AccessDen")
    assert aws.client("sagemaker").describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"] != "Approved"


ENDPOINT = {"EndpointName": "e", "EndpointConfigName": "c"}
NAME = {"StackName": "mlops-deploy-iris-model-prd"}


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "action"),
    [
        ("sagemaker", "create_endpoint", ENDPOINT, "sagemaker:CreateEndpoint"),
        ("sagemaker", "update_endpoint", ENDPOINT, "sagemaker:UpdateEndpoint"),
        ("sagemaker", "create_training_job", cases.training_request("mine", "iris-model"), None),
        (
            "sagemaker",
            "create_model",
            {"ModelName": "m", "ExecutionRoleArn": cases.ROLE, "PrimaryContainer": {"Image": cases.IMAGE}},
            "sagemaker:CreateModel",
        ),
        ("sagemaker", "delete_model_package", {"ModelPackageName": "mlops-iris-model/1"}, None),
        ("sagemaker", "delete_model_package_group", {"ModelPackageGroupName": "mlops-iris-model"}, None),
        ("sagemaker", "list_endpoints", {}, "sagemaker:ListEndpoints"),
        ("s3", "put_object", {"Bucket": cases.BUCKET, "Key": "releases/x", "Body": b"x"}, "s3:PutObject"),
        ("s3", "put_object", {"Bucket": cases.BUCKET, "Key": "training_jobs/x.zip", "Body": b"x"}, "s3:PutObject"),
        ("s3", "get_object", {"Bucket": cases.BUCKET, "Key": "iris-model/input/x"}, "s3:GetObject"),
        ("cloudformation", "update_stack", {**NAME, "UsePreviousTemplate": True}, "cloudformation:UpdateStack"),
        ("cloudformation", "delete_stack", NAME, "cloudformation:DeleteStack"),
        (
            "iam",
            "put_role_policy",
            {"RoleName": APPROVER, "PolicyName": "p", "PolicyDocument": "{}"},
            "iam:PutRolePolicy",
        ),
        ("iam", "delete_role_permissions_boundary", {"RoleName": APPROVER}, "iam:DeleteRolePermissionsBoundary"),
        ("sts", "assume_role", {"RoleArn": role_arn("slipway-airflow"), "RoleSessionName": "alice"}, "sts:AssumeRole"),
    ],
)
def test_an_approver_does_nothing_else(approver, service, operation, parameters, action):
    error = refused(getattr(approver(service), operation), **parameters)
    assert error["Code"] in ("AccessDenied", "AccessDeniedException")
    assert error["Message"].startswith(f"User: {ALICE} is not authorized to perform: {action or service}")


def test_an_approver_hands_no_role_over(aws, approver):
    """She would be asked for iam:PassRole as well, were CreateTrainingJob allowed to her."""
    iam = aws.client("iam")
    found = iam.simulate_principal_policy(PolicySourceArn=role_arn(APPROVER), ActionNames=["iam:PassRole"])
    assert [one["EvalDecision"] for one in found["EvaluationResults"]] == ["implicitDeny"]


class TestWhoBecomesAnApprover:
    def test_somebody_who_is_not_named_does_not(self, aws):
        sts = aws.client("sts", **keys_of(CREDENTIALS.operator))
        error = refused(sts.assume_role, RoleArn=role_arn(APPROVER), RoleSessionName="slipway-operator")
        assert error["Code"] == "AccessDenied"

    def test_airflow_does_not_even_where_it_is_named(self, airflow):
        error = refused(airflow("sts").assume_role, RoleArn=role_arn(APPROVER), RoleSessionName="tests")
        assert error["Code"] == "AccessDenied"

    @pytest.mark.parametrize("name", ["dora", "alice"])
    def test_a_user_without_mfa_does_not(self, aws, name):
        """Nor does one under another name; the local AWS has no MFA, so the next test judges the rest."""
        error = refused(aws.dora("sts").assume_role, RoleArn=role_arn(APPROVER), RoleSessionName=name)
        assert error["Code"] == "AccessDenied"

    @pytest.mark.parametrize(("name", "may"), [("dora", True), ("alice", False)])
    def test_a_users_session_has_the_users_name(self, aws, name, may):
        iam = aws.client("iam")
        document = iam.get_role(RoleName=APPROVER)["Role"]["AssumeRolePolicyDocument"]
        assert document["Statement"][0]["Condition"].pop("Bool") == {"aws:MultiFactorAuthPresent": "true"}
        copy = f"by-name-{name}"
        iam.create_role(RoleName=copy, AssumeRolePolicyDocument=json.dumps(document))
        call = {"RoleArn": role_arn(copy), "RoleSessionName": name}
        if may:
            assert aws.dora("sts").assume_role(**call)["AssumedRoleUser"]["Arn"].endswith("/dora")
        else:
            assert refused(aws.dora("sts").assume_role, **call)["Code"] == "AccessDenied"

    def test_without_approvers_there_is_no_role(self, aws):
        found = deploy(aws, "slipway-model-rose", set_up_template("model").read_text(), ModelPrefix="rose")
        assert found["StackStatus"] == "CREATE_COMPLETE"
        assert refused(aws.client("iam").get_role, RoleName="slipway-approver-rose")["Code"] == "NoSuchEntity"
        assert "ApproverRoleArn" not in [one["OutputKey"] for one in found["Outputs"]]

    @pytest.mark.parametrize("principal", [f"arn:aws:iam::{ACCOUNT}:root", "*", f"arn:aws:iam::{ACCOUNT}:role/*"])
    def test_nobody_is_named_by_a_wildcard_or_an_account(self, aws, principal):
        parameters = [
            {"ParameterKey": "ModelPrefix", "ParameterValue": "tulip"},
            {"ParameterKey": "ApproverPrincipalArns", "ParameterValue": principal},
        ]
        error = refused(
            aws.client("cloudformation").create_stack,
            StackName="slipway-model-tulip",
            TemplateBody=set_up_template("model").read_text(),
            Parameters=parameters,
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        assert "ApproverPrincipalArns" in error["Message"]


class TestAirflowMayApprove:
    """Where it is false, only approvers approve; Airflow still rejects, annotates and reads."""

    @pytest.fixture(autouse=True)
    def only_approvers(self, aws):
        body = set_up_template("bootstrap").read_text()
        assert deploy(aws, "slipway-bootstrap", body, AirflowMayApprove="false")["StackStatus"] == "UPDATE_COMPLETE"
        with pytest.MonkeyPatch.context() as patch:
            lead_hooks_to(aws.endpoint_url, patch)
            patch.setenv("AIRFLOW_CONN_AWS_DEFAULT", AIRFLOW_CONNECTION)
            yield
        deploy(aws, "slipway-bootstrap", body, AirflowMayApprove="true")

    def record(self, arn, *, approved):
        return DecisionRecordHook().record_decision(
            arn, approved=approved, decided_by="alice", how="Airflow", comment="", digest=DIGEST_VALUE
        )

    def test_an_answer_in_airflow_approves_nothing_and_the_error_says_who_does(self, aws, package):
        arn = package()
        with pytest.raises(NotApproved) as error:
            self.record(arn, approved=True)
        assert "with an explicit deny in an identity-based policy" in str(error.value)
        assert error.value.fix.startswith(f"approve as {APPROVER}: `aws sagemaker update-model-package")
        found = aws.client("sagemaker").describe_model_package(ModelPackageName=arn)
        assert found["ModelApprovalStatus"] == "PendingManualApproval"

    def test_a_rejection_in_airflow_is_recorded(self, aws, package):
        assert not self.record(package(), approved=False).approved

    def test_an_approvers_decision_is_taken_with_her_name(self, approver, package):
        arn = package()
        approver("sagemaker").update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
        decision = DecisionRecordHook().keep_outside_decision(arn, DIGEST_VALUE)
        assert (decision.approved, decision.decided_by, decision.how) == (True, ALICE, HOW_OUTSIDE)
        # It is on the package, although Airflow was the last to change it.
        assert DecisionRecordHook().keep_outside_decision(arn, DIGEST_VALUE).decided_by == ALICE

    def test_the_policies_fit_into_the_role(self, aws):
        iam, name = aws.client("iam"), "slipway-airflow"
        documents = [
            iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
        ]
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
        assert sum(len("".join(json.dumps(document).split())) for document in documents) <= 10_240
