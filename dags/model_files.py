"""Reports invalid model files as a DAG import error.

Airflow hides every DAG of a file that has an import error, so this file makes no DAG: the other models keep theirs.
"""

from slipway.model.files import load_models
from slipway.paths import models_folder

_, errors = load_models(models_folder())
if errors:
    raise errors[0] if len(errors) == 1 else ExceptionGroup("Several model files are invalid", errors)
