"""python -m tests.compose"""

import os
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    # As pytest has it; and what is imported of Airflow must not make a folder in the caller's home.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins"))
    with tempfile.TemporaryDirectory(prefix="slipway-compose-airflow-") as home:
        os.environ["AIRFLOW_HOME"] = home
        from tests.compose.run import main

        raise SystemExit(main())
