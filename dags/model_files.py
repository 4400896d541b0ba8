"""Reports invalid model files as a DAG import error, without taking a valid model's release DAG along.

Airflow keeps one import error per DAG file and hides every DAG of such a file, so the errors have a file of their own:
this one makes no DAG.
"""

from slipway.model.files import load_models
from slipway.paths import models_folder

_, errors = load_models(models_folder())
if errors:
    raise errors[0] if len(errors) == 1 else ExceptionGroup("Several model files are invalid", errors)
