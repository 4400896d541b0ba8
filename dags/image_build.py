"""One DAG for each model with an image of its own, and for each AWS connection one that stops builds nobody awaits."""

from __future__ import annotations

from airflow.sdk import get_parsing_context

from slipway.images.dag import build_image_dags
from slipway.images.reaper import build_image_reaper_dags
from slipway.model.pipelines import pipelines
from slipway.paths import model_copies_folder, models_folder

# model_files.py reports broken model files; source refuses their builds and says why.
found = pipelines(models_folder(), model_copies_folder())
models = [pipeline.model for pipeline in found if pipeline.model.image]
# A task's process needs only its own DAG.
# https://airflow.apache.org/docs/apache-airflow/stable/howto/dynamic-dag-generation.html
for dag in [*build_image_dags(found, get_parsing_context().dag_id), *build_image_reaper_dags(models)]:
    globals()[dag.dag_id] = dag
