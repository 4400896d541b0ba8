"""Shared parts of the compute's tests: the driver's client, data, and a job's specification."""

import contextlib
import json
import os
import random
import subprocess
import time
from pathlib import Path

from demo.training_job import HYPERPARAMETERS

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".venv-aws" / "bin" / "python"
BUCKET = "compute-tests"
REGISTRY = "433757028032.dkr.ecr.us-west-2.amazonaws.com"
OLD_IMAGE = f"{REGISTRY}/sagemaker-xgboost:1.0-1-cpu-py3"
IMAGE = f"{REGISTRY}/sagemaker-xgboost:1.7-1"
# One clear row of each class of `rows`.
ROW_OF = {0: "0.0,0.1", 1: "5.0,5.1", 2: "10.0,9.9"}


class ComputeProcess:
    """A process that runs the compute as the local AWS does."""

    def __init__(self, endpoint_url, state_dir):
        self.endpoint_url = endpoint_url
        self.state_dir = state_dir
        self._process = subprocess.Popen(
            [PYTHON, Path(__file__).with_name("driver.py"), endpoint_url, str(state_dir)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, command, **arguments):
        self._process.stdin.write(json.dumps([command, arguments]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["answer"]

    def train(self, **spec):
        """Run a job to its end."""
        self("train", spec=spec)
        return self("result", job_name=spec["job_name"])

    def containers(self):
        """Return the recorded processes as (name, pid)."""
        found = []
        for path in (self.state_dir / "processes").glob("*.json"):
            # It may be removed, or not be written to its end, at any moment.
            with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
                record = json.loads(path.read_text())
                found.append((record["name"], record["pid"]))
        return found

    def kill(self):
        """Kill the process with SIGKILL, and leave what it has started."""
        self._process.kill()
        self._process.wait()

    def close(self):
        """End cleanly."""
        if self._process.poll() is None:
            self("quit")
            self._process.wait(timeout=60)


def alive(pid):
    """Tell whether a process runs; one that is dead and not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, timeout_seconds=180):
    """Wait for a condition to hold, and return what it returned."""
    deadline = time.monotonic() + timeout_seconds
    while not (held := condition()):
        assert time.monotonic() < deadline, "the condition did not come to hold"
        time.sleep(0.05)
    return held


def rows(shift=0, count=60, seed=1):
    """Make labelled points of three clusters; a shift rotates the labels."""
    source = random.Random(seed)
    table = []
    for number in range(count):
        centre = number % 3
        table.append(((centre + shift) % 3, source.gauss(5 * centre, 0.5), source.gauss(5 * centre, 0.5)))
    return table


def csv(table):
    """Write headerless CSV, label first."""
    return "".join(",".join(str(value) for value in row) + "\n" for row in table)


def libsvm(table):
    """Write libsvm with columns from 0."""
    return "".join(f"{label} 0:{x} 1:{y}\n" for label, x, y in table)


def channel(name, key, content_type="text/csv"):
    """Describe a channel of the bucket."""
    return {"name": name, "s3_uri": f"s3://{BUCKET}/{key}", "content_type": content_type}


def job(name, *, hyperparameters=None, channels=None, image=OLD_IMAGE, **more):
    """Describe a job on the clusters."""
    return {
        "job_name": name,
        "job_arn": f"arn:aws:sagemaker:us-west-2:123456789012:training-job/{name}",
        "image": image,
        "hyperparameters": HYPERPARAMETERS if hyperparameters is None else hyperparameters,
        "channels": channels or [channel("train", "clusters/train"), channel("validation", "clusters/validation")],
        "s3_output_uri": f"s3://{BUCKET}/out",
        "max_runtime_seconds": 3600,
        **more,
    }


def variant(name, model_data_url, *, image=OLD_IMAGE, instance_count=1, weight=1.0):
    """Describe a variant."""
    return {
        "name": name,
        "model_name": f"model-of-{name}",
        "image": image,
        "model_data_url": model_data_url,
        "instance_count": instance_count,
        "weight": weight,
    }
