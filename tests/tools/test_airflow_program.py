"""Airflow's command, as `make up` runs it."""

import subprocess
import sys

from tools import airflow_program

# What a plugin sees, which Airflow loads in each of its programs.
PLUGIN = """
import gc, sys
print(sys.path[0], gc.get_threshold(), sys.modules["__main__"].__spec__.name, sys.argv[1:], flush=True)
"""


def test_it_runs_as_with_m_and_looks_for_garbage_less_often(tmp_path):
    plugins, work = tmp_path / "plugins", tmp_path / "work"
    plugins.mkdir()
    work.mkdir()
    (plugins / "seen.py").write_text(PLUGIN)
    variables = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins), "PATH": "/usr/bin:/bin"}

    def seen(command: list[str]) -> str:
        run = subprocess.run(command, cwd=work, env=variables, capture_output=True, text=True, check=False)
        return next((line for line in run.stdout.splitlines() if line.startswith(str(work))), run.stderr)

    thresholds = [(700, 10, 10), airflow_program.THRESHOLDS]
    commands = [[sys.executable, "-m", "airflow", "plugins"], airflow_program.command("plugins")]
    assert [seen(command) for command in commands] == [
        f"{work} {threshold} airflow.__main__ ['plugins']" for threshold in thresholds
    ]
