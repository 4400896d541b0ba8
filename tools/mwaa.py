"""Build what an MWAA environment takes into dist/mwaa/ (`make mwaa`)."""

from __future__ import annotations

import re
import shutil
import sys
import zipfile
from pathlib import Path

from tools.settings import ROOT

# https://docs.aws.amazon.com/mwaa/latest/userguide/airflow-versions.html
AIRFLOW_VERSION = "3.3.1"
PYTHON_VERSION = "3.12"
CONSTRAINTS = (
    f"https://raw.githubusercontent.com/apache/airflow/constraints-{AIRFLOW_VERSION}/constraints-{PYTHON_VERSION}.txt"
)
# What the DAG stress_test needs beside the image. Airflow's constraints do not have these.
_PINNED_HERE = ("hdrhistogram", "matplotlib")
_PINNED_BY_AIRFLOW = ("uvloop",)
# Where MWAA puts the environment's files.
# https://docs.aws.amazon.com/mwaa/latest/userguide/configuring-dag-folder.html
_DAGS = "/usr/local/airflow/dags"
# Old enough for every zip; the same archive for the same files.
_TIME = (1980, 1, 1, 0, 0, 0)
_STARTUP = f"""#!/bin/sh
# MWAA runs this in every component before Airflow starts.
# https://docs.aws.amazon.com/mwaa/latest/userguide/using-startup-script.html
export SLIPWAY_INCLUDE_FOLDER={_DAGS}/include
# Only the web server, which is Airflow's API server, signs approvals.
if [ "$MWAA_AIRFLOW_COMPONENT" = webserver ]; then
  AIRFLOW__SLIPWAY__APPROVAL_SIGNING_KEY=$(aws secretsmanager get-secret-value \\
    --secret-id slipway/approval-signing-key --query SecretString --output text)
  export AIRFLOW__SLIPWAY__APPROVAL_SIGNING_KEY
fi
"""


def build(out: Path) -> list[Path]:
    """Write everything anew.

    :param out: a folder of nothing else; a former one is removed
    :returns: what is to be uploaded
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    plugins, requirements, startup = out / "plugins.zip", out / "requirements.txt", out / "startup.sh"
    _zip(ROOT / "plugins", plugins)
    requirements.write_text(_requirements())
    startup.write_text(_STARTUP)
    dags = out / "dags"
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(ROOT / "dags", dags, ignore=ignored)
    shutil.copytree(ROOT / "include" / "models", dags / "include" / "models")
    return [plugins, requirements, startup, dags]


def _zip(folder: Path, written: Path) -> None:
    """Zip a folder's files, the hidden ones too: .airflowignore keeps Airflow from running the package's modules."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            member = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _TIME)
            member.external_attr = 0o644 << 16
            archive.writestr(member, path.read_bytes(), zipfile.ZIP_DEFLATED)


def _requirements() -> str:
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    lines = [f'--constraint "{CONSTRAINTS}"', *(f"{name}=={pins[name]}" for name in _PINNED_HERE), *_PINNED_BY_AIRFLOW]
    return "\n".join([*lines, ""])


def main() -> int:
    """Build, and say what is where."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist" / "mwaa"
    for path in build(out.resolve()):
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
