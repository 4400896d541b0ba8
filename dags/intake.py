"""One intake DAG for each bucket that model files name: Airflow notices uploads there and starts releases."""

# Airflow parses only files that hold the words "dag" and "airflow".
from __future__ import annotations

from slipway.model.pipelines import pipelines
from slipway.paths import model_copies_folder, models_folder
from slipway.source.intake import build_intake_dags

# model_files.py reports broken model files. They do not affect the others; uploads for their models wait.
for dag in build_intake_dags(pipelines(models_folder(), model_copies_folder())):
    globals()[dag.dag_id] = dag
