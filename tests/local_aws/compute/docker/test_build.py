"""Images, really built, and the hostile builds that are stopped."""

import contextlib
import os
import signal
import subprocess
import sys
import tarfile
import uuid
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from local_aws.compute.docker.dockerfile import DockerfileError
from local_aws.compute.docker.registry import manifest_of
from local_aws.compute.docker.step import StepFailed
from local_aws.compute.sandbox.spec import HOST_ID
from tests.local_aws.compute.docker.images import LIMITS, Builder, needs_sandbox
from tests.local_aws.compute.support import wait_until

pytestmark = needs_sandbox
FROM = "FROM python:3.11-slim\n"
# In the environment of what runs in this file's sandboxes.
MARK = uuid.uuid4().hex
MARKED = f"{FROM}ENV MARK={MARK}\n"


def files_of(builder, image):
    """Return the members of all layers by name."""
    found = {}
    for layer in image.layers:
        with tarfile.open(builder.store.layer_folder(layer.key) / "layer.tar.gz") as tar:
            found |= {member.name: member for member in tar}
    return found


def test_an_image_of_every_instruction(builder, context):
    (context / "train").write_text("#!/bin/sh\necho train\n")
    (context / "data").mkdir()
    (context / "data" / "a.csv").write_text("1\n")
    image = builder(
        context,
        """ARG TAG=3.11-slim
FROM python:${TAG}
ARG VERSION=1
ENV NAME=it GREETING="good day"
LABEL version=$VERSION
WORKDIR /opt/program
RUN echo "$GREETING $VERSION $(id -u)" > greeting && mkdir -p deep/__pycache__ && touch deep/__pycache__/x.pyc
RUN ["/bin/sh", "-c", "echo exec > exec"]
RUN echo 'worker:x:1000:1000::/home/worker:/bin/sh' >> /etc/passwd
COPY --chown=worker:1000 train /usr/local/bin/
COPY data /opt/data
RUN rm /opt/data/a.csv
USER worker
RUN id -u > /tmp/lost; echo $(id -u) $HOME
EXPOSE 8080
CMD ["serve"]
ENTRYPOINT ["/usr/bin/env"]
""",
        arguments={"VERSION": "2"},
    )
    assert "1000 /home/worker" in builder.lines
    config = image.config["config"]
    assert config["Entrypoint"] == ["/usr/bin/env"]
    assert "Cmd" not in config
    assert {"NAME=it", "GREETING=good day"} <= set(config["Env"])
    assert (config["User"], config["WorkingDir"], config["ExposedPorts"]) == (
        "worker",
        "/opt/program",
        {"8080/tcp": {}},
    )
    assert config["Labels"]["version"] == "2"
    members = files_of(builder, image)
    assert (members["usr/local/bin/train"].uid, members["usr/local/bin/train"].gid) == (1000, 1000)
    assert {"opt/program/greeting", "opt/program/exec", "opt/data/.wh.a.csv"} <= members.keys()
    assert not any("__pycache__" in name or name.startswith("tmp/") for name in members)
    assert {member.mtime for member in members.values()} == {0}
    greeting = next((builder.store.folder / "layers").glob("*/diff/opt/program/greeting"))
    assert greeting.read_text() == "good day 2 0\n"
    assert greeting.stat().st_uid == HOST_ID


def test_an_image_as_published_examples_write_it(builder, context):
    """Build with the instructions and habits of public examples for SageMaker, `apt-get` among them."""
    (context / "program").mkdir()
    (context / "program" / "train").write_text("#!/bin/sh\necho trains\n")
    (context / "extra.txt").write_text("extra")
    image = builder(
        context,
        """FROM python:3.11-slim AS base
MAINTAINER Amazon AI <sage-learner@amazon.com>
RUN apt-get -y update && apt-get install -y --no-install-recommends \\
         bash \\
         libc6:amd64 \\
    && rm -rf /var/lib/apt/lists/*
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN ! false | true && echo "pipefail: ${BASH_VERSION:+yes}"
ENV PYTHONPATH "${PYTHONPATH}:/opt/program"
ENV PATH="/opt/program:${PATH}"
ADD extra.txt /opt/extra/
COPY --chmod=755 program /opt/program
WORKDIR\t/opt/program
HEALTHCHECK --interval=30s CMD curl -f http://localhost:8080/ping
STOPSIGNAL SIGTERM
RUN train && echo "$PYTHONPATH"
""",
    )
    assert {"pipefail: yes", "trains", ":/opt/program"} <= set(builder.lines)
    assert image.config["author"] == "Amazon AI <sage-learner@amazon.com>"
    members = files_of(builder, image)
    assert (members["opt/program/train"].mode, members["opt/extra/extra.txt"].mode) == (0o755, 0o644)


def test_a_package_that_the_machine_has_not_is_named_with_what_to_do(builder, context):
    with pytest.raises(StepFailed, match=r"Dockerfile:3: RUN: .*non-zero code: 100"):
        builder(context, FROM + "RUN apt-get update\nRUN apt-get install -qq -o A::B=1 bash no-such-one=1.2 nor-this\n")
    (told,) = [line for line in builder.lines if line.startswith("E: ")]
    assert told.startswith("E: no-such-one nor-this: the local AWS builds without docker on this machine")
    assert "`sudo apt-get install no-such-one nor-this`" in told
    assert "SLIPWAY_COMPUTE=container" in told


def test_pip_compiles_nothing_that_no_layer_keeps(builder, context):
    with zipfile.ZipFile(context / "it-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("it.py", "here = True\n")
        wheel.writestr("it-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: it\nVersion: 1\n")
        wheel.writestr("it-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("it-1.dist-info/RECORD", "it.py,,\nit-1.dist-info/METADATA,,\nit-1.dist-info/WHEEL,,\n")
    installed = "RUN pip install --no-index /it-1-py3-none-any.whl && pip show --files it\n"
    builder(context, f"{FROM}COPY it-1-py3-none-any.whl /\n{installed}")
    files = [line.strip() for line in builder.lines]
    assert "it.py" in files
    assert not [name for name in files if name.endswith(".pyc")]


def test_the_same_source_gives_the_same_digest(tmp_path, base_folder, builder, context):
    (context / "a").write_text("a")
    dockerfile = FROM + "COPY . /opt/a/\nRUN date +%N > /dev/null; mkdir /opt/b; touch /opt/b/2 /opt/b/1\n"
    first = builder(context, dockerfile)
    again = builder(context, dockerfile)
    assert builder.lines.count(" ---> Using cache") == 2
    os.utime(context / "a", (1, 1))
    elsewhere = Builder(tmp_path / "other", base_folder)(context, dockerfile)
    assert manifest_of(first) == manifest_of(again) == manifest_of(elsewhere)
    (context / "a").write_text("b")
    assert manifest_of(builder(context, dockerfile)) != manifest_of(first)


@pytest.mark.parametrize(
    ("dockerfile", "why"),
    [
        ("FROM ubuntu:22.04", "Dockerfile:1: FROM: ubuntu:22.04 is no base image here"),
        ("FROM python:3.12", "Dockerfile:1: FROM: python:3.12 is no base image here"),
        ("FROM evil.example/python:3.11", "Dockerfile:1: FROM: evil.example/python:3.11 is no base image here"),
        ("FROM python:3.11 AS", "Dockerfile:1: FROM: expected IMAGE or IMAGE AS NAME"),
        (FROM + "RUN true\nFROM python:3.11", "Dockerfile:3: FROM: builds of several stages need docker or podman"),
        (FROM + "ADD https://x/y /", "Dockerfile:2: ADD: https://x/y is not in the context: put the file into it"),
        (FROM + "ADD data.tar.gz /", "Dockerfile:2: ADD: it would unpack data.tar.gz: COPY it, and RUN tar -xf"),
        (
            FROM + "\nVOLUME /data",
            "Dockerfile:3: VOLUME: leave it out: a job and an endpoint write to /opt/ml",
        ),
        (FROM + "ONBUILD RUN true", "Dockerfile:2: ONBUILD: nothing is built on this image"),
        (FROM + "RUM true", "Dockerfile:2: RUM: there is no such instruction; behind FROM the local AWS has ADD"),
        (FROM + "STOPSIGNAL SIGINT", "Dockerfile:2: STOPSIGNAL: SageMaker sends SIGTERM: remove the line"),
        (FROM + "SHELL /bin/bash", "Dockerfile:2: SHELL: expected a list in the JSON form"),
        (FROM + "RUN --mount=type=secret,id=a cat /run/secrets/a", "Dockerfile:2: RUN: its flags other than --network"),
        (FROM + "COPY --from=other /a /b", "Dockerfile:2: COPY: its flags other than --chmod and --chown need docker"),
        (FROM + "COPY --chmod=u+x link /b", "Dockerfile:2: COPY: --chmod=u+x is no mode in octal digits, such as 755"),
        (FROM + "COPY ../secret /", "Dockerfile:2: COPY: ../secret leads out of the context"),
        (FROM + "COPY link /", "Dockerfile:2: COPY: link is a symbolic link"),
        ("RUN true", "Dockerfile: it has no FROM"),
    ],
)
def test_what_is_refused_by_line(builder, context, dockerfile, why):
    (context.parent / "secret").write_text("of the machine")
    (context / "link").symlink_to("../secret")
    with pytest.raises(DockerfileError) as raised:
        builder(context, dockerfile)
    assert str(raised.value).startswith(why)


HOSTILE = {
    "fork bomb": ("bomb() { bomb | bomb & wait; }; bomb; exit 9", "returned a non-zero code"),
    "a layer of 10 GB": (
        "for i in $(seq 100); do head -c 100000000 /dev/zero > /big$i; done",
        "written more than 67108864",
    ),
    "a layer of 10 GB that occupies nothing": (
        "for i in $(seq 100); do truncate -s 100000000 /big$i; done",
        "written more than 67108864",
    ),
    "a layer of one file's many names": (
        "head -c 1000000 /dev/zero > /big0; for i in $(seq 100); do ln /big0 /big$i; done",
        "written more than 67108864",
    ),
    "directories without end": (
        'python3 -c \'import os; [(os.mkdir("d"), os.chdir("d")) for _ in range(1500)]\'',
        "directories more than 100 deep",
    ),
    "a long path": (
        'python3 -c \'import os; [(os.mkdir("d" * 250), os.chdir("d" * 250)) for _ in range(20)]\'',
        "directories more than 100 deep",
    ),
    "a line without end": ("yes | tr -d '\\n'", "stopped after 3 seconds"),
    "one file of 10 GB": ("head -c 10000000000 /dev/zero > /big", "returned a non-zero code|written more than"),
    "all memory": ("python3 -c 'x=[b\"1\"*10**7 for i in range(1000)]'", "returned a non-zero code"),
    "endless": ("sleep 600", "stopped after 3 seconds"),
    "the machine's environment": ("tr '\\0' '\\n' < /proc/1/environ; exit 9", "non-zero code: 9"),
    "the machine's files": (
        "cat /etc/shadow /root/.ssh/* /var/lib/* {secret}; ls -A /home /root /srv; exit 9",
        "code: 9",
    ),
    "the machine's programs": ("touch /usr/bin/evil", "non-zero code"),
    "the machine's processes": ("ls /proc | grep -c '^[0-9]'; kill -9 -1; exit 9", "code: 9"),
    "mounts": ("mount -t tmpfs none /opt || mount --bind /proc/1/root /opt || exit 9", "code: 9"),
    "rights of its own": ("unshare --user --map-root-user true || exit 9", "code: 9"),
    "more namespaces": ("echo 9 > /proc/sys/user/max_user_namespaces || exit 9", "code: 9"),
    "devices": ("mknod /disk b 8 0 || exit 9", "code: 9"),
    "the network": (
        "python3 -c 'import socket; socket.create_connection((\"{host}\", {port}), 5)' || exit 9",
        "code: 9",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_build_is_stopped(builder, context, name, monkeypatch, tmp_path, listener):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the machine's")
    secret = tmp_path / "secret"
    secret.write_text("of the machine")
    command, why = HOSTILE[name]
    command = command.replace("{secret}", str(secret)).replace("{host}", "127.0.0.1").replace("{port}", str(listener))
    limits = replace(LIMITS, seconds=3) if name in ("endless", "a line without end") else LIMITS
    with pytest.raises(StepFailed, match=why):
        builder(context, MARKED + f"RUN {command}\n", limits=limits)
    assert max(map(len, builder.lines)) <= 256 * 1024
    output = "\n".join(builder.lines[3:])
    assert "of the machine" not in output
    assert "AWS_SECRET" not in output
    assert list((builder.store.folder / "work").iterdir()) == []
    assert sandboxed() == []


@pytest.fixture
def listener():
    """A service of this machine's loopback, which no build may reach."""
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        found.listen()
        yield found.getsockname()[1]


def sandboxed():
    """Return the processes of this file's sandboxes; others may run on the machine."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if MARK.encode() in (folder / "environ").read_bytes() and folder.stat().st_uid >= HOST_ID:
                found.append(folder.name)
    return found


def test_a_process_that_stays_behind_ends_with_its_instruction(builder, context):
    builder(context, MARKED + "RUN (setsid sleep 600 > /dev/null 2>&1 < /dev/null &) ; echo started\n")
    assert "started" in builder.lines
    assert sandboxed() == []


def test_a_renamed_file_is_another_layer(builder, context):
    """A cached layer of the same content would have the old name, and be any other model's file of the same content."""
    (context / "old").write_text("x")
    builder(context, FROM + "COPY old /opt/\n")
    (context / "old").rename(context / "new")
    assert "opt/new" in files_of(builder, builder(context, FROM + "COPY new /opt/\n"))


def test_links_of_an_image_lead_nowhere_else(builder, context):
    """Copy through a link that an earlier instruction has made: it stays in the image."""
    (context / "a").write_text("a")
    image = builder(context, FROM + "RUN ln -s /etc /opt/out\nCOPY a /opt/out/of-the-image/\n")
    assert "etc/of-the-image/a" in files_of(builder, image)
    assert not Path("/etc/of-the-image").exists()


def test_a_build_that_is_killed_leaves_no_process_and_no_layer(builder, context):
    program = (
        "import sys; from pathlib import Path; from tests.local_aws.compute.docker.images import Builder;"
        "Builder(Path(sys.argv[1]))(Path(sys.argv[2]), sys.argv[3])"
    )
    dockerfile = MARKED + "RUN echo $$ && sleep 600\n"
    words = [sys.executable, "-c", program, builder.store.folder, context, dockerfile]
    with subprocess.Popen(words, cwd=Path(__file__).parents[4]) as process:
        wait_until(sandboxed)
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: not sandboxed())
    assert list((builder.store.folder / "layers").iterdir()) == []
    # The next build removes what it has left.
    builder(context, FROM + "RUN true\n")
    assert list((builder.store.folder / "work").iterdir()) == []
