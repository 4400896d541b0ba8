"""One release DAG per model file in include/models; Airflow looks for that word in a file before it parses it."""

from __future__ import annotations

from airflow.sdk import get_parsing_context

from slipway.model_files import load_models
from slipway.paths import models_folder
from slipway.release_dag import build_release_dag

# A task's process needs its own DAG only.
# https://airflow.apache.org/docs/apache-airflow/stable/howto/dynamic-dag-generation.html
wanted = get_parsing_context().dag_id
# A broken model file is reported by model_files.py and costs the others nothing.
models, _ = load_models(models_folder())
for model in models:
    if wanted in (None, model.prefix):
        globals()[model.prefix] = build_release_dag(model)
