"""One intake DAG per bucket that model files name: Airflow notices uploads and starts each model's release."""

from __future__ import annotations

from slipway.intake import build_intake_dags
from slipway.model_files import load_models
from slipway.paths import models_folder

# A broken model file is reported by model_files.py and costs the others nothing.
models, _ = load_models(models_folder())
for dag in build_intake_dags(models):
    globals()[dag.dag_id] = dag
