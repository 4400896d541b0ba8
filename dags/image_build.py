"""One DAG for each model with an image of its own, and for each AWS connection one that stops builds nobody awaits."""

# Airflow parses only files that hold the words "dag" and "airflow".
from __future__ import annotations

from slipway.images.dag import build_image_dags
from slipway.images.reaper import build_image_reaper_dags
from slipway.model.pipelines import pipelines
from slipway.paths import model_copies_folder, models_folder

# model_files.py reports broken model files; source refuses their builds and says why.
found = pipelines(models_folder(), model_copies_folder())
models = [pipeline.model for pipeline in found if pipeline.model.image]
for dag in [*build_image_dags(found), *build_image_reaper_dags(models)]:
    globals()[dag.dag_id] = dag
