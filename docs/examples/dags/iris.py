"""The release DAG of the model file beside this file. Airflow reads files with the words dag and airflow."""

from pathlib import Path

from slipway import build_release_dag, load_model

release = build_release_dag(load_model(Path(__file__).with_name("iris-model.yaml")))
