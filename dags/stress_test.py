"""Stress test of an endpoint: load as the form asks for, held against limits, with a report in the model's bucket.

Airflow loads only endpoints whose model file has `stress: {allowed: true}`, up to the caps there. What the form leaves
empty is as the model file has it. The run fails when a limit is broken; the task's button "Stress report" opens the
report.
"""

from __future__ import annotations

from slipway.model.files import load_models
from slipway.paths import models_folder
from slipway.stress.dag import build_stress_dag

# A broken model file is reported by model_files.py and costs the others nothing.
models, _ = load_models(models_folder())
dag = build_stress_dag(models, __doc__)
