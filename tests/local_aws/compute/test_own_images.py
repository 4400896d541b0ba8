"""Images of one's own: pushed to ECR, trained and served under SageMaker's contract, and kept within it."""

import time

import pytest

from local_aws.compute.docker.build import BASE_LABEL
from local_aws.compute.docker.registry import push, push_files, reference
from local_aws.compute.docker.tools import images_folder
from tests.local_aws.compute.docker.images import Builder, needs_sandbox, store_on
from tests.local_aws.compute.support import BUCKET, ComputeProcess, channel, csv, job, rows, variant, wait_until

pytestmark = [pytest.mark.local_aws, needs_sandbox]
REPOSITORY = "123456789012.dkr.ecr.us-west-2.amazonaws.com/own-image"
TRAIN = """#!/usr/bin/env python3
import json, os, sys
with open("/opt/ml/input/config/hyperparameters.json") as file:
    parameters = json.load(file)
exec(parameters.get("program", ""))
print("accuracy: 0.75", os.getuid(), sys.argv[1:])
with open("/opt/ml/model/model.txt", "w") as file:
    file.write(str(sum(1 for name in os.listdir("/opt/ml/input/data/train"))))
"""
SERVE = """#!/usr/bin/env python3
import http.server, os, signal, sys, urllib.request
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
def look(what):
    try:
        return eval(what)
    except Exception as error:
        return type(error).__name__
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.answer("")
    def do_POST(self):
        self.answer(str(look(self.rfile.read(int(self.headers["Content-Length"])).decode())))
    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""
DOCKERFILE = "FROM python:3.11-slim\nENV KIND=%s\nCOPY train serve /usr/local/bin/\n"


@pytest.fixture(scope="module")
def s3(bucket):
    bucket.put_object(Bucket=BUCKET, Key="own/train/data.csv", Body=csv(rows()).encode())
    return bucket


@pytest.fixture(scope="module")
def ecr(local_aws):
    """ECR's client, with a repository whose tags may move."""
    client = local_aws.client("ecr")
    client.create_repository(repositoryName="own-image", imageTagMutability="MUTABLE")
    return client


@pytest.fixture(scope="module")
def compute(s3, base_folder, tmp_path_factory):
    """A compute process whose images stand on the base image of all tests."""
    state_dir = tmp_path_factory.mktemp("compute")
    store_on(base_folder, images_folder(state_dir))
    process = ComputeProcess(s3.meta.endpoint_url, state_dir)
    yield process
    process.close()


@pytest.fixture(scope="module")
def pushed(ecr, base_folder, tmp_path_factory):
    """Builds an image of a kind and pushes it under a tag; returns its digest."""
    folder = tmp_path_factory.mktemp("own-images")
    builder = Builder(folder / "store", base_folder)
    context = folder / "context"
    context.mkdir()
    for name, text in (("train", TRAIN), ("serve", SERVE)):
        (context / name).write_text(text)
        (context / name).chmod(0o755)

    def make(tag, kind="first", more=""):
        image = builder(context, DOCKERFILE % kind + more)
        return push(ecr, builder.store, image, reference(f"{REPOSITORY}:{tag}"), print)

    return make


@pytest.fixture(scope="module")
def image(pushed):
    """The URI of an image that trains and serves."""
    pushed("first")
    return f"{REPOSITORY}:first"


def own_job(name, image, program="", **more):
    channels = [channel("train", "own/train")]
    return job(name, image=image, channels=channels, hyperparameters={"program": program}, **more)


def test_it_trains_as_sagemaker_runs_it(compute, s3, image):
    result = compute.train(**own_job("own", image, metric_definitions=[["accuracy", "accuracy: ([0-9.]+)"]]))
    assert result["status"] == "Completed", result["failure_reason"]
    assert result["metrics"] == {"accuracy": 0.75}
    assert compute.containers() == []


@pytest.mark.parametrize(
    ("name", "program", "reason"),
    [
        ("own-failure", "open('/opt/ml/output/failure', 'w').write('no data'); sys.exit(3)", "AlgorithmError: no data"),
        (
            "own-failure-link",
            "os.symlink('{secret}', '/opt/ml/output/failure'); sys.exit(3)",
            "AlgorithmError: See job logs for more information, exit code: 3",
        ),
        ("own-root", "open('/usr/local/lib/x', 'w')", "exit code: 1"),
        ("own-tmp", "open('/tmp/x', 'w').write('x'); open('/opt/ml/x', 'w'); sys.exit(4)", "exit code: 4"),
        ("own-stay", "os.fork() or (os.setsid(), __import__('time').sleep(600)); sys.exit(5)", "exit code: 5"),
        ("own-memory", "x = bytearray(8 * 1024**3)", "exit code: 1"),
        (
            "own-model-link",
            "os.rmdir('/opt/ml/model'); os.symlink('{folder}', '/opt/ml/model'); sys.exit()",
            "AlgorithmError: /opt/ml/model is not a directory any more",
        ),
        (
            "own-deep",
            "os.chdir('/opt/ml/model'); [(os.mkdir('d'), os.chdir('d')) for _ in range(1500)]",
            "AlgorithmError: The container was killed",
        ),
        (
            "own-sparse",
            "[open(f'/opt/ml/model/{n}', 'w').truncate(4 * 10**9) for n in range(3)]",
            "AlgorithmError: The container was killed",
        ),
        (
            "own-host",
            "import socket; sys.exit(8 if socket.gethostbyname('algo-1') == '127.0.0.1' else 9)",
            "exit code: 8",
        ),
        (
            "own-variables",
            "sys.exit(6 if any(n.startswith(('SM_', 'AWS_ACCESS', 'AWS_SECRET')) for n in os.environ) else 7)",
            "exit code: 7",
        ),
    ],
)
def test_a_job_is_kept_within_its_container(compute, image, tmp_path, name, program, reason):
    secret = tmp_path / "secret"
    secret.write_text("of the machine")
    program = program.replace("{secret}", str(secret)).replace("{folder}", str(tmp_path))
    result = compute.train(**own_job(name, image, program))
    assert result["status"] == "Failed"
    assert reason in result["failure_reason"]
    assert secret.read_text() == "of the machine"
    assert compute.containers() == []
    assert list((compute.state_dir / "sandboxes").iterdir()) == []


def test_a_link_in_place_of_the_archive_is_not_written_through(compute, image, tmp_path):
    target = tmp_path / "target"
    target.write_text("of the machine")
    result = compute.train(**own_job("own-archive", image, f"os.symlink('{target}', '/opt/ml/model.tar.gz')"))
    assert result["status"] == "Completed"
    assert target.read_text() == "of the machine"


def test_a_stop_is_sigterm(compute, image):
    program = "import signal, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit()); time.sleep(600)"
    compute("train", spec=own_job("own-stop", image, program))
    wait_until(lambda: compute.containers())
    time.sleep(3)
    compute("stop_job", job_name="own-stop")
    assert compute("result", job_name="own-stop")["status"] == "Stopped"


@pytest.mark.parametrize("tag", ["missing", "without-train"])
def test_what_cannot_run_fails_with_its_reason(compute, pushed, tag):
    if tag == "without-train":
        pushed(tag, more="RUN rm /usr/local/bin/train\n")
    result = compute.train(**own_job(f"own-{tag}", f"{REPOSITORY}:{tag}"))
    assert result["status"] == "Failed"
    expected = {"missing": "ClientError: Cannot pull algorithm container", "without-train": "exit code: 127"}
    assert expected[tag] in result["failure_reason"]


@pytest.mark.parametrize(
    ("name", "config", "why"),
    [
        ("list", b"[1]", "has no attribute 'get'"),
        ("deep", b"[" * 100_000, "recursion"),
        ("no-layers", b'{"config": {"Labels": {"%s": "x"}}}', "rootfs"),
        ("words", b'{"config": {"Labels": {"%s": "x"}, "Entrypoint": {"a": 1}}}', "Entrypoint is not what"),
        ("nul", b'{"config": {"Labels": {"%s": "x"}, "Env": ["A=\\u0000"]}}', "Env is not what"),
    ],
)
def test_a_configuration_that_is_none_cannot_be_pulled(compute, ecr, name, config, why):
    config = config.replace(b"%s", BASE_LABEL.encode())
    push_files(ecr, config, [], reference(f"{REPOSITORY}:config-{name}"), print)
    result = compute.train(**own_job(f"own-config-{name}", f"{REPOSITORY}:config-{name}"))
    assert result["status"] == "Failed"
    assert result["failure_reason"].startswith("ClientError: Cannot pull algorithm container")
    assert why in result["failure_reason"]


@pytest.fixture
def endpoint(compute, request):
    yield request.node.name
    compute("remove", name=request.node.name)


def ask(compute, endpoint, what):
    answer = compute("invoke", name=endpoint, body=what)
    assert answer["status"] == 200, answer
    return answer["body"]


def test_it_serves_and_reaches_nothing_else(compute, s3, pushed, local_aws, endpoint):
    pushed("moving", "before")
    archive = compute.train(**own_job("own-model", f"{REPOSITORY}:moving"))["artifacts"]
    served = variant("one", archive, image=f"{REPOSITORY}:moving", instance_count=2) | {"network": False}
    assert compute("deploy", name=endpoint, variants=[served]) is None
    assert ask(compute, endpoint, "open('/opt/ml/model/model.txt').read()") == "1"
    assert ask(compute, endpoint, "open('/opt/ml/model/x', 'w')") == "OSError"
    assert ask(compute, endpoint, "open('/etc/x', 'w')") == "OSError"
    assert ask(compute, endpoint, "os.environ['SAGEMAKER_BIND_TO_PORT']") == "8080"
    assert ask(compute, endpoint, f"urllib.request.urlopen('{local_aws.endpoint_url}')") == "URLError"
    assert ask(compute, endpoint, "sorted(os.listdir('/sys'))") == "FileNotFoundError"
    # A tag that moves changes neither what runs nor what is added.
    pushed("moving", "after")
    compute("set_capacities", name=endpoint, weights={}, counts={"one": 3})
    answers = {ask(compute, endpoint, "os.environ['KIND']") for _ in range(9)}
    assert answers == {"before"}


def test_an_image_that_has_gone_stops_a_new_instance_only(compute, ecr, pushed, endpoint, s3):
    digest = pushed("going", "going")
    archive = compute.train(**own_job("own-going", f"{REPOSITORY}:going"))["artifacts"]
    assert compute("deploy", name=endpoint, variants=[variant("one", archive, image=f"{REPOSITORY}:going")]) is None
    ecr.batch_delete_image(repositoryName="own-image", imageIds=[{"imageDigest": digest}])
    with pytest.raises(AssertionError, match="Please make sure all images included in the model"):
        compute("set_capacities", name=endpoint, weights={}, counts={"one": 2})
    assert ask(compute, endpoint, "os.environ['KIND']") == "going"
    assert compute("instances", name=endpoint) == {"one": 1}


# The toolkits' place for programs; what a job has itself; a link that leads to the machine's files, were it followed.
OPT_ML = """RUN mkdir -p /opt/ml/code /opt/ml/model && echo of the image > /opt/ml/code/a.py \\
    && touch /opt/ml/one.txt /opt/ml/model/old.txt && ln -s /etc /opt/ml/link
"""
LOOK = "open('/opt/ml/code/a.py').read(), sorted(os.listdir('/opt/ml')), os.access('/opt/ml/code/a.py', os.W_OK)"


def test_a_job_and_a_server_see_what_the_image_has_in_opt_ml(compute, s3, pushed, endpoint):
    pushed("code", more=OPT_ML)
    image = f"{REPOSITORY}:code"
    program = f"open('/opt/ml/output/failure', 'w').write(str(({LOOK}, os.listdir('/opt/ml/model')))); sys.exit(3)"
    seen = "('of the image\\n', ['code', 'input', 'model', 'one.txt', 'output'], False, [])"
    assert seen in compute.train(**own_job("own-code", image, program))["failure_reason"]
    archive = compute.train(**own_job("own-code-model", image))["artifacts"]
    assert compute("deploy", name=endpoint, variants=[variant("one", archive, image=image)]) is None
    assert ask(compute, endpoint, LOOK) == "('of the image\\n', ['code', 'model', 'one.txt'], False)"
