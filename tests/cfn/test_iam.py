"""What the roles of bootstrap.yaml and model.yaml may do, and what not, judged by what CloudFormation made of them.

A release's calls are allowed; beside each of them stands what the same role must not do.
"""

import copy
import json
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.cfn.iam_calls import AIRFLOW, ALLOWED, BUILD, CLOUDFORMATION, DENIED, ENDPOINT, TRAINING, URL, Call
from tests.cfn.test_templates import TEMPLATES
from tests.local_aws.sagemaker_cases import BUCKET
from tools.settings import ACCOUNT, AIRFLOW_PRINCIPAL

ROOT = Path(__file__).parents[2]


def policies_of(iam, name: str) -> list[dict]:
    found = iam.list_role_policies(RoleName=name)["PolicyNames"]
    return [iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"] for policy in found]


def judged(questions: list[tuple[Call, list[dict]]]) -> list[bool]:
    """Whether each call is allowed by its policies; all at once, because each start of the judge costs a second."""
    asked = [
        {"role": arn, "action": action, "resource": resource, "context": context, "policies": policies}
        for (arn, action, resource, context), policies in questions
    ]
    done = subprocess.run(
        [ROOT / ".venv-aws/bin/python", Path(__file__).with_name("iam_judge.py")],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    return [decision == "Allow" for decision in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def policies(local_aws) -> dict[str, list[dict]]:
    """By role, as CloudFormation made them."""
    iam = local_aws.client("iam")
    roles = (AIRFLOW, BUILD, CLOUDFORMATION, TRAINING, ENDPOINT)
    return {arn: policies_of(iam, arn.rpartition("/")[2]) for arn in roles}


@pytest.fixture(scope="module")
def allowed(policies) -> dict[str, bool]:
    calls = {**ALLOWED, **DENIED}
    return dict(zip(calls, judged([(call, policies[call[0]]) for call in calls.values()]), strict=True))


@pytest.mark.local_aws
@pytest.mark.parametrize("call", ALLOWED)
def test_what_a_release_needs_is_allowed(allowed, call):
    assert allowed[call]


@pytest.mark.local_aws
@pytest.mark.parametrize("call", DENIED)
def test_what_a_release_does_not_need_is_denied(allowed, call):
    assert not allowed[call]


PERSON = f"arn:aws:iam::{ACCOUNT}:role/data-science"
EVERYTHING_IN_S3 = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}


@pytest.mark.local_aws
@pytest.mark.parametrize(
    ("who", "key", "may"),
    [
        (AIRFLOW, "releases/iris-model/0a/model.tar.gz", True),
        (PERSON, "releases/iris-model/0a/model.tar.gz", False),
        (PERSON, "releases/iris-model/stages.json", False),
        (PERSON, "training_jobs/iris-model/trainingjob.zip", True),
    ],
)
def test_whatever_s3_rights_somebody_has_only_airflow_writes_releases(local_aws, who, key, may):
    policy = json.loads(local_aws.bucket_policy)
    call = (who, "s3:PutObject", f"arn:aws:s3:::{BUCKET}/{key}", {})
    assert judged([(call, [EVERYTHING_IN_S3, policy])]) == [may]


def without_each(policies: list[dict], part: Callable[[dict], Iterable[tuple[str, dict | None]]]):
    """The policies, each time without one thing.

    :param part: gives, for a statement, names and what is left of it, None for nothing
    """
    for at, document in enumerate(policies):
        for number, statement in enumerate(document["Statement"]):
            for name, left in part(statement):
                changed = copy.deepcopy(policies)
                changed[at]["Statement"][number : number + 1] = [left] if left else []
                yield f"{statement['Sid']} {name}", changed


def no_condition(statement: dict) -> Iterable[tuple[str, dict | None]]:
    for operator, keys in statement.get("Condition", {}).items():
        for key in keys:
            left = copy.deepcopy(statement)
            del left["Condition"][operator][key]
            yield f"{operator} {key}", left


def unnoticed(policies, calls: dict[str, Call], part, *, expected: bool) -> list[str]:
    """What can be removed without changing the judgement of any call."""
    questions, names = [], []
    for arn, documents in policies.items():
        for name, changed in without_each(documents, part):
            for call in calls.values():
                if call[0] == arn:
                    questions.append((call, changed))
                    names.append(f"{arn.rpartition('/')[2]}: {name}")
    noticed = {name for name, verdict in zip(names, judged(questions), strict=True) if verdict is not expected}
    return sorted(set(names) - noticed)


@pytest.mark.local_aws
def test_no_condition_could_be_left_out(policies):
    assert unnoticed(policies, DENIED, no_condition, expected=False) == []


@pytest.mark.local_aws
def test_no_statement_could_be_left_out(policies):
    # SNS calls KMS by itself when Slipway publishes to an encrypted topic.
    missing = unnoticed(policies, ALLOWED, lambda statement: [("", None)], expected=True)
    assert missing == ["slipway-airflow: NotifyInCipher "]


@pytest.mark.local_aws
def test_policies_fit_into_their_roles(policies):
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    for arn, documents in policies.items():
        assert sum(len(json.dumps(document, separators=(",", ":"))) for document in documents) <= 10_240, arn


@pytest.mark.local_aws
def test_airflows_role_trusts_its_principal_and_nobody_else(local_aws):
    trust = local_aws.client("iam").get_role(RoleName="slipway-airflow")["Role"]["AssumeRolePolicyDocument"]
    assert [statement["Principal"] for statement in trust["Statement"]] == [{"AWS": AIRFLOW_PRINCIPAL}]


@pytest.mark.local_aws
@pytest.mark.parametrize(
    "given", [{}, {"AirflowPrincipalArn": ""}, {"AirflowPrincipalArn": f"arn:aws:iam::{ACCOUNT}:root"}]
)
def test_the_account_is_not_set_up_without_a_principal(local_aws, given):
    wanted = {"EndpointTemplateUrls": URL, **given}
    with pytest.raises(local_aws.client("cloudformation").exceptions.ClientError, match="AirflowPrincipalArn"):
        local_aws.client("cloudformation").create_change_set(
            StackName="nobody",
            ChangeSetName="check",
            ChangeSetType="CREATE",
            TemplateBody=TEMPLATES["bootstrap.yaml"].read_text(),
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
            TemplateBody=TEMPLATES["model.yaml"].read_text(),
            Parameters=[{"ParameterKey": "ModelPrefix", "ParameterValue": prefix}],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
