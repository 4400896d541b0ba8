"""What the process of a DAG file imports: nothing, because each file is parsed again and again, each time in a fork."""

import json
import os
import subprocess
import sys


def test_a_dag_file_imports_nothing_after_its_process_was_forked():
    command = [sys.executable, "-m", "tests.unit.parse_imports"]
    path = os.pathsep.join(["plugins", os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    parsed = json.loads(done.stdout.splitlines()[-1])
    assert [name for name, file in parsed.items() if file["errors"]] == []
    assert sum(file["dags"] for file in parsed.values()) >= 7
    assert {name: file["late"] for name, file in parsed.items() if file["late"]} == {}
