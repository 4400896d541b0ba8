"""The comparison of an account with what Slipway relies on, against a local AWS that is set up."""

import functools
import io
import json
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.local_aws.server import REGION, ROOT, LocalAws
from tools import bootstrap_stack, models
from tools.verify_aws import release, sent_refusals
from tools.verify_aws.__main__ import main
from tools.verify_aws.account import READS, Account, NotAllowedError
from tools.verify_aws.authorization import unsupported
from tools.verify_aws.capacity import judge_quotas
from tools.verify_aws.findings import Outcome, compare, redacted
from tools.verify_aws.refusals import NONE
from tools.verify_aws.template import Template, normal

ACCOUNT = "345678901234"
ADMIN = f"arn:aws:iam::{ACCOUNT}:role/OrganizationAccountAccessRole"
BUCKET = f"mlops-{REGION}-{ACCOUNT}"
ROLE = "slipway-airflow"


class Member:
    """An account of its own in the session's local AWS, which is set up and nothing more; an administrator's clients.

    :param session: of boto3, with the administrator's role
    """

    def __init__(self, local_aws: LocalAws, session: boto3.Session) -> None:
        self.local_aws = local_aws
        self.session = session
        self.client = functools.cache(session.client)

    def ledger(self, **wanted: Any) -> list[dict[str, Any]]:
        """The calls so far of this account whose members are as given."""
        return [call for call in self.local_aws.ledger(**wanted) if f":{ACCOUNT}:" in call["caller"]]


read_models = functools.cache(models.read)


@pytest.fixture(scope="module")
def aws(local_aws) -> Iterator[Member]:
    """The account, whose administrator is in the environment as the command reads it; model files are read once."""
    variables = credentials(local_aws.client("sts"), ADMIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "read", read_models)
        for name, value in {"AWS_ENDPOINT_URL": local_aws.endpoint_url, **variables}.items():
            patch.setenv(name, value)
        member = Member(local_aws, boto3.Session())
        assert bootstrap_stack.deploy(member.client, ROOT / "include", ADMIN) == []
        yield member


def credentials(sts: Any, role: str) -> dict[str, str]:
    """Assume a role; return the variables of its session."""
    found = sts.assume_role(RoleArn=role, RoleSessionName="tests")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
        "AWS_SESSION_TOKEN": found["SessionToken"],
    }


@pytest.fixture
def verify(aws):
    """Run the command; return its exit code and what it found, by outcome."""

    def run(*words: str) -> tuple[int, dict[str, list[str]]]:
        output = io.StringIO()
        code = main(["--local", "--include", str(ROOT / "include"), *words], output)
        lines = output.getvalue().splitlines()[1:-1]
        return code, {kind: [line for line in lines if line.startswith(f"{kind}: ")] for kind in Outcome}

    return run


@pytest.fixture
def account(aws) -> Account:
    return Account(aws.session, ROOT / "include", local=True)


@pytest.mark.local_aws
def test_an_account_as_it_is_set_up_differs_in_nothing_and_nothing_is_written(verify, aws):
    before = len(aws.ledger())
    code, found = verify()
    assert (code, found[Outcome.DIFFERS]) == (0, [])
    assert {
        "same: the bucket's versioning",
        f"same: the role {ROLE} trusts whom its template names",
        f"same: the role {ROLE} has its template's policies",
        "same: CloudFormation reads endpoint.yaml by its URL",
        "same: the policy of the topic's key",
    } <= set(found[Outcome.SAME])
    # What this AWS does not have.
    told = "\n".join(found[Outcome.CANNOT_TELL])
    assert all(word in told for word in ("DescribeType", "ServiceQuotas", "BatchGetImage", "lifecycle"))
    operations = {call["operation"] for call in aws.ledger()[before:]}
    assert operations and {one for one in operations if not READS.match(one)} == set()


@pytest.mark.local_aws
def test_suspended_versioning_differs(verify, aws):
    s3 = aws.client("s3")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    try:
        code, found = verify("--only", "bucket")
    finally:
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    assert code == 1
    assert found[Outcome.DIFFERS] == ["differs: the bucket's versioning: expected Enabled … found Suspended"]


@pytest.mark.local_aws
def test_a_role_that_trusts_others_or_may_more_differs(verify, aws):
    iam = aws.client("iam")
    trust = iam.get_role(RoleName=ROLE)["Role"]["AssumeRolePolicyDocument"]
    other = json.loads(json.dumps(trust).replace(ADMIN.partition(":role/")[2], "somebody"))
    everything = {"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(other))
    iam.put_role_policy(RoleName=ROLE, PolicyName="more", PolicyDocument=json.dumps(everything))
    try:
        code, found = verify("--only", "roles")
    finally:
        iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(trust))
        iam.delete_role_policy(RoleName=ROLE, PolicyName="more")
    assert code == 1
    trusts, policies = found[Outcome.DIFFERS]
    assert trusts.startswith(f"differs: the role {ROLE} trusts whom its template names: expected ")
    expected, _, others = trusts.partition(" … found ")
    assert ADMIN in expected and "role/somebody" in others
    assert policies.startswith(f"differs: the role {ROLE} has its template's policies: ") and '"more"' in policies


@pytest.mark.local_aws
def test_a_region_that_is_not_set_up_differs(verify):
    code, found = verify("--region", "eu-west-1", "--only", "stacks", "bucket")
    assert code == 1
    text = "ValidationError: Stack with id slipway-bootstrap does not exist"
    assert any("slipway-bootstrap is complete" in line and text in line for line in found[Outcome.DIFFERS])
    unknown = [line for line in found[Outcome.CANNOT_TELL] if line.startswith("cannot tell: the bucket")]
    assert unknown == [
        "cannot tell: the bucket, the queues and the topic: the stack slipway-bootstrap does not exist"
    ]  # fmt: skip


@pytest.mark.local_aws
def test_what_is_sent_on_demand_makes_nothing(verify, aws):
    code, found = verify("--only", "refusals", "--refusals", "--change-sets")
    assert (code, found[Outcome.DIFFERS]) == (0, [])
    assert "same: the refusal of the deletion of a model that is not there" in found[Outcome.SAME]
    # This AWS looks at the role of a request first.
    job = "cannot tell: the refusal of spot without a wait: AWS names the role that does not exist before anything else"
    assert job in found[Outcome.CANNOT_TELL]
    assert "same: an empty change set of slipway-bootstrap in the mode REVERT_DRIFT" in found[Outcome.SAME]
    stacks = aws.client("cloudformation")
    left = [one["ChangeSetName"] for one in stacks.list_change_sets(StackName="slipway-bootstrap")["Summaries"]]
    assert [name for name in left if name.startswith("verify-")] == []
    assert NONE not in {stack["StackName"] for stack in stacks.describe_stacks()["Stacks"]}
    assert aws.client("sagemaker").list_training_jobs(NameContains=NONE)["TrainingJobSummaries"] == []


@pytest.mark.local_aws
def test_each_request_that_is_sent_names_something_that_does_not_exist(account):
    for one in sent_refusals.SENT:
        request = one.request(account)
        assert NONE in json.dumps(request, default=str), one.name
        if one.operation == "create_training_job":
            assert request["RoleArn"].endswith(NONE) and NONE in request["AlgorithmSpecification"]["TrainingImage"]


@pytest.mark.local_aws
def test_another_endpoint_than_awss_needs_leave(aws, capsys):
    before = len(aws.ledger())
    assert main([], io.StringIO()) == 2
    assert "which is not AWS" in capsys.readouterr().err
    assert len(aws.ledger()) == before


@pytest.mark.local_aws
def test_no_client_sends_what_no_flag_allows(account, aws):
    with pytest.raises(NotAllowedError, match="PutObject is not sent"):
        account.client("s3").put_object(Bucket=BUCKET, Key="none", Body=b"")
    with pytest.raises(NotAllowedError, match="DetectStackDrift"):
        account.client("cloudformation").detect_stack_drift(StackName="slipway-bootstrap")
    assert aws.ledger(operation="PutObject", resource=f"{BUCKET}/none") == []


@pytest.mark.local_aws
def test_the_file_names_no_account(verify, tmp_path):
    path = tmp_path / "found.json"
    verify("--region", "eu-west-1", "--only", "stacks", "bucket", "--json", str(path))
    text = path.read_text()
    assert ACCOUNT not in text and "arn:aws" not in text
    assert {finding["outcome"] for finding in json.loads(text)["findings"]} == set(map(str, Outcome))
    verify("--only", "bucket", "--json", str(path), "--full")
    caller = json.loads(path.read_text())["caller"]
    assert caller == f"arn:aws:sts::{ACCOUNT}:assumed-role/OrganizationAccountAccessRole/tests"


def released(account: Account, answer: str, patience: release.Patience | None = None) -> list[str]:
    writer = Account(account.session, account.include, local=True, writes=release.OPERATIONS)
    shown: list[str] = []
    found = release.checks(writer, "iris-model", shown.append, lambda question: answer, patience)
    shown += [str(one) for one in found]
    return shown


@pytest.mark.local_aws
def test_a_release_needs_the_models_name(account, aws):
    with pytest.raises(NotAllowedError, match="Nothing was uploaded"):
        released(account, "yes")
    assert aws.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="iris-model/")["KeyCount"] == 0


@pytest.mark.local_aws
def test_a_release_leaves_data_of_others_alone(account, aws):
    where = {"Bucket": BUCKET, "Key": "iris-model/input/train/ours.csv"}
    aws.client("s3").put_object(**where, Body=b"1")
    try:
        with pytest.raises(NotAllowedError, match="has data of its own"):
            released(account, "iris-model")
    finally:
        aws.client("s3").delete_object(**where)


@pytest.mark.local_aws
def test_a_release_is_watched_by_what_aws_shows(account, aws):
    role = credentials(aws.client("sts"), f"arn:aws:iam::{ACCOUNT}:role/{ROLE}")
    session = boto3.Session(*role.values(), region_name=REGION)
    sagemaker, made = session.client("sagemaker"), []
    tags = [{"Key": "slipway:model-prefix", "Value": "iris-model"}]

    def airflow(seconds: float) -> None:
        """Train, register and deploy as Airflow would, but a stack without an endpoint."""
        if made:
            return
        made.append("mlops-iris-model-verify")
        body = aws.client("s3").get_object(Bucket=BUCKET, Key="training_jobs/iris-model/trainingjob.zip")["Body"].read()
        job = json.loads(zipfile.ZipFile(io.BytesIO(body)).read("trainingjob.json"))
        sagemaker.create_training_job(**job | {"TrainingJobName": made[0], "Tags": tags})
        sagemaker.create_model_package_group(ModelPackageGroupName="mlops-iris-model", Tags=tags)
        sagemaker.create_model_package(
            ModelPackageGroupName="mlops-iris-model", ModelApprovalStatus="PendingManualApproval"
        )
        dashboard = {"DashboardName": "slipway-iris-model", "DashboardBody": '{"widgets": []}'}
        template = {
            "Parameters": {"EndpointName": {"Type": "String"}},
            "Resources": {"Dashboard": {"Type": "AWS::CloudWatch::Dashboard", "Properties": dashboard}},
        }
        # Airflow's role may deploy endpoint.yaml alone.
        aws.client("cloudformation").create_stack(
            StackName="mlops-deploy-iris-model-dev",
            TemplateBody=json.dumps(template),
            Parameters=[{"ParameterKey": "EndpointName", "ParameterValue": "iris-model-development"}],
            RoleARN=f"arn:aws:iam::{ACCOUNT}:role/slipway-cloudformation",
        )

    def sleep(seconds: float) -> None:
        airflow(seconds)
        time.sleep(seconds)

    found = released(account, "iris-model", release.Patience(60, 60, 0.2, sleep))
    assert "0.24 USD an hour" in found[0]
    text = "\n".join(found)
    for check in (
        "the statuses of the training job",
        "the final metrics of the training job",
        "the training job carries the model's tag",
        "the log of the training job has the name algo-1-…",
        "the package waits for its approval",
        "SageMaker names who made the package",
        "the development stack is deployed",
        "CloudFormation deploys as its own role",
    ):
        assert f"same: {check}" in text, text
    assert [line for line in found if line.startswith("differs: ")] == [
        "differs: the development endpoint serves: expected InService … found ValidationException: Could not find "
        f'endpoint "arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/iris-model-development".'
    ]


def test_quotas_are_compared_by_their_names():
    found = {"ml.c5.large for training job usage": 1.0, "ml.c5.large for endpoint usage": 0.0}
    judged = judge_quotas(found, Counter({"ml.c5.large": 1, "ml.m9.large": 1}), Counter({"ml.c5.large": 3}))
    assert [str(one) for one in judged] == [
        "same: the quota ml.c5.large for training job usage (1)",
        "cannot tell: the quota ml.m9.large for training job usage: Service Quotas has none of this name",
        "differs: the quota ml.c5.large for endpoint usage: expected at least 3 … found 0",
    ]


def refused(code: str, text: str):
    def look():
        raise ClientError({"Error": {"Code": code, "Message": text}}, "GetRole")

    return look


@pytest.mark.parametrize(
    "code", ["AuthorizationError", "ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidToken", "400"]
)
def test_what_only_the_caller_lacks_is_no_difference(code):
    """SNS's word for a denial, and the words for a session that ends while the checks go on."""

    def look():
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "GetTopicAttributes")

    assert compare("a topic", "a policy", look).outcome is Outcome.CANNOT_TELL


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--profile", "nope"], "The config profile (nope) could not be found"),
        (["--local", "--only", "bucket", "--json", "/nowhere/x"], "No such file or directory: '/nowhere/x'"),
        (["--local", "--release", "iris-model"], "The name was not typed. Nothing was uploaded"),
    ],
)
def test_a_mistake_on_the_command_line_is_a_sentence(aws, monkeypatch, capsys, words, said):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_a_missing_permission_is_named_and_is_no_difference():
    text = "User: arn:aws:iam::1:user/a is not authorized to perform: iam:GetRole on resource: role b"
    assert str(compare("the role", 1, refused("AccessDenied", text))) == (
        "cannot tell: the role: the permission iam:GetRole is missing"
    )
    assert "GetRole is missing (403)" in str(compare("the role", 1, refused("403", "Forbidden")))
    assert compare("the role", 1, refused("NoSuchEntity", "none")).outcome is Outcome.DIFFERS


def test_accounts_arns_and_keys_are_left_out():
    text = 'user AKIAIOSFODNN7EXAMPLE of 123456789012 ("arn:aws:iam::123456789012:role/a") X-Amz-Signature=0a1b'
    assert redacted({"found": [text, 1]}) == {
        "found": ['user <id> of <account> ("<arn>") X-Amz-Signature=<secret>', 1]
    }  # fmt: skip


def test_a_template_is_worked_out_as_cloudformation_does():
    text = """
Parameters: {Name: {Type: String, Default: x}, More: {Type: CommaDelimitedList, Default: ""}}
Conditions: {HasMore: !Not [!Equals [!Select [0, !Ref More], ""]]}
Mappings: {Accounts: {us-west-2: {Id: "1"}}}
Resources:
  Made:
    Type: A::B::C
    Properties:
      One: !Sub "${Name}-${AWS::Region}-${Bucket.Arn}"
      Two: !Sub ["${Id}/${Name}", {Id: !FindInMap [Accounts, !Ref AWS::Region, Id]}]
      Three: [1, !If [HasMore, !Ref More, !Ref AWS::NoValue]]
      Condition: {StringEquals: {a: !GetAtt Bucket.Arn}}
"""
    pseudo = {"AWS::Region": "us-west-2"}
    made = Template(text, {}, pseudo, {"Bucket": "arn"}).resources("A::B::C")["Made"]
    assert made == {
        "One": "x-us-west-2-arn",
        "Two": "1/x",
        "Three": [1],
        "Condition": {"StringEquals": {"a": "arn"}},
    }
    more = Template(text, {"More": "a,b"}, pseudo, {}).resources("A::B::C")["Made"]
    assert more["Three"] == [1, ["a", "b"]]


def test_policies_of_one_meaning_are_equal():
    assert normal({"Action": ["b", "a"], "Bool": True}) == normal({"Bool": "true", "Action": ["a", "b"]})
    assert normal({"Action": ["a"]}) == normal({"Action": "a"}) != normal({"Action": "b"})


def test_what_an_action_does_not_support_is_named():
    """The documents have the form of AWS's list.

    https://docs.aws.amazon.com/service-authorization/latest/reference/service-reference.html
    """
    document = {
        "Name": "sagemaker",
        "Actions": [
            {
                "Name": "CreateModel",
                "ActionConditionKeys": ["aws:RequestTag/${TagKey}", "sagemaker:VpcSubnets"],
                "Resources": [{"Name": "model"}],
            },
            {"Name": "ListModels", "ActionConditionKeys": []},
        ],
        "Resources": [
            {
                "Name": "model",
                "ARNFormats": ["arn:${Partition}:sagemaker:${Region}:${Account}:model/${ModelName}"],
                "ConditionKeys": ["aws:ResourceTag/${TagKey}"],
            }
        ],
    }

    def problems(action: str, resource: str, **condition: dict) -> list[str]:
        statement = {"Action": f"sagemaker:{action}", "Resource": resource, "Condition": condition}
        return list(unsupported([statement], lambda service: document))

    ours = "arn:aws:sagemaker:us-west-2:1:model/*"
    assert problems("CreateModel", ours, StringLike={"aws:RequestTag/slipway:model-prefix": "?*"}) == []
    assert problems("CreateModel", ours, StringLike={"aws:ResourceTag/a": "?*", "aws:SourceAccount": "1"}) == []
    assert problems("ListModels", "*") == []
    assert problems("ListModels", ours) == ["sagemaker:ListModels: supports no resources"]
    assert problems("CreateModel", "arn:aws:sagemaker:us-west-2:1:endpoint/*") == [
        "sagemaker:CreateModel: supports arn:*:sagemaker:*:*:model/*"
    ]
    assert problems("CreateModel", ours, StringEquals={"sagemaker:TaggingAction": "CreateModel"}) == [
        "sagemaker:CreateModel: has no condition key sagemaker:TaggingAction"
    ]
    assert problems("MakeModel", ours) == ["sagemaker:MakeModel: there is no such action"]
