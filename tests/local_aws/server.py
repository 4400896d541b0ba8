"""The local AWS as tests use it: its own process, on a free port, with its own state folder.

A plugin of pytest (see tests/conftest.py), so that one server serves the tests of every folder.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from slipway.command import stacks
from tests.aws_keys import CREDENTIALS
from tests.local_aws import prepared
from tools import bootstrap_stack, ledger
from tools.models import ModelFiles
from tools.settings import AIRFLOW_PRINCIPAL

ROOT = Path(__file__).parents[2]
ACCOUNT = "123456789012"
REGION = "us-west-2"
OPERATOR_ARN = f"arn:aws:iam::{ACCOUNT}:user/slipway-operator"
AIRFLOW_ARN = f"arn:aws:iam::{ACCOUNT}:user/slipway-airflow"
START_SECONDS = 180
# Of a queue: services may deliver to it. https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html
FROM_SERVICES = {
    "Policy": json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Principal": {"Service": ["sns.amazonaws.com", "s3.amazonaws.com"]},
                "Action": "sqs:SendMessage",
                "Resource": "*",
            },
        }
    )
}
_PROGRAM = "import sys; from local_aws.__main__ import main; sys.exit(main())"
_EVERYTHING = "arn:aws:iam::aws:policy/AdministratorAccess"
# The stacks of an account are there in tenths of a second here; a look each second would be most of its set-up.
stacks.POLL_SECONDS = 0.05


def _read_models(include: Path) -> ModelFiles:
    from slipway.model.files import load_models

    found, errors = load_models(include / "models")
    images = [model.prefix for model in found if model.image]
    return ModelFiles([model.prefix for model in found], [str(error) for error in errors], images)


# Tests have Airflow imported, with settings of their own. A process that imports it takes two seconds for each account.
bootstrap_stack.read_models = _read_models

# Who makes the calls of SageMaker, CloudFormation and Application Auto Scaling.
_OF_AWS = re.compile(r"[a-z.-]+\.amazonaws\.com|.*/(SageMaker|AWSCloudFormation|AutoScaling-UpdateDesiredCapacity)")
# A ledger has thousands of calls, of few callers.
_of_aws = cache(_OF_AWS.fullmatch)


class LocalAws:
    """One local AWS; its state outlives stop, kill and start."""

    def __init__(
        self, state_dir: Path, *arguments: str, environment: dict[str, str] | None = None, as_admin: bool = False
    ) -> None:
        # Whether clients are the administrator's, and both other users may do only what releases need.
        self.as_admin = as_admin
        self.state_dir = state_dir
        self.arguments = arguments
        self.environment = environment or {}
        # The policy of bootstrap.yaml's bucket, which `set_up_account` takes off.
        self.bucket_policy = ""
        self.port = free_port()
        self.process: prepared.Forked | None = None
        self._clients: dict[str, Any] = {}
        self._ledger = ledger.Ledger(state_dir / "ledger.jsonl")

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log_path(self) -> Path:
        return self.state_dir.parent / f"{self.state_dir.name}.log"

    def start(self) -> "LocalAws":
        command = ["--port", str(self.port), "--state-dir", str(self.state_dir), *self.arguments]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment |= CREDENTIALS.variables() | self.environment
        self.process = prepared.start(_PROGRAM, command, environment, output=self.log_path)
        deadline = time.monotonic() + START_SECONDS
        while not self.healthy():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"The local AWS did not start:\n{self.log_path.read_text()[-4000:]}")
            time.sleep(0.1)
        self._prepare()
        return self

    def _prepare(self) -> None:
        """Make the role that tests train and host as, and let both users do whatever a test wants to see.

        What the users and the roles of a release may do is in host/test_enforcement.py.
        """
        keys = {
            "aws_access_key_id": CREDENTIALS.admin.access_key_id,
            "aws_secret_access_key": CREDENTIALS.admin.secret_access_key,
        }
        iam = self.client("iam", **keys)
        # A server with keys of its own does not let this client in.
        with contextlib.suppress(iam.exceptions.ClientError):
            for user in () if self.as_admin else ("slipway-airflow", "slipway-operator"):
                iam.attach_user_policy(UserName=user, PolicyArn=_EVERYTHING)
            self.make_role("tests")

    def make_role(self, *names: str) -> None:
        """Make roles that SageMaker and CloudFormation can assume, and that may do everything."""
        iam = self.client("iam")
        trusted = {"Service": ["sagemaker.amazonaws.com", "cloudformation.amazonaws.com"]}
        statement = {"Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        for name in names:
            with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
                iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
            iam.attach_role_policy(RoleName=name, PolicyArn=_EVERYTHING)
            # Those of model.yaml have a boundary.
            with contextlib.suppress(iam.exceptions.NoSuchEntityException):
                iam.delete_role_permissions_boundary(RoleName=name)

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint_url}/_local_aws/health", timeout=5) as answer:  # noqa: S310
                return answer.status == 200
        except OSError:
            return False

    def stop(self) -> int:
        """SIGTERM, and wait; return the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)

    def restart(self) -> "LocalAws":
        self.stop()
        return self.start()

    def client_of(self, account: str, service: str, **overrides: Any) -> Any:
        """Return a client of another account's role."""
        role = f"arn:aws:iam::{account}:role/OrganizationAccountAccessRole"
        session = self.client("sts").assume_role(RoleArn=role, RoleSessionName="tests")["Credentials"]
        keys = {
            "aws_access_key_id": session["AccessKeyId"],
            "aws_secret_access_key": session["SecretAccessKey"],
            "aws_session_token": session["SessionToken"],
        }
        return self.client(service, **keys, **overrides)

    def client(self, service: str, **overrides: Any) -> Any:
        """Return a client; one without special settings is made once, because boto3 takes a while to make it."""
        if not overrides and service in self._clients:
            return self._clients[service]
        key = CREDENTIALS.admin if self.as_admin else CREDENTIALS.operator
        # Sessions that test something else do not pay for its import.
        import boto3
        from botocore.config import Config

        settings = {
            "endpoint_url": self.endpoint_url,
            "region_name": REGION,
            "aws_access_key_id": key.access_key_id,
            "aws_secret_access_key": key.secret_access_key,
            "config": Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        }
        made = boto3.client(service, **{**settings, **overrides})
        return made if overrides else self._clients.setdefault(service, made)

    def ledger(self, **wanted: Any) -> list[dict[str, Any]]:
        """The calls so far whose members are as given."""
        return self._ledger.calls(**wanted)

    def saved(self) -> list[Any]:
        """What is on disk of ministack's state, an entry or a part of one each."""
        with tempfile.TemporaryDirectory() as folder:
            # The server has locked its files.
            for file in (self.state_dir / "ministack").glob("state.sqlite*"):
                shutil.copy(file, folder)
            with contextlib.closing(sqlite3.connect(Path(folder) / "state.sqlite")) as connection:
                return [json.loads(body) for (body,) in connection.execute("SELECT body FROM entries")]

    def asked(self) -> list[dict[str, Any]]:
        """The calls so far of everybody but AWS's own services, which go on with the endpoints of other tests."""
        return [call for call in self.ledger() if not _of_aws(call["caller"])]

    def deploy(self, stack: str, template: dict[str, Any], **parameters: Any) -> dict[str, Any]:
        """Create or update a stack and wait until CloudFormation has ended; return its description."""
        client = self.client("cloudformation")
        try:
            client.describe_stacks(StackName=stack)
            operation = client.update_stack
        except client.exceptions.ClientError:
            operation = client.create_stack
        operation(StackName=stack, TemplateBody=json.dumps(template), **parameters)
        return self.stack(stack)

    def stack(self, stack: str) -> dict[str, Any]:
        """Wait until a stack's operation has ended; return its description."""
        client = self.client("cloudformation")
        return eventually(
            lambda: client.describe_stacks(StackName=stack)["Stacks"][0],
            lambda found: not found["StackStatus"].endswith("_IN_PROGRESS"),
        )


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    """`eventually`, for tests."""
    return eventually


def eventually(look: Callable[[], Any], enough: Callable[[Any], bool], seconds: float = 120) -> Any:
    """Call a function until its result is enough; return the result."""
    deadline = time.monotonic() + seconds
    while not enough(seen := look()):
        assert time.monotonic() < deadline, f"never came: last seen {seen}"
        time.sleep(0.1)
    return seen


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """One local AWS for all tests that do not stop it and do not depend on an empty state.

    Its account is set up by bootstrap.yaml, as any account that releases models.
    """
    running = LocalAws(tmp_path_factory.mktemp("local_aws") / "state").start()
    try:
        set_up_account(running)
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def fast_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS with an account set up, where a minute lasts a second, for the tests of one file.

    It ends with the file, because its endpoints and metrics keep it busy each second.
    """
    running = LocalAws(tmp_path_factory.mktemp("fast_aws") / "state", "--time-scale", "60").start()
    try:
        set_up_account(running)
        yield running
    finally:
        running.stop()


def set_up_account(running: LocalAws) -> None:
    """Set the account up as an administrator does, before anything else makes bootstrap.yaml's bucket."""
    assert bootstrap_stack.deploy(running.client, ROOT / "include", AIRFLOW_PRINCIPAL) == []
    # Tests train with data and serve models from anywhere in the bucket, and write releases as Airflow's user.
    running.make_role("slipway-training-iris-model", "slipway-endpoint-iris-model")
    bucket = f"mlops-{REGION}-{ACCOUNT}"
    running.bucket_policy = running.client("s3").get_bucket_policy(Bucket=bucket)["Policy"]
    running.client("s3").delete_bucket_policy(Bucket=bucket)


@pytest.fixture
def new_local_aws(tmp_path: Path) -> Iterator[Callable[..., LocalAws]]:
    """Makes local AWSes for one test, not started yet; those that run at the end are stopped."""
    made: list[LocalAws] = []

    def make(*arguments: str, environment: dict[str, str] | None = None) -> LocalAws:
        made.append(LocalAws(tmp_path / f"state{len(made)}", *arguments, environment=environment))
        return made[-1]

    yield make
    for one in made:
        if one.process is not None and one.process.poll() is None:
            # A kill would leave its model servers behind.
            one.stop()
