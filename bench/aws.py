"""Start a local AWS for the benchmark, on a free port, with an endpoint that serves the iris model."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from demo import datasets
from demo.training_job import HYPERPARAMETERS
from tools.environment import admin_variables
from tools.settings import ACCOUNT, REGION, ROOT, Settings

ENDPOINT = "bench-iris"
BUCKET = "bench"
_IMAGE = "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1"
_ROLE = f"arn:aws:iam::{ACCOUNT}:role/bench"
# An account with a long history is read at the start.
_START_SECONDS = 600
# The state in /proc/net/tcp: https://docs.kernel.org/networking/proc_net_tcp.html
_LISTENING = "0A"


@dataclass(frozen=True)
class Server:
    """One local AWS.

    :param url: the URL of every service
    :param home: its folder
    :param variables: the environment that points boto3 to it
    :param pid: its process id, or 0 if unknown
    """

    url: str
    home: Path
    variables: dict[str, str]
    pid: int = 0

    def client(self, service: str, **more: Any) -> Any:
        """Return a client of one of its services."""
        return boto3.client(
            service,  # type: ignore[call-overload]  # its overloads list the services by literal name
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
            **{"config": Config(proxies={}), **more},
        )


@contextlib.contextmanager
def local_aws(home: Path | None = None) -> Iterator[Server]:
    """Run a local AWS, and always stop it and its model servers afterwards.

    :param home: an instance's folder, which stays; a new one that is removed by default
    """
    given, home = home, home or Path(tempfile.mkdtemp(prefix="slipway-bench-"))
    settings = Settings(home, aws_port=free_port())
    command: list[str | Path] = [ROOT / ".venv-aws/bin/python", "-m", "local_aws", "--port", str(settings.aws_port)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--state-dir", home / "aws"], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _wait_healthy(process, f"{settings.aws_url}/_local_aws/health", home / "log")
        yield Server(settings.aws_url, home, admin_variables(settings), process.pid)
    finally:
        process.terminate()
        process.wait(60)
        if given is None:
            shutil.rmtree(home, ignore_errors=True)


def _wait_healthy(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):  # noqa: S310 - its own address
            return
        time.sleep(0.1)
    raise SystemExit(f"bench: the local AWS did not start:\n{log.read_text()[-2000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def deploy(server: Server) -> list[list[float]]:
    """Train the iris model and put it behind an endpoint of one instance.

    :returns: the held-out rows, label first
    """
    split = datasets.load("iris")
    _make_role(server)
    s3, sagemaker = server.client("s3"), server.client("sagemaker")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    for channel, rows in (("train", split.train), ("validation", split.held_out)):
        s3.put_object(Bucket=BUCKET, Key=f"{channel}/iris.csv", Body=datasets.to_csv(rows))
    sagemaker.create_training_job(
        TrainingJobName="bench",
        AlgorithmSpecification={"TrainingImage": _IMAGE, "TrainingInputMode": "File"},
        RoleArn=_ROLE,
        HyperParameters=HYPERPARAMETERS,
        InputDataConfig=[_channel("train"), _channel("validation")],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
        ResourceConfig={"InstanceType": "ml.m4.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    job = sagemaker.get_waiter("training_job_completed_or_stopped")
    job.wait(TrainingJobName="bench", WaiterConfig={"Delay": 1})
    trained = sagemaker.describe_training_job(TrainingJobName="bench")
    artifact = trained["ModelArtifacts"]["S3ModelArtifacts"]
    sagemaker.create_model(
        ModelName="bench", ExecutionRoleArn=_ROLE, PrimaryContainer={"Image": _IMAGE, "ModelDataUrl": artifact}
    )
    variant = {"VariantName": "iris", "ModelName": "bench", "InstanceType": "ml.t2.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="bench", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName="bench")
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=ENDPOINT, WaiterConfig={"Delay": 1})
    return split.held_out


def _make_role(server: Server) -> None:
    """Make the role that trains and hosts."""
    iam = server.client("iam")
    statement = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    name = _ROLE.rpartition("/")[2]
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")


def _channel(name: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{name}", "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "ContentType": "text/csv"}


def model_server(server: Server) -> tuple[int, int]:
    """Find the endpoint's one model server.

    The benchmark sends to it directly, without the gateway, which no client of AWS can do. The local AWS records the
    process of every container, and /proc gives the port.

    :returns: its process id and the port on which it listens
    """
    [record] = (server.home / "aws/compute/processes").glob("*.json")
    pid: int = json.loads(record.read_text())["pid"]
    sockets = _sockets(pid)
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_, inode = line.split()[:10]
        if state == _LISTENING and inode in sockets:
            return pid, int(local.rpartition(":")[2], 16)
    raise SystemExit("bench: the endpoint's model server does not listen")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html"""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _sockets(pid: int) -> set[str]:
    """Return the inodes of the open sockets of a process."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            kind, _, inode = str(descriptor.readlink()).partition(":")
            if kind == "socket":
                found.add(inode.strip("[]"))
    return found
