"""A build's way out: the hosts of its settings, and no other."""

import http.server
import threading

import pytest

from local_aws.compute.docker.build import Build
from local_aws.compute.docker.context import Context
from local_aws.compute.docker.dockerfile import parse
from local_aws.compute.docker.index import Index
from local_aws.compute.docker.step import Step, StepFailed
from tests.local_aws.compute.docker.images import LIMITS, needs_sandbox

pytestmark = needs_sandbox
FETCH = "python3 -c 'import urllib.request; print(urllib.request.urlopen(\"http://127.0.0.1:%d/x\").read().decode())'"


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the index")

    def log_message(self, *_):
        """Write nothing."""


@pytest.fixture
def servers():
    """The ports of two servers of this machine."""
    running = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) for _ in range(2)]
    for server in running:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield [server.server_port for server in running]
    for server in running:
        server.shutdown()
        server.server_close()


def run(builder, context, command, hosts):
    lines = []
    step = Step(builder.store, Index(config="", hosts=hosts), LIMITS, lines.append)
    build = Build(builder.store, Context(context), {}, step, lines.append)
    try:
        build.run(parse(f"FROM python:3.11\nRUN {command}\n".encode()))
    except StepFailed:
        lines.append("failed")
    return lines[2:]


def test_a_build_reaches_the_index_and_nothing_else(builder, context, servers):
    index, other = servers
    hosts = (f"127.0.0.1:{index}",)
    assert run(builder, context, FETCH % index, hosts) == ["the index"]
    refused = run(builder, context, FETCH % other, hosts)
    assert refused[-1] == "failed"
    assert "HTTP Error 403: Forbidden" in refused[-2]


def test_a_step_without_a_network_reaches_nothing(builder, context, servers):
    index, _ = servers
    refused = run(builder, context, f"--network=none {FETCH % index}", (f"127.0.0.1:{index}",))
    assert refused[-1] == "failed"
    assert "Connection refused" in refused[-2]
