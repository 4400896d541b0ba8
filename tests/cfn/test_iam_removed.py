"""Statements of the set-up templates that are taken away for real: what fails then says which one is missing."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from slipway.errors import SlipwayError
from slipway.quality.evaluate import EvaluateOperator
from slipway.registry.register import RegisterModelOperator
from slipway.training.train import SlipwayTrainingOperator
from tests.cfn.life import Life, real_roles
from tests.cfn.life_models import FIRST, LifeModel, LifeRelease
from tests.cfn.releases import DEV
from tests.local_aws.sagemaker_cases import BUCKET
from tests.local_aws.server import ACCOUNT, REGION, LocalAws

pytestmark = pytest.mark.local_aws

SAGEMAKER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
ROLE = f"arn:aws:iam::{ACCOUNT}:role"
STACK = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/mlops-deploy-{FIRST}-dev"


@pytest.fixture(scope="module")
def life(tmp_path_factory) -> Iterator[Life]:
    with real_roles(tmp_path_factory.mktemp("removed") / "state") as made:
        made.a_person_uploads_data()
        yield made


@contextmanager
def without(aws: LocalAws, role: str, policy: str, sid: str, action: str = "") -> Iterator[None]:
    """Put a role's policy without one statement, or without one action of it, and then as it was."""
    iam = aws.client("iam")
    names = {"RoleName": role, "PolicyName": policy}
    before = iam.get_role_policy(**names)["PolicyDocument"]
    left = json.loads(json.dumps(before))
    (statement,) = [one for one in left["Statement"] if one["Sid"] == sid]
    if action:
        statement["Action"].remove(action)
    else:
        left["Statement"].remove(statement)
    iam.put_role_policy(**names, PolicyDocument=json.dumps(left))
    try:
        yield
    finally:
        iam.put_role_policy(**names, PolicyDocument=json.dumps(before))


class Case(NamedTuple):
    """A statement that is taken away, and what then fails.

    :param role: that has the statement
    :param statement: POLICY/SID, and an action if only this one goes
    :param fails: what a run does then
    :param action: what is missing
    :param resource: on what, or how it begins
    """

    role: str
    statement: str
    fails: Callable[[LifeModel, LifeRelease], object]
    action: str
    resource: str


def process(model, release):
    return model.upload(ABTests=False)


def train(model, release):
    fresh = LifeRelease.of(model, model.upload(ABTests=False))
    return fresh.run("train", SlipwayTrainingOperator)


def evaluate_and_register(model, release):
    fresh = LifeRelease.of(model, model.upload(ABTests=False))
    for task_id, operator in (("train", SlipwayTrainingOperator), ("evaluate", EvaluateOperator)):
        fresh.run(task_id, operator)
    return fresh.run("register", RegisterModelOperator)


def approve(model, release):
    return release.approve()


def deploy(model, release):
    return release.deploy(DEV)


AIRFLOW, CLOUDFORMATION = "slipway-airflow", "slipway-cloudformation"
CASES = {
    "keep a copy of it": Case(
        AIRFLOW, "s3/KeepCopiesOfReleases", process, "s3:", f"arn:aws:s3:::{BUCKET}/releases/{FIRST}/"
    ),
    "start jobs": Case(
        AIRFLOW,
        "sagemaker/StartJobsThatCarryOurTag",
        train,
        "sagemaker:CreateTrainingJob",
        f"{SAGEMAKER}:training-job/mlops-{FIRST}-",
    ),
    "hand jobs their role": Case(
        AIRFLOW, "sagemaker/HandJobsTheirRole", train, "iam:PassRole", f"{ROLE}/slipway-training-{FIRST}"
    ),
    "write the artefact": Case(
        f"slipway-training-{FIRST}",
        "training/WriteArtefact",
        train,
        "s3:PutObject",
        f"arn:aws:s3:::{BUCKET}/{FIRST}/mlops-{FIRST}-",
    ),
    "register": Case(
        AIRFLOW,
        "sagemaker/RegisterWhatNobodyHasApproved",
        evaluate_and_register,
        "sagemaker:CreateModelPackage",
        f"{SAGEMAKER}:model-package-group/mlops-{FIRST}",
    ),
    "ask for changes": Case(
        AIRFLOW, "deploy/AskForChangesByTheApprovedTemplate", deploy, "cloudformation:CreateChangeSet", STACK
    ),
    "hand CloudFormation its role": Case(
        AIRFLOW, "deploy/HandCloudFormationItsRole", deploy, "iam:PassRole", f"{ROLE}/{CLOUDFORMATION}"
    ),
    "make what carries the tag": Case(
        CLOUDFORMATION,
        "endpoint-stacks/MakeWhatCarriesOurTag",
        deploy,
        "sagemaker:CreateModel",
        f"{SAGEMAKER}:model/",
    ),
    "tag what it makes": Case(
        CLOUDFORMATION, "endpoint-stacks/TagWhatItMakes", deploy, "sagemaker:AddTags", f"{SAGEMAKER}:model/"
    ),
    "hand models their role": Case(
        CLOUDFORMATION,
        "endpoint-stacks/HandModelsTheirRole",
        deploy,
        "iam:PassRole",
        f"{ROLE}/slipway-endpoint-{FIRST}",
    ),
}
# What S3 and SageMaker refuse in other words than IAM's, and what an approver does instead.
IN_OTHER_WORDS = {
    "read the zip": (
        Case(
            AIRFLOW,
            "s3/ReadRequestsDataAndArtefacts",
            process,
            "s3:GetObjectVersion",
            f"s3://{BUCKET}/training_jobs/{FIRST}/trainingjob.zip",
        ),
        "role of Airflow's connection",
    ),
    "decide": (
        Case(
            AIRFLOW,
            "sagemaker/KeepTheRecord sagemaker:UpdateModelPackage",
            approve,
            "sagemaker:UpdateModelPackage",
            f"{SAGEMAKER}:model-package/mlops-{FIRST}/",
        ),
        f":assumed-role/{AIRFLOW}/",
    ),
    "serve the registered model": (
        Case(
            f"slipway-endpoint-{FIRST}",
            "endpoint/ReadRegisteredModels",
            deploy,
            "s3:GetObject",
            f"s3://{BUCKET}/releases/{FIRST}/",
        ),
        f"{ROLE}/slipway-endpoint-{FIRST}",
    ),
}


@pytest.fixture(scope="module")
def release(life) -> LifeRelease:
    """One that is registered, and deployed nowhere."""
    return life.first.release(ABTests=False)


def failure(life: Life, release: LifeRelease, case: Case) -> str:
    """What the task says that fails without a statement."""
    where, _, action = case.statement.partition(" ")
    with without(life.aws, case.role, *where.split("/"), action), pytest.raises(SlipwayError) as error:
        case.fails(life.first, release)
    return str(error.value)


@pytest.mark.parametrize("name", CASES)
def test_a_missing_statement_is_named(life, release, name):
    case = CASES[name]
    said = failure(life, release, case)
    who = f":assumed-role/{case.role}/"
    assert who in said and case.action in said and case.resource in said, said
    assert f'"Action": "{case.action}' in said and f'"Resource": "{case.resource}' in said, said
    assert who in said.partition("Fix: ")[2], said


@pytest.mark.parametrize("name", IN_OTHER_WORDS)
def test_so_is_one_that_is_refused_in_other_words_than_iams(life, release, name):
    case, who = IN_OTHER_WORDS[name]
    said = failure(life, release, case)
    assert who in said and case.action in said and case.resource in said, said


def test_a_notice_that_cannot_be_sent_is_named_in_the_log(life, caplog):
    """A release never waits for a message."""
    gone = without(life.aws, AIRFLOW, "watch", "Notify")
    with gone, caplog.at_level(logging.WARNING), pytest.raises(AssertionError):
        life.notices()
    assert "sns:Publish" in caplog.text and "slipway-airflow" in caplog.text
