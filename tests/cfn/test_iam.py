"""What the roles of bootstrap.yaml and model.yaml may do, and what not, judged by the policies that CloudFormation made.

A release's calls are allowed; beside each of them stands what the same role must not do.
"""

import json
import subprocess
from pathlib import Path

import pytest

from slipway import names
from slipway.states import Environment
from tests.cfn.test_templates import BUCKET, TEMPLATES
from tools import bootstrap_stack
from tools.settings import AIRFLOW_PRINCIPAL

ROOT = Path(__file__).parents[2]
ACCOUNT, REGION = "123456789012", "us-west-2"
MODEL, OTHER = "iris-model", "wine-model"
JOB = f"mlops-{MODEL}-2026-01-31-23-59-59-00112233"
SAGEMAKER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
STACK = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{names.stack_name(MODEL, Environment.PRODUCTION)}/1"
OBJECTS = f"arn:aws:s3:::{BUCKET}"
URL = f"https://s3.{REGION}.amazonaws.com/{BUCKET}/{bootstrap_stack.template_key(ROOT / 'include')}"
TAG = {"slipway:model-prefix": MODEL}
REQUEST_TAG = {f"aws:RequestTag/{key}": value for key, value in TAG.items()}
RESOURCE_TAG = {f"aws:ResourceTag/{key}": value for key, value in TAG.items()}


def role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


AIRFLOW, CLOUDFORMATION = role("slipway-airflow"), role("slipway-cloudformation")
TRAINING, ENDPOINT = role(names.training_role(MODEL)), role(names.endpoint_role(MODEL))
CHANGE_SET = {"cloudformation:TemplateUrl": URL, "cloudformation:RoleArn": CLOUDFORMATION, **REQUEST_TAG}
PULL = "ecr:BatchGetImage"


def image(account: str, repository: str, region: str = REGION) -> str:
    return f"arn:aws:ecr:{region}:{account}:repository/{repository}"


def passing(service: str) -> dict[str, str]:
    return {"iam:PassedToService": f"{service}.amazonaws.com"}


# Who, the call, on what, with which context.
ALLOWED = {
    "train: read the data": (TRAINING, "s3:GetObject", f"{OBJECTS}/{MODEL}/input/train/part.csv", {}),
    "train: list the data": (TRAINING, "s3:ListBucket", OBJECTS, {"s3:prefix": f"{MODEL}/input/train"}),
    "train: write the artefact": (TRAINING, "s3:PutObject", f"{OBJECTS}/{MODEL}/{JOB}/output/model.tar.gz", {}),
    "train: AWS's image": (TRAINING, PULL, image("246618743249", "sagemaker-xgboost"), {}),
    "train: the model's own image": (TRAINING, PULL, image(ACCOUNT, MODEL), {}),
    "host: read Slipway's copy": (ENDPOINT, "s3:GetObject", f"{OBJECTS}/releases/{MODEL}/0a/model.tar.gz", {}),
    "host: read the artefact": (ENDPOINT, "s3:GetObject", f"{OBJECTS}/{MODEL}/{JOB}/output/model.tar.gz", {}),
    "host: capture": (ENDPOINT, "s3:PutObject", f"{OBJECTS}/{MODEL}/monitoring/prd/1.jsonl", {}),
    "host: AWS's image": (ENDPOINT, PULL, image("246618743249", "sagemaker-xgboost"), {}),
    "start a job": (AIRFLOW, "sagemaker:CreateTrainingJob", f"{SAGEMAKER}:training-job/{JOB}", REQUEST_TAG),
    "pass the training role": (AIRFLOW, "iam:PassRole", TRAINING, passing("sagemaker")),
    "make the group": (
        AIRFLOW,
        "sagemaker:CreateModelPackageGroup",
        f"{SAGEMAKER}:model-package-group/mlops-{MODEL}",
        REQUEST_TAG,
    ),
    "register": (
        AIRFLOW,
        "sagemaker:CreateModelPackage",
        f"{SAGEMAKER}:model-package/mlops-{MODEL}/1",
        {"sagemaker:ModelApprovalStatus": "PendingManualApproval"},
    ),
    "record a decision": (
        AIRFLOW,
        "sagemaker:UpdateModelPackage",
        f"{SAGEMAKER}:model-package/mlops-{MODEL}/1",
        {"sagemaker:ModelApprovalStatus": "Approved"},
    ),
    "keep a copy": (AIRFLOW, "s3:PutObject", f"{OBJECTS}/releases/{MODEL}/0a/model.tar.gz", {}),
    "read the template": (AIRFLOW, "s3:GetObject", f"{OBJECTS}/{bootstrap_stack.template_key(ROOT / 'include')}", {}),
    "ask for a change set": (AIRFLOW, "cloudformation:CreateChangeSet", STACK, CHANGE_SET),
    "execute it": (AIRFLOW, "cloudformation:ExecuteChangeSet", STACK, {}),
    "pass CloudFormation's role": (AIRFLOW, "iam:PassRole", CLOUDFORMATION, passing("cloudformation")),
    "remove a left-over": (AIRFLOW, "sagemaker:DeleteModel", f"{SAGEMAKER}:model/m", RESOURCE_TAG),
    "make a model": (CLOUDFORMATION, "sagemaker:CreateModel", f"{SAGEMAKER}:model/m", REQUEST_TAG),
    "make a configuration": (
        CLOUDFORMATION,
        "sagemaker:CreateEndpointConfig",
        f"{SAGEMAKER}:endpoint-config/c",
        REQUEST_TAG,
    ),
    "make an endpoint": (CLOUDFORMATION, "sagemaker:CreateEndpoint", f"{SAGEMAKER}:endpoint/e", REQUEST_TAG),
    "serve a configuration": (
        CLOUDFORMATION,
        "sagemaker:CreateEndpoint",
        f"{SAGEMAKER}:endpoint-config/c",
        RESOURCE_TAG,
    ),
    "tag what is made": (
        CLOUDFORMATION,
        "sagemaker:AddTags",
        f"{SAGEMAKER}:endpoint/e",
        {"sagemaker:TaggingAction": "CreateEndpoint", **REQUEST_TAG},
    ),
    "change the tags of a release": (CLOUDFORMATION, "sagemaker:AddTags", f"{SAGEMAKER}:endpoint/e", RESOURCE_TAG),
    "move an endpoint over": (CLOUDFORMATION, "sagemaker:UpdateEndpoint", f"{SAGEMAKER}:endpoint/e", RESOURCE_TAG),
    "pass the hosting role": (CLOUDFORMATION, "iam:PassRole", ENDPOINT, passing("sagemaker")),
}
DENIED = {
    "train: another model's data": (TRAINING, "s3:GetObject", f"{OBJECTS}/{OTHER}/input/train/part.csv", {}),
    "train: list another model's data": (TRAINING, "s3:ListBucket", OBJECTS, {"s3:prefix": f"{OTHER}/input/train"}),
    "train: a longer name": (TRAINING, "s3:GetObject", f"{OBJECTS}/{MODEL}-2/input/train/part.csv", {}),
    "train: another model's artefact": (
        TRAINING,
        "s3:PutObject",
        f"{OBJECTS}/{OTHER}/mlops-{OTHER}-1/output/model.tar.gz",
        {},
    ),
    "train: another model's folder in its own": (
        TRAINING,
        "s3:PutObject",
        f"{OBJECTS}/{MODEL}/mlops-{OTHER}-1/output/model.tar.gz",
        {},
    ),
    "train: what is registered": (TRAINING, "s3:PutObject", f"{OBJECTS}/releases/{MODEL}/0a/model.tar.gz", {}),
    "train: its own data": (TRAINING, "s3:PutObject", f"{OBJECTS}/{MODEL}/input/train/part.csv", {}),
    "train: a zip": (TRAINING, "s3:PutObject", f"{OBJECTS}/training_jobs/{MODEL}/trainingjob.zip", {}),
    "train: the template": (TRAINING, "s3:PutObject", f"{OBJECTS}/templates/endpoint-0011223344556677.yaml", {}),
    "train: a stranger's image": (TRAINING, PULL, image("999999999999", "sagemaker-xgboost"), {}),
    "train: another model's image": (TRAINING, PULL, image(ACCOUNT, OTHER), {}),
    "train: AWS's registry of another region": (TRAINING, PULL, image("683313688378", "sagemaker-xgboost"), {}),
    "train: approve": (TRAINING, "sagemaker:UpdateModelPackage", f"{SAGEMAKER}:model-package/mlops-{MODEL}/1", {}),
    "host: another model's copy": (ENDPOINT, "s3:GetObject", f"{OBJECTS}/releases/{OTHER}/0a/model.tar.gz", {}),
    "host: the zip": (ENDPOINT, "s3:GetObject", f"{OBJECTS}/releases/{MODEL}/0a/trainingjob.zip", {}),
    "host: another model's captured traffic": (
        ENDPOINT,
        "s3:PutObject",
        f"{OBJECTS}/{OTHER}/monitoring/prd/1.jsonl",
        {},
    ),
    "host: the artefact it serves": (ENDPOINT, "s3:PutObject", f"{OBJECTS}/{MODEL}/{JOB}/output/model.tar.gz", {}),
    "host: a stranger's image": (ENDPOINT, PULL, image("999999999999", "sagemaker-xgboost"), {}),
    "host: approve": (ENDPOINT, "sagemaker:UpdateModelPackage", f"{SAGEMAKER}:model-package/mlops-{MODEL}/1", {}),
    "an untagged job": (AIRFLOW, "sagemaker:CreateTrainingJob", f"{SAGEMAKER}:training-job/{JOB}", {}),
    "a job of another name": (AIRFLOW, "sagemaker:CreateTrainingJob", f"{SAGEMAKER}:training-job/x", REQUEST_TAG),
    "an untagged group": (
        AIRFLOW,
        "sagemaker:CreateModelPackageGroup",
        f"{SAGEMAKER}:model-package-group/mlops-{MODEL}",
        {},
    ),
    "register as approved": (
        AIRFLOW,
        "sagemaker:CreateModelPackage",
        f"{SAGEMAKER}:model-package/mlops-{MODEL}/1",
        {"sagemaker:ModelApprovalStatus": "Approved"},
    ),
    "decide about a stranger's package": (
        AIRFLOW,
        "sagemaker:UpdateModelPackage",
        f"{SAGEMAKER}:model-package/another-team/1",
        {"sagemaker:ModelApprovalStatus": "Approved"},
    ),
    "Airflow makes a model": (AIRFLOW, "sagemaker:CreateModel", f"{SAGEMAKER}:model/m", REQUEST_TAG),
    "Airflow makes an endpoint": (AIRFLOW, "sagemaker:CreateEndpoint", f"{SAGEMAKER}:endpoint/e", REQUEST_TAG),
    "Airflow moves an endpoint": (AIRFLOW, "sagemaker:UpdateEndpoint", f"{SAGEMAKER}:endpoint/e", RESOURCE_TAG),
    "Airflow writes the template": (AIRFLOW, "s3:PutObject", f"{OBJECTS}/templates/endpoint-00112233.yaml", {}),
    "Airflow writes data": (AIRFLOW, "s3:PutObject", f"{OBJECTS}/{MODEL}/input/train/part.csv", {}),
    "a body of its own": (
        AIRFLOW,
        "cloudformation:CreateChangeSet",
        STACK,
        {key: value for key, value in CHANGE_SET.items() if key != "cloudformation:TemplateUrl"},
    ),
    **{
        f"a template elsewhere: {url.removeprefix('https://')}": (
            AIRFLOW,
            "cloudformation:CreateChangeSet",
            STACK,
            {**CHANGE_SET, "cloudformation:TemplateUrl": url},
        )
        for url in (
            f"https://s3.{REGION}.amazonaws.com/{BUCKET}/releases/evil.yaml",
            f"https://s3.{REGION}.amazonaws.com/{BUCKET}/templates/endpoint-0011223344556677.yaml",
            f"https://s3.{REGION}.amazonaws.com/{BUCKET}/templates/endpoint-/../../releases/.yaml",
            f"https://s3.{REGION}.amazonaws.com/elsewhere/templates/endpoint-0011223344556677.yaml",
        )
    },
    "a change set under another role": (
        AIRFLOW,
        "cloudformation:CreateChangeSet",
        STACK,
        {**CHANGE_SET, "cloudformation:RoleArn": role("admin")},
    ),
    "a change set under Airflow's own rights": (
        AIRFLOW,
        "cloudformation:CreateChangeSet",
        STACK,
        {key: value for key, value in CHANGE_SET.items() if key != "cloudformation:RoleArn"},
    ),
    "an untagged stack": (
        AIRFLOW,
        "cloudformation:CreateChangeSet",
        STACK,
        {key: value for key, value in CHANGE_SET.items() if key not in REQUEST_TAG},
    ),
    "an import": (
        AIRFLOW,
        "cloudformation:CreateChangeSet",
        STACK,
        {**CHANGE_SET, "cloudformation:ImportResourceTypes": ["AWS::SageMaker::Endpoint"]},
    ),
    "a stack without a change set": (AIRFLOW, "cloudformation:UpdateStack", STACK, CHANGE_SET),
    "another team's stack": (
        AIRFLOW,
        "cloudformation:CreateChangeSet",
        f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/billing/1",
        CHANGE_SET,
    ),
    "the set-up stack": (
        AIRFLOW,
        "cloudformation:ExecuteChangeSet",
        f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/slipway-bootstrap/1",
        {},
    ),
    "Airflow passes itself": (AIRFLOW, "iam:PassRole", AIRFLOW, passing("cloudformation")),
    "Airflow passes an administrator": (AIRFLOW, "iam:PassRole", role("admin"), passing("sagemaker")),
    "Airflow passes CloudFormation's role to a job": (AIRFLOW, "iam:PassRole", CLOUDFORMATION, passing("sagemaker")),
    "Airflow passes a hosting role": (AIRFLOW, "iam:PassRole", ENDPOINT, passing("sagemaker")),
    "Airflow passes a training role elsewhere": (AIRFLOW, "iam:PassRole", TRAINING, passing("ec2")),
    "Airflow changes a role": (AIRFLOW, "iam:PutRolePolicy", TRAINING, {}),
    "an untagged model": (CLOUDFORMATION, "sagemaker:CreateModel", f"{SAGEMAKER}:model/m", {}),
    "a model whose tag is empty": (
        CLOUDFORMATION,
        "sagemaker:CreateModel",
        f"{SAGEMAKER}:model/m",
        dict.fromkeys(REQUEST_TAG, ""),
    ),
    "an untagged configuration": (
        CLOUDFORMATION,
        "sagemaker:CreateEndpointConfig",
        f"{SAGEMAKER}:endpoint-config/c",
        {},
    ),
    "an untagged endpoint": (CLOUDFORMATION, "sagemaker:CreateEndpoint", f"{SAGEMAKER}:endpoint/e", {}),
    "an endpoint of a stranger's configuration": (
        CLOUDFORMATION,
        "sagemaker:CreateEndpoint",
        f"{SAGEMAKER}:endpoint-config/c",
        {},
    ),
    "a stranger's endpoint": (CLOUDFORMATION, "sagemaker:UpdateEndpoint", f"{SAGEMAKER}:endpoint/e", {}),
    "make a stranger's endpoint ours": (CLOUDFORMATION, "sagemaker:AddTags", f"{SAGEMAKER}:endpoint/e", REQUEST_TAG),
    "CloudFormation passes a training role": (CLOUDFORMATION, "iam:PassRole", TRAINING, passing("sagemaker")),
    "CloudFormation passes an administrator": (CLOUDFORMATION, "iam:PassRole", role("admin"), passing("sagemaker")),
    "CloudFormation makes a role": (CLOUDFORMATION, "iam:CreateRole", role("x"), {}),
    "CloudFormation approves": (
        CLOUDFORMATION,
        "sagemaker:UpdateModelPackage",
        f"{SAGEMAKER}:model-package/mlops-{MODEL}/1",
        {},
    ),
}


def policies_of(iam, name: str) -> list[dict]:
    found = iam.list_role_policies(RoleName=name)["PolicyNames"]
    return [iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"] for policy in found]


@pytest.fixture(scope="module")
def verdicts(local_aws) -> dict[str, str]:
    """Every call judged at once, because each start of the judge costs a second."""
    iam, policies = local_aws.client("iam"), {}
    for arn in {call[0] for call in (*ALLOWED.values(), *DENIED.values())}:
        policies[arn] = policies_of(iam, arn.rpartition("/")[2])
    calls = {**ALLOWED, **DENIED}
    questions = [
        {"role": arn, "action": action, "resource": resource, "context": context, "policies": policies[arn]}
        for arn, action, resource, context in calls.values()
    ]
    done = subprocess.run(
        [ROOT / ".venv-aws/bin/python", Path(__file__).with_name("iam_judge.py")],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(calls, json.loads(done.stdout), strict=True))


@pytest.mark.local_aws
@pytest.mark.parametrize("call", ALLOWED)
def test_what_a_release_needs_is_allowed(verdicts, call):
    assert verdicts[call] == "Allow"


@pytest.mark.local_aws
@pytest.mark.parametrize("call", DENIED)
def test_what_a_release_does_not_need_is_denied(verdicts, call):
    assert verdicts[call] in ("ImplicitDeny", "Deny")


@pytest.mark.local_aws
def test_airflows_role_trusts_its_principal_and_nobody_else(local_aws):
    trust = local_aws.client("iam").get_role(RoleName="slipway-airflow")["Role"]["AssumeRolePolicyDocument"]
    assert [statement["Principal"] for statement in trust["Statement"]] == [{"AWS": AIRFLOW_PRINCIPAL}]


@pytest.mark.local_aws
@pytest.mark.parametrize("given", [{}, {"AirflowPrincipalArn": ""}, {"AirflowPrincipalArn": f"arn:aws:iam::{ACCOUNT}:root"}])
def test_the_account_is_not_set_up_without_a_principal(local_aws, given):
    wanted = {"EndpointTemplateUrls": URL, **given}
    with pytest.raises(local_aws.client("cloudformation").exceptions.ClientError, match="AirflowPrincipalArn"):
        local_aws.client("cloudformation").create_change_set(
            StackName="nobody",
            ChangeSetName="check",
            ChangeSetType="CREATE",
            TemplateBody=(TEMPLATES / "bootstrap.yaml").read_text(),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in wanted.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )


@pytest.mark.local_aws
@pytest.mark.parametrize("prefix", ["releases", "stress", "templates", "iris_model", "-iris", "x" * 27])
def test_no_model_gets_a_folder_of_slipways(local_aws, prefix):
    with pytest.raises(local_aws.client("cloudformation").exceptions.ClientError, match=r"ModelPrefix|Slipway's own"):
        local_aws.client("cloudformation").create_change_set(
            StackName="nobody",
            ChangeSetName="check",
            ChangeSetType="CREATE",
            TemplateBody=(TEMPLATES / "model.yaml").read_text(),
            Parameters=[{"ParameterKey": "ModelPrefix", "ParameterValue": prefix}],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
