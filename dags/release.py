"""One release DAG per model file in include/models; Airflow looks for that word in a file before it parses it.

A broken model file is reported by model_files.py and costs the others nothing. Its own DAG stays as the file's last
good version has it, so that running releases end.
"""

from __future__ import annotations

from airflow.sdk import get_parsing_context

from slipway.model.pipelines import pipelines
from slipway.paths import model_copies_folder, models_folder
from slipway.release_dag import build_release_dag

# A task's process needs its own DAG only.
# https://airflow.apache.org/docs/apache-airflow/stable/howto/dynamic-dag-generation.html
wanted = get_parsing_context().dag_id
for pipeline in pipelines(models_folder(), model_copies_folder()):
    prefix = pipeline.model.prefix
    if wanted in (None, prefix):
        globals()[prefix] = build_release_dag(pipeline.model, pipeline.stale)
