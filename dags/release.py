"""One release DAG per model file in include/models; Airflow looks for that word in a file before it parses it."""

from __future__ import annotations

from slipway.model_config import load_models
from slipway.paths import models_folder
from slipway.release_dag import build_release_dag

# A broken model file is reported by model_files.py and costs the others nothing.
models, _ = load_models(models_folder())
for model in models:
    globals()[model.prefix] = build_release_dag(model)
