"""One release DAG for each model file in include/models.

model_files.py reports broken model files. They do not affect the others. The DAG of a broken file is made from its
last good version, so that running releases can end.
"""

from __future__ import annotations

from airflow.sdk import get_parsing_context

from slipway.model.pipelines import pipelines
from slipway.paths import model_copies_folder, models_folder
from slipway.release_dag import build_release_dag

# A task's process needs only its own DAG.
# https://airflow.apache.org/docs/apache-airflow/stable/howto/dynamic-dag-generation.html
wanted = get_parsing_context().dag_id
for pipeline in pipelines(models_folder(), model_copies_folder()):
    prefix = pipeline.model.prefix
    if wanted in (None, prefix):
        globals()[prefix] = build_release_dag(pipeline.model, pipeline.stale)
