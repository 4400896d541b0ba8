"""What the set-up does beside calling uv."""

import venv
from pathlib import Path

from tools import setup


def test_what_is_imported_often_is_compiled_and_no_more(tmp_path: Path):
    venv.create(tmp_path)
    (packages,) = tmp_path.glob("lib/python*/site-packages")
    for name in ("airflow/api.py", "airflow/tests/long.py", "pandas/core/frame.py", "mlflow_skinny/all.py"):
        (packages / name).parent.mkdir(parents=True)
        (packages / name).write_text("found = True\n")
    (packages / "airflow/template.py").write_text("{{ no Python }}\n")
    setup.compile_bytecode(setup.VirtualEnvironment(tmp_path, tmp_path, tmp_path))
    assert [path.name.split(".")[0] for path in packages.rglob("*.pyc")] == ["api"]
