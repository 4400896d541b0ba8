"""One reaper DAG per AWS connection that model files name: training jobs that Airflow waits for no more are stopped."""

from __future__ import annotations

from slipway.model.pipelines import pipelines
from slipway.paths import model_copies_folder, models_folder
from slipway.training.reaper import build_reaper_dags

# A broken model file is reported by model_files.py and costs the others nothing; its running jobs are looked after.
models = [pipeline.model for pipeline in pipelines(models_folder(), model_copies_folder())]
for dag in build_reaper_dags(models):
    globals()[dag.dag_id] = dag
