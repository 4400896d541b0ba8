"""One DAG for each model whose file names assets of training data: their updates release the model's newest zip."""

# Airflow parses only files that hold the words "dag" and "airflow".
from __future__ import annotations

from slipway.model.pipelines import pipelines
from slipway.paths import model_copies_folder, models_folder
from slipway.source.data import build_new_data_dags

# model_files.py reports broken model files; source refuses their releases and says why.
models = [pipeline.model for pipeline in pipelines(models_folder(), model_copies_folder())]
for dag in build_new_data_dags(models):
    globals()[dag.dag_id] = dag
