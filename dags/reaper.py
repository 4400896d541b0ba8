"""One reaper DAG per AWS connection that model files name: training jobs that Airflow waits for no more are stopped."""

from __future__ import annotations

from slipway.model_files import load_models
from slipway.paths import models_folder
from slipway.reaper import build_reaper_dags

# A broken model file is reported by model_files.py and costs the others nothing.
models, _ = load_models(models_folder())
for dag in build_reaper_dags(models):
    globals()[dag.dag_id] = dag
