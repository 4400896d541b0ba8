"""The Airflow plugin."""

from slipway.model_config import load_models
from slipway.paths import models_folder
from slipway.plugin import SlipwayPlugin
from slipway.release_dag import build_release_dag


def test_every_link_of_a_release_is_known_to_the_api_server():
    """It deserializes the links of plugins and providers, and no others."""
    models, _ = load_models(models_folder())
    used = {type(link) for task in build_release_dag(models[0]).tasks for link in task.operator_extra_links}
    own = {link for link in used if link.__module__.startswith("slipway.")}
    assert len(own) == 7
    assert own == {type(link) for link in SlipwayPlugin.operator_extra_links}
