"""`make test-images-container`: the example's image, built and run by this machine's container engine.

No part of `make test`: it needs docker, or as root podman, and takes minutes.
"""

import json
import os

import pytest

from demo import datasets
from local_aws.compute.docker.build import BASE_LABEL
from local_aws.compute.docker.registry import push_files, reference
from local_aws.compute.engine import engine as engines
from local_aws.compute.engine.command_lines import LABEL
from local_aws.compute.engine.images import name_of
from slipway.images.bill_of_materials import debian_packages
from tests.compose import images
from tests.compose.engine import CONFIGURATION
from tests.conftest import ROOT
from tests.local_aws import codebuild_cases, sagemaker_cases
from tests.local_aws.codebuild_cases import described, log, phase, project, put_source, start
from tests.local_aws.sagemaker_cases import BUCKET, ROLE, create_config, training_request, unique
from tests.local_aws.server import LocalAws, eventually

EXAMPLE = ROOT / "include" / "containers" / "iris-random-forest"
BASE = "public.ecr.aws/docker/library/python:3.11-slim-bookworm"
REGISTRY = "123456789012.dkr.ecr.us-west-2.amazonaws.com"
REPOSITORY = "real-containers"
# A busy machine takes minutes for what an idle one does in seconds.
PATIENCE_SECONDS = 1800.0
SPLIT = datasets.load("iris")
# As plugins/slipway/command/cfn/model.yaml has them.
COMMANDS = (
    "aws ecr get-login-password --region $AWS_DEFAULT_REGION | docker login --username AWS --password-stdin $REGISTRY",
    "docker build --tag $IMAGE .",
    "docker run --rm --network none --entrypoint python $IMAGE -m pip list --format json > packages.json",
    "cat packages.json",
    "docker run --rm --network none --entrypoint sh $IMAGE -c '. /etc/os-release && dpkg-query --show --showformat "
    """"$ID $VERSION_CODENAME \\${Package} \\${Version} \\${Architecture}\\n"' > packages.debian""",
    "cat packages.debian",
    "docker push $IMAGE",
    "docker inspect --format '{{index .RepoDigests 0}}' $IMAGE",
)
# Trains until it is stopped, and says what it may do.
LOOKS = """#!/usr/bin/env python3
import os, signal, sys, time, urllib.request
signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
def look(what):
    try:
        return what()
    except OSError as error:
        return type(error).__name__
print("root", look(lambda: open("/x", "w")))
print("tmp", look(lambda: open("/tmp/x", "w").write("x")))
print("ml", look(lambda: open("/opt/ml/model/x", "w").write("x")))
print("network", look(lambda: urllib.request.urlopen("http://198.51.100.1", timeout=5)))
print("capabilities", [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapBnd")])
print("variables", sorted(name for name in os.environ if name.startswith(("AWS_", "CONTAINERS_", "PIP_CONFIG"))))
print("ready")
time.sleep(600)
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """The machine's engine, with the example's base image where podman cannot pull it."""
    configuration = tmp_path_factory.mktemp("engine") / "containers.conf"
    configuration.write_text(CONFIGURATION)
    # What is not set by the caller is what podman needs on a bare Debian.
    os.environ.setdefault("CONTAINERS_CONF", str(configuration))
    found = engines.find(os.environ)
    if found.is_podman and found.image_id(BASE) is None:
        images.build_python(found.run, BASE)
    return found


@pytest.fixture(scope="module")
def aws(engine, tmp_path_factory):
    running = LocalAws(tmp_path_factory.mktemp("containers") / "state", "--compute", "container").start()
    try:
        codebuild_cases.set_up(running)
        running.client("ecr").create_repository(repositoryName=REPOSITORY)
        s3 = running.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        for channel, rows in (("train", SPLIT.train), ("validation", SPLIT.held_out)):
            s3.put_object(Bucket=BUCKET, Key=f"forest/input/{channel}/rows.csv", Body=datasets.to_csv(rows))
        yield running
    finally:
        running.stop()


def patiently(look, enough):
    return eventually(look, enough, PATIENCE_SECONDS)


def ended_job(aws, name):
    look = aws.client("sagemaker").describe_training_job
    return patiently(
        lambda: look(TrainingJobName=name), lambda found: found["TrainingJobStatus"] not in ("InProgress", "Stopping")
    )


def build(aws, tag, files):
    """Build files as an image and push it; return the build."""
    codebuild = aws.client("codebuild")
    put_source(aws, f"{tag}.zip", files)
    settings = codebuild_cases.settings(
        codebuild_cases.spec(*COMMANDS),
        source={
            "type": "S3",
            "location": f"{codebuild_cases.BUCKET}/{tag}.zip",
            "buildspec": codebuild_cases.spec(*COMMANDS),
        },
    )
    variables = {"IMAGE": f"{REGISTRY}/{REPOSITORY}:{tag}", "REGISTRY": REGISTRY}
    environment = settings["environment"] | {
        "privilegedMode": True,
        "environmentVariables": [{"name": name, "value": value} for name, value in variables.items()],
    }
    name = project(codebuild, settings["source"]["buildspec"], source=settings["source"], environment=environment)
    build_id = start(codebuild, name)
    return patiently(lambda: described(codebuild, build_id), lambda found: found["buildComplete"])


@pytest.fixture(scope="module")
def forest(aws):
    """The example's image, by its digest, and the lines of its build."""
    found = build(aws, "forest", {path.name: path.read_text() for path in EXAMPLE.iterdir()})
    lines = log(aws, found)
    assert phase(found, "BUILD")[0] == "SUCCEEDED", "\n".join(lines[-40:])
    return lines[-1], lines


def job(image, **changes):
    request = training_request(unique("forest"), "forest", HyperParameters={"n_estimators": "20"}, **changes)
    request["AlgorithmSpecification"] = {"TrainingImage": image, "TrainingInputMode": "File"}
    return request


def test_the_example_is_built_trained_and_served(aws, engine, forest):
    image, lines = forest
    assert any('"name": "scikit-learn"' in line for line in lines)
    assert "libc6" in {one.name for one in debian_packages("\n".join(lines))}
    sagemaker = aws.client("sagemaker")
    request = job(image, EnableNetworkIsolation=True)
    sagemaker.create_training_job(**request)
    done = ended_job(aws, request["TrainingJobName"])
    assert done["TrainingJobStatus"] == "Completed", done.get("FailureReason")
    url = done["ModelArtifacts"]["S3ModelArtifacts"]
    for isolated in (True, False):
        model = unique("forest")
        sagemaker.create_model(
            ModelName=model,
            PrimaryContainer={"Image": image, "ModelDataUrl": url},
            ExecutionRoleArn=ROLE,
            EnableNetworkIsolation=isolated,
        )
        name = unique("forest")
        sagemaker.create_endpoint(
            EndpointName=name, EndpointConfigName=create_config(aws, sagemaker_cases.variant(model))
        )
        endpoint = patiently(
            lambda name=name: sagemaker.describe_endpoint(EndpointName=name),
            lambda found: found["EndpointStatus"] != "Creating",
        )
        assert endpoint["EndpointStatus"] == "InService", endpoint.get("FailureReason")
        answer = aws.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=name, Body="\n".join(map(datasets.features, SPLIT.held_out)), ContentType="text/csv"
        )
        found = map(float, answer["Body"].read().decode().split())
        right = sum(label == row[0] for label, row in zip(found, SPLIT.held_out, strict=True))
        assert right >= 0.9 * len(SPLIT.held_out)
        sagemaker.delete_endpoint(EndpointName=name)
        patiently(lambda: containers(engine), lambda names: not names)


def containers(engine):
    return engine.run("ps", "--all", "--quiet", "--filter", f"label={LABEL}").split()


@pytest.fixture(scope="module")
def looking(aws, engine):
    """An image whose job looks around, and waits."""
    dockerfile = f"FROM {BASE}\nCOPY train /usr/local/bin/train\nRUN chmod 755 /usr/local/bin/train\n"
    found = build(aws, "looking", {"Dockerfile": dockerfile, "train": LOOKS})
    written = log(aws, found)
    assert phase(found, "BUILD")[0] == "SUCCEEDED", "\n".join(written[-40:])
    # So that a job brings it from ECR, as on a machine that has not built it.
    engine.run("rmi", f"{REGISTRY}/{REPOSITORY}:looking", name_of(written[-1].partition("@")[2]))
    return f"{REGISTRY}/{REPOSITORY}:looking"


def begun(aws, image, **changes):
    """Start a job that waits; return its name and what it has seen."""
    request = job(image, Environment={"PYTHONUNBUFFERED": "1"}, **changes)
    name = request["TrainingJobName"]
    aws.client("sagemaker").create_training_job(**request)
    return name, patiently(lambda: lines(aws, name), lambda found: "ready" in found)


def lines(aws, name):
    group = "/aws/sagemaker/TrainingJobs"
    logs = aws.client("logs")
    if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
        return []
    found = logs.filter_log_events(logGroupName=group, logStreamNamePrefix=name)["events"]
    return [event["message"].strip() for event in found]


def test_a_job_may_do_little_and_ends_at_a_stop(aws, engine, looking):
    name, seen = begun(aws, looking, EnableNetworkIsolation=True)
    assert seen[:6] == [
        "root OSError",
        "tmp 1",
        "ml 1",
        "network URLError",
        # CHOWN to NET_BIND_SERVICE: linux/capability.h
        "capabilities ['00000000000004fb']",
        "variables ['AWS_REGION']",
    ]
    aws.client("sagemaker").stop_training_job(TrainingJobName=name)
    assert ended_job(aws, name)["TrainingJobStatus"] == "Stopped"
    assert lines(aws, name)[-1] == "stopped"
    assert containers(engine) == []


def test_a_killed_local_aws_leaves_no_container(aws, engine, looking):
    begun(aws, looking)
    assert containers(engine)
    aws.kill()
    aws.start()
    assert containers(engine) == []


def test_an_image_that_was_built_without_an_engine_is_refused(aws):
    config = json.dumps({"config": {"Labels": {BASE_LABEL: "python:3.11"}}, "rootfs": {"diff_ids": []}}).encode()
    name = reference(f"{REGISTRY}/{REPOSITORY}:process")
    push_files(aws.client("ecr"), config, [], name, print)
    request = job(f"{REGISTRY}/{REPOSITORY}:process")
    aws.client("sagemaker").create_training_job(**request)
    found = ended_job(aws, request["TrainingJobName"])
    assert "was built without a container engine" in found["FailureReason"]
