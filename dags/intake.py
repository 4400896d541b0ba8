"""One intake DAG per bucket that model files name: Airflow notices uploads and starts each model's release."""

from __future__ import annotations

from slipway.model.pipelines import pipelines
from slipway.paths import model_copies_folder, models_folder
from slipway.source.intake import build_intake_dags

# A broken model file is reported by model_files.py and costs the others nothing; uploads for its model wait.
for dag in build_intake_dags(pipelines(models_folder(), model_copies_folder())):
    globals()[dag.dag_id] = dag
