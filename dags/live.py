"""One survey DAG for each AWS connection that model files name: keeps what is live of their models for the board."""

# Airflow parses only files that hold the words "dag" and "airflow".

from __future__ import annotations

from slipway.live.survey_dag import build_live_dags
from slipway.model.pipelines import pipelines
from slipway.paths import model_copies_folder, models_folder

# model_files.py reports broken model files. They do not affect the others; their endpoints are still shown.
models = [pipeline.model for pipeline in pipelines(models_folder(), model_copies_folder())]
for dag in build_live_dags(models):
    globals()[dag.dag_id] = dag
