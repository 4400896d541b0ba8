"""One reaper DAG for each AWS connection that model files name: stops jobs that Airflow no longer waits for."""

from __future__ import annotations

from slipway.model.pipelines import pipelines
from slipway.paths import model_copies_folder, models_folder
from slipway.training.reaper import build_reaper_dags

# model_files.py reports broken model files. They do not affect the others; their running jobs are still watched.
models = [pipeline.model for pipeline in pipelines(models_folder(), model_copies_folder())]
for dag in build_reaper_dags(models):
    globals()[dag.dag_id] = dag
