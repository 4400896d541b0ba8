"""The Airflow plugin."""

from slipway.model_config import ModelConfig
from slipway.model_files import load_models
from slipway.paths import models_folder
from slipway.plugin import SlipwayPlugin
from slipway.release_dag import build_release_dag

STRESS = {"allowed": True, "before_production": True, "slo": {"p99_ms": 500}}


def test_every_link_of_a_release_is_known_to_the_api_server():
    """It deserializes the links of plugins and providers, and no others."""
    models, _ = load_models(models_folder())
    loaded = ModelConfig.model_validate(models[0].model_dump() | {"stress": STRESS})
    used = {type(link) for task in build_release_dag(loaded).tasks for link in task.operator_extra_links}
    own = {link for link in used if link.__module__.startswith("slipway.")}
    assert len(own) == 8
    assert own == {type(link) for link in SlipwayPlugin.operator_extra_links}
