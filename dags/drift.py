"""One drift DAG for each AWS connection that model files name: reports what was changed by hand in their stacks."""

# Airflow parses only files that hold the words "dag" and "airflow".

from __future__ import annotations

from slipway.deployment.drift_watch import build_drift_dags
from slipway.model.pipelines import pipelines
from slipway.paths import model_copies_folder, models_folder

# model_files.py reports broken model files. They do not affect the others; their stacks are still watched.
models = [pipeline.model for pipeline in pipelines(models_folder(), model_copies_folder())]
for dag in build_drift_dags(models):
    globals()[dag.dag_id] = dag
