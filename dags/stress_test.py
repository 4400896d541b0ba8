"""Stress test of an endpoint: sends the load that the form asks for, checks limits, and writes a report.

Airflow loads only endpoints whose model file has `stress: {allowed: true}`, up to the caps there. Empty fields
take the model file's values. The run fails when a limit is broken. The task's button "Stress report" opens the report.
"""

from __future__ import annotations

from slipway.model.files import load_models
from slipway.paths import models_folder
from slipway.stress.dag import build_stress_dag

# model_files.py reports broken model files. They do not affect the others.
models, _ = load_models(models_folder())
dag = build_stress_dag(models, __doc__)
