"""The programs behind the make targets, and what the demo and the tests share with them."""

import sys
from pathlib import Path

# The package slipway of this checkout, which is not installed in .venv: Airflow would load its plugin twice.
_PLUGINS = str(Path(__file__).resolve().parents[1] / "plugins")
if _PLUGINS not in sys.path:
    sys.path.insert(0, _PLUGINS)
