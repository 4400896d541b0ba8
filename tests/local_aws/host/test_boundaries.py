"""Permissions boundaries: what they take from roles, and what who deploys model.yaml cannot do because of them."""

import json

import pytest

from slipway.paths import set_up_template
from tests.local_aws.roles import allowing, denial, deploy, refused, role_arn, session_of, trust, user_of
from tests.local_aws.sagemaker_cases import BUCKET
from tests.local_aws.server import ACCOUNT, REGION, ROOT, LocalAws
from tools import bootstrap_stack
from tools.settings import AIRFLOW_PRINCIPAL

pytestmark = pytest.mark.local_aws

DEPLOYER = f"arn:aws:iam::{ACCOUNT}:user/deployer"
POLICY = f"arn:aws:iam::{ACCOUNT}:policy"
MODELS, APPROVERS = f"{POLICY}/slipway-model-boundary", f"{POLICY}/slipway-approver-boundary"
EVERYTHING = "arn:aws:iam::aws:policy/AdministratorAccess"
PACKAGE = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/mlops-iris-model/1"
NOBODY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
)


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    running = LocalAws(tmp_path_factory.mktemp("boundaries") / "state", as_admin=True).start()
    try:
        assert bootstrap_stack.deploy(running.client, ROOT / "include", AIRFLOW_PRINCIPAL) == []
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def deployer(aws):
    """Deploys the stacks of models, and is no administrator of the account."""
    return user_of(aws, "deployer", f"{POLICY}/slipway-model-administrator")


@pytest.fixture(scope="module")
def training(aws):
    """A session of the training role, to which somebody has given everything, and which a thief may assume."""
    iam, name = aws.client("iam"), "slipway-training-iris-model"
    iam.attach_role_policy(RoleName=name, PolicyArn=EVERYTHING)
    thief = user_of(aws, "thief")
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust(iam.get_user(UserName="thief")["User"]["Arn"]))
    return session_of(aws, thief("sts"), name, "thief")


class TestARoleWithABoundary:
    def test_the_roles_of_models_have_theirs(self, aws):
        found = deploy(
            aws, "slipway-model-iris-model", set_up_template("model").read_text(), ApproverPrincipalArns=DEPLOYER
        )
        assert found["StackStatus"] == "UPDATE_COMPLETE"
        iam = aws.client("iam")
        assert {
            kind: iam.get_role(RoleName=f"slipway-{kind}-iris-model")["Role"]["PermissionsBoundary"]
            for kind in ("training", "endpoint", "approver")
        } == {
            kind: {"PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": arn}
            for kind, arn in (("training", MODELS), ("endpoint", MODELS), ("approver", APPROVERS))
        }

    def test_a_role_that_builds_images_is_kept_to_its_own_model_by_its_tag(self, aws):
        """Whatever its policies allow: the boundary reads which model it is for from the role's tag."""
        iam, name = aws.client("iam"), "slipway-build-iris-forest"
        role = iam.get_role(RoleName=name)["Role"]
        assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == f"{POLICY}/slipway-build-boundary"
        iam.put_role_policy(RoleName=name, PolicyName="more", PolicyDocument=allowing("s3:*", "ecr:*", "iam:*"))
        person = user_of(aws, "builder")
        arn = iam.get_user(UserName="builder")["User"]["Arn"]
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust(arn))
        build, source = session_of(aws, person("sts"), name, "builder"), "releases/iris-model/images/1/image.zip"
        build("s3").put_object(Bucket=BUCKET, Key="iris-forest/images/src-1/packages.json", Body=b"[]")
        build("ecr").initiate_layer_upload(repositoryName="mlops-iris-forest")
        build("ecr").get_authorization_token()
        for call, parameters in (
            (build("s3").put_object, {"Bucket": BUCKET, "Key": "iris-model/images/src-1/packages.json", "Body": b"[]"}),
            (build("s3").put_object, {"Bucket": BUCKET, "Key": "iris-forest/input/train/x.csv", "Body": b"x"}),
            (build("s3").get_object, {"Bucket": BUCKET, "Key": source}),
            (build("ecr").initiate_layer_upload, {"repositoryName": "mlops-iris-model"}),
            (build("iam").list_roles, {}),
        ):
            assert "permissions boundary" in refused(call, **parameters)["Message"]
        # Without the tag it is nobody's.
        iam.untag_role(RoleName=name, TagKeys=["slipway:model-prefix"])
        own = {"Bucket": BUCKET, "Key": "iris-forest/images/src-1/packages.json", "Body": b"[]"}
        assert "permissions boundary" in refused(build("s3").put_object, **own)["Message"]

    def test_is_allowed_what_both_its_policies_and_the_boundary_allow(self, aws, training):
        aws.client("s3").put_object(Bucket=BUCKET, Key="iris-model/input/train/x.csv", Body=b"x")
        assert training("s3").get_object(Bucket=BUCKET, Key="iris-model/input/train/x.csv")["Body"].read() == b"x"

    @pytest.mark.parametrize(
        ("service", "operation", "parameters", "action", "resource"),
        [
            (
                "sagemaker",
                "update_model_package",
                {"ModelPackageArn": PACKAGE, "ModelApprovalStatus": "Approved"},
                "sagemaker:UpdateModelPackage",
                PACKAGE,
            ),
            (
                "s3",
                "put_object",
                {"Bucket": BUCKET, "Key": "training_jobs/iris-model/x.zip", "Body": b"x"},
                "s3:PutObject",
                f'"arn:aws:s3:::{BUCKET}/training_jobs/iris-model/x.zip"',
            ),
            ("iam", "list_roles", {}, "iam:ListRoles", "*"),
        ],
    )
    def test_is_refused_the_rest_whatever_its_policies_allow(
        self, aws, training, service, operation, parameters, action, resource
    ):
        who = f"arn:aws:sts::{ACCOUNT}:assumed-role/slipway-training-iris-model/thief"
        error = refused(getattr(training(service), operation), **parameters)
        assert error["Message"] == denial(who, action, resource, "permissions boundary")
        call = [call for call in aws.ledger(caller=who) if "denied" in call][-1]
        assert call["denied"]["why"] == f"the permissions boundary {MODELS} does not allow it"

    def test_a_boundary_that_is_not_there_makes_no_role(self, aws):
        body = set_up_template("model").read_text().replace("policy/slipway-model-boundary", "policy/missing")
        found = deploy(aws, "slipway-model-unbound", body, ModelPrefix="unbound")
        assert found["StackStatus"] == "ROLLBACK_COMPLETE"
        assert refused(aws.client("iam").get_role, RoleName="slipway-training-unbound")["Code"] == "NoSuchEntity"

    def test_an_update_changes_a_boundary_and_its_roll_back_puts_it_back(self, aws):
        body, iam = set_up_template("model").read_text(), aws.client("iam")

        def boundary():
            role = iam.get_role(RoleName="slipway-training-lily")["Role"]
            return role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")

        deploy(aws, "slipway-model-lily", body, ModelPrefix="lily")
        assert boundary() == MODELS
        other = body.replace("policy/slipway-model-boundary", "policy/slipway-approver-boundary")
        failing = other.replace(
            "Resources:\n",
            "Resources:\n  Fails: {Type: AWS::SNS::Topic, DependsOn: TrainingRole, Properties: {Wrong: 1}}\n",
        )
        assert deploy(aws, "slipway-model-lily", failing)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
        assert boundary() == MODELS
        assert deploy(aws, "slipway-model-lily", other)["StackStatus"] == "UPDATE_COMPLETE"
        assert boundary() == APPROVERS


class TestWhoDeploysModels:
    def failed(self, aws, stack):
        events = aws.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
        return " ".join(one.get("ResourceStatusReason", "") for one in events if "FAILED" in one["ResourceStatus"])

    def test_deploys_changes_and_deletes_a_models_stack(self, aws, deployer):
        body, stack = set_up_template("model").read_text(), "slipway-model-wine"
        found = deploy(aws, stack, body, deployer, ModelPrefix="wine", ApproverPrincipalArns=DEPLOYER)
        assert found["StackStatus"] == "CREATE_COMPLETE", self.failed(aws, stack)
        changed = body.replace("SageMaker trains", "It trains")
        assert deploy(aws, stack, changed, deployer)["StackStatus"] == "UPDATE_COMPLETE", self.failed(aws, stack)
        deployer("cloudformation").delete_stack(StackName=stack)
        aws.client("cloudformation").get_waiter("stack_delete_complete").wait(
            StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )

    @pytest.mark.parametrize(
        "boundary", ["", "      PermissionsBoundary: arn:aws:iam::aws:policy/AdministratorAccess\n"]
    )
    def test_makes_no_role_without_its_boundary(self, aws, deployer, boundary):
        lines = set_up_template("model").read_text().splitlines(keepends=True)
        body = "".join(boundary if "slipway-model-boundary" in line else line for line in lines)
        stack = f"slipway-model-open-{len(boundary)}"
        found = deploy(aws, stack, body, deployer, ModelPrefix="open")
        assert found["StackStatus"] == "ROLLBACK_COMPLETE"
        assert f"User: {DEPLOYER} is not authorized to perform: iam:CreateRole" in self.failed(aws, stack)
        assert refused(aws.client("iam").get_role, RoleName="slipway-training-open")["Code"] == "NoSuchEntity"

    @pytest.mark.parametrize(
        ("operation", "parameters", "action"),
        [
            ("create_role", {"RoleName": "slipway-training-x", "AssumeRolePolicyDocument": NOBODY}, "CreateRole"),
            (
                "create_role",
                {
                    "RoleName": "slipway-training-x",
                    "AssumeRolePolicyDocument": NOBODY,
                    "PermissionsBoundary": APPROVERS,
                },
                "CreateRole",
            ),
            (
                "create_role",
                {"RoleName": "mine", "AssumeRolePolicyDocument": NOBODY, "PermissionsBoundary": MODELS},
                "CreateRole",
            ),
            (
                "put_role_permissions_boundary",
                {"RoleName": "slipway-endpoint-iris-model", "PermissionsBoundary": EVERYTHING},
                "PutRolePermissionsBoundary",
            ),
            (
                "attach_role_policy",
                {"RoleName": "slipway-training-before", "PolicyArn": EVERYTHING},
                "AttachRolePolicy",
            ),
            (
                "put_role_policy",
                {"RoleName": "slipway-airflow", "PolicyName": "p", "PolicyDocument": allowing("*")},
                "PutRolePolicy",
            ),
            (
                "update_assume_role_policy",
                {"RoleName": "slipway-airflow", "PolicyDocument": trust(DEPLOYER)},
                "UpdateAssumeRolePolicy",
            ),
        ],
    )
    def test_gives_nobody_more(self, aws, deployer, operation, parameters, action):
        iam = aws.client("iam")
        if parameters["RoleName"] == "slipway-training-before":
            iam.create_role(RoleName="slipway-training-before", AssumeRolePolicyDocument=NOBODY)
        error = refused(getattr(deployer("iam"), operation), **parameters)
        assert error["Message"] == denial(DEPLOYER, f"iam:{action}", role_arn(parameters["RoleName"]))

    def test_takes_no_boundary_away_whatever_else_is_allowed(self, aws, deployer):
        aws.client("iam").put_user_policy(UserName="deployer", PolicyName="more", PolicyDocument=allowing("iam:*"))
        iam = deployer("iam")
        try:
            for call in (
                lambda: refused(iam.delete_role_permissions_boundary, RoleName="slipway-endpoint-iris-model"),
                lambda: refused(
                    iam.create_policy_version, PolicyArn=MODELS, PolicyDocument=allowing("*"), SetAsDefault=True
                ),
            ):
                assert "with an explicit deny in an identity-based policy" in call()["Message"]
        finally:
            aws.client("iam").delete_user_policy(UserName="deployer", PolicyName="more")

    def role(self, name, **properties):
        return {
            "Type": "AWS::IAM::Role",
            "Properties": {"RoleName": name, "AssumeRolePolicyDocument": json.loads(NOBODY), **properties},
        }

    def policy(self, **holders):
        properties = {"PolicyName": "all", "PolicyDocument": json.loads(allowing("*")), **holders}
        return {"Type": "AWS::IAM::Policy", "Properties": properties}

    def test_a_role_of_a_nested_stack_has_its_boundary(self, aws, deployer):
        key, name = "training_jobs/nested.json", "slipway-training-nested"
        nested = {"Role": self.role(name, ManagedPolicyArns=[EVERYTHING], PermissionsBoundary=MODELS)}
        aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=json.dumps({"Resources": nested}))
        url = f"https://{BUCKET}.s3.{REGION}.amazonaws.com/{key}"
        body = {"Resources": {"Nested": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url}}}}
        stack, iam = "slipway-model-nested", aws.client("iam")
        assert deploy(aws, stack, json.dumps(body), deployer)["StackStatus"] == "ROLLBACK_COMPLETE"
        assert f"User: {DEPLOYER} is not authorized to perform: s3:GetObject" in self.failed(aws, stack)
        iam.put_user_policy(UserName="deployer", PolicyName="read", PolicyDocument=allowing("s3:GetObject"))
        try:
            assert deploy(aws, f"{stack}-2", json.dumps(body), deployer)["StackStatus"] == "CREATE_COMPLETE"
        finally:
            iam.delete_user_policy(UserName="deployer", PolicyName="read")
        boundary = iam.get_role(RoleName=name)["Role"]["PermissionsBoundary"]
        assert boundary["PermissionsBoundaryArn"] == MODELS

    def test_gives_nobody_more_by_a_stack(self, aws, deployer):
        for number, (resource, action, arn) in enumerate(
            (
                (
                    self.role("slipway-training-x", Path="/other/", PermissionsBoundary=MODELS),
                    "CreateRole",
                    role_arn("other/slipway-training-x"),
                ),
                (self.policy(Roles=["slipway-airflow"]), "PutRolePolicy", role_arn("slipway-airflow")),
                (
                    self.policy(Users=["slipway-operator"]),
                    "PutUserPolicy",
                    f"arn:aws:iam::{ACCOUNT}:user/slipway-operator",
                ),
                (
                    {"Type": "AWS::IAM::User", "Properties": {"UserName": "me", "ManagedPolicyArns": [EVERYTHING]}},
                    "CreateUser",
                    f"arn:aws:iam::{ACCOUNT}:user/me",
                ),
            )
        ):
            stack = f"slipway-model-more-{number}"
            found = deploy(aws, stack, json.dumps({"Resources": {"More": resource}}), deployer)
            assert found["StackStatus"] == "ROLLBACK_COMPLETE"
            assert denial(DEPLOYER, f"iam:{action}", arn) in self.failed(aws, stack)

    def test_gives_a_role_with_its_boundary_a_policy_by_a_stack(self, aws, deployer):
        body = json.dumps({"Resources": {"More": self.policy(Roles=["slipway-endpoint-iris-model"])}})
        assert deploy(aws, "slipway-model-policy", body, deployer)["StackStatus"] == "CREATE_COMPLETE"

    def test_an_explicit_denial_holds_in_stacks(self, aws, deployer):
        iam, stack, name = aws.client("iam"), "slipway-model-denied", "slipway-training-denied"
        body = {"Resources": {"Role": self.role(name, PermissionsBoundary=MODELS)}}
        deploy(aws, stack, json.dumps(body), deployer)
        iam.put_user_policy(UserName="deployer", PolicyName="more", PolicyDocument=allowing("iam:*"))
        try:
            deploy(aws, stack, json.dumps({"Resources": {"Role": self.role(name)}}), deployer)
        finally:
            iam.delete_user_policy(UserName="deployer", PolicyName="more")
        assert "iam:DeleteRolePermissionsBoundary" in self.failed(aws, stack)
        boundary = iam.get_role(RoleName=name)["Role"]["PermissionsBoundary"]
        assert boundary["PermissionsBoundaryArn"] == MODELS

    def test_touches_no_other_stack_and_approves_nothing(self, deployer):
        for call, parameters in (
            (deployer("cloudformation").delete_stack, {"StackName": "slipway-bootstrap"}),
            (deployer("cloudformation").delete_stack, {"StackName": "mlops-deploy-iris-model-prd"}),
            (
                deployer("sagemaker").update_model_package,
                {"ModelPackageArn": PACKAGE, "ModelApprovalStatus": "Approved"},
            ),
        ):
            assert refused(call, **parameters)["Code"] in ("AccessDenied", "AccessDeniedException")
