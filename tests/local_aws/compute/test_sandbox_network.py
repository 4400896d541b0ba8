"""What leads in and out of a sandbox."""

import subprocess
import sys
from pathlib import Path

from tests.local_aws.compute.docker.images import needs_sandbox

pytestmark = needs_sandbox
ROOT = Path(__file__).parents[3]
# A network of its own, in which nobody else has these ports. The relays' threads begin when all listeners are there.
LATE = """
import http.server, threading, urllib.error, urllib.request
from local_aws.compute.sandbox import kernel, network
from local_aws.compute.sandbox.spec import Proxy, SandboxSpec

class Late(threading.Thread):
    def start(self):
        late.append(super().start) if self.daemon else super().start()

class Model(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the model")

def ask(opener, url):
    try:
        return opener.open(url, timeout=60).read().decode()
    except urllib.error.HTTPError as error:
        return error.code

late, serving = [], 20000
kernel.unshare(kernel.CLONE_NEWNET)
namespace = network.start_loopback()
model = http.server.ThreadingHTTPServer(("127.0.0.1", network.SERVING_PORT), Model)
threading.Thread(target=model.serve_forever, daemon=True).start()
threading.Thread = Late
network.relay(SandboxSpec((), {}, (), "", proxy=Proxy(hosts=()), serve_port=serving), namespace)
threading.Thread = Late.__base__
for begin in late:
    begin()
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
proxied = urllib.request.build_opener(urllib.request.ProxyHandler({"http": f"127.0.0.1:{network.PROXY_PORT}"}))
print(ask(direct, f"http://127.0.0.1:{serving}/"), ask(proxied, "http://example.com/"))
"""


def test_each_relay_has_its_own_port_however_late_its_thread_begins():
    found = subprocess.run([sys.executable, "-c", LATE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.stdout == "the model 403\n", found.stderr
