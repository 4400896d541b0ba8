"""Programs that a test starts because its own process has loaded too much."""

import json
import os
import subprocess
import sys
from typing import Any


def printed_by(module: str) -> Any:
    """What a module prints as JSON, in its last line, when Python runs it."""
    path = os.pathsep.join(["plugins", os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-m", module], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
