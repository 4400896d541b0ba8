"""The files that `make up` writes for a person's shell: after `source .slipway/env` no call leaves this machine."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from local_aws.host.credentials import FILE_NAME
from tests.aws_keys import CREDENTIALS
from tests.local_aws.server import ACCOUNT
from tools import environment
from tools.settings import Settings

# What Python reports before it connects or asks for an address: https://docs.python.org/3/library/audit_events.html
WATCHED = """
import os, sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        host = arguments[1][0] if event == "socket.connect" else arguments[0]
        if host not in ("127.0.0.1", "localhost") and "/" not in str(host):
            print("left this machine:", event, host, file=sys.stderr)
            os._exit(3)
sys.addaudithook(watch)
"""
CALLERS = {
    "AWS_PROFILE": "work",
    "AWS_SESSION_TOKEN": "theirs",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_ENDPOINT_URL_STS": "https://sts.us-west-2.amazonaws.com",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_REGION": "eu-west-1",
    "HTTP_PROXY": "http://proxy.example:3128",
    "PYTHONPATH": "/theirs",
}


@pytest.fixture(scope="module")
def instance(tmp_path_factory):
    """The settings of an instance whose files have been written."""
    home = tmp_path_factory.mktemp("home")
    made = Settings(home)
    made.aws_state.mkdir()
    environment.write_env_files(made)
    return made


def in_shell(file: Path, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "TMPDIR")}
    return subprocess.run(
        ["/bin/bash", "-c", f"set -eu; source {file}; source {file}; {command}"],
        env=clean | CALLERS | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["env_file", "admin_env_file"])
def test_the_shell_forgets_what_leads_to_another_account(instance, name):
    done = in_shell(
        getattr(instance, name), f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_STS", "AWS_USE_FIPS_ENDPOINT"} & found.keys()
    assert "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS" not in found
    assert (found["AWS_REGION"], found["AWS_DEFAULT_REGION"]) == ("us-west-2", "us-west-2")
    # What was there stays, and sourcing the file again adds nothing.
    assert found["PYTHONPATH"] == f"{environment.LOCAL_ONLY}:/theirs"
    assert found["NO_PROXY"] == "127.0.0.1,localhost"
    assert Path(found["AWS_CONFIG_FILE"]).read_text().count(instance.aws_url) == 1


def test_the_files_are_for_their_owner_alone(instance):
    for path in (instance.env_file, instance.admin_env_file, instance.aws_config_file, instance.sagemaker_config_file):
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.local_aws
def test_clients_with_an_address_of_their_own_stay_here(local_aws, tmp_path):
    """The SDK makes its client of STS with AWS's address, and names its bucket by what STS says."""
    instance = Settings(tmp_path, aws_port=local_aws.port)
    instance.aws_state.mkdir()
    (instance.aws_state / FILE_NAME).write_text(json.dumps(asdict(CREDENTIALS)))
    environment.write_env_files(instance)
    program = tmp_path / "program.py"
    program.write_text(
        WATCHED
        + """
import json
import boto3
from sagemaker.core.helper.session_helper import Session
session = Session()
late = boto3.client("sts", endpoint_url="https://sts.eu-west-1.amazonaws.com", region_name="eu-west-1")
print(json.dumps([
    session.account_id(),
    session.get_caller_identity_arn(),
    session.default_bucket(),
    late.get_caller_identity()["Account"],
    late.meta.endpoint_url,
]))
"""
    )
    before = len(local_aws.ledger(operation="GetCallerIdentity"))
    done = in_shell(instance.env_file, f"{sys.executable} {program}")
    assert done.returncode == 0, done.stderr[-3000:]
    user = f"arn:aws:iam::{ACCOUNT}:user/slipway-operator"
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == [ACCOUNT, user, instance.sdk_bucket, ACCOUNT, local_aws.endpoint_url]
    assert len(local_aws.ledger(operation="GetCallerIdentity")) >= before + 3
    assert instance.sdk_bucket in {one["Name"] for one in local_aws.client("s3").list_buckets()["Buckets"]}


def test_without_a_local_aws_an_address_stays_as_it_is(tmp_path):
    program = (
        "import boto3; c = boto3.client('sts', region_name='us-west-2', aws_access_key_id='a', "
        "aws_secret_access_key='b', endpoint_url='https://sts.us-west-2.amazonaws.com'); print(c.meta.endpoint_url)"
    )
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(environment.LOCAL_ONLY)}
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "https://sts.us-west-2.amazonaws.com"


def test_another_sitecustomize_still_runs(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('theirs')\n")
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{environment.LOCAL_ONLY}{os.pathsep}{tmp_path}"}
    done = subprocess.run([sys.executable, "-c", ""], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout == "theirs\n"
