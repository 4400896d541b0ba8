"""The form of the stress test."""

from slipway.model.config import ModelConfig
from slipway.stress.dag import build_stress_dag
from slipway.stress.order import StressForm
from tests.unit.request_samples import iris_model


def test_the_form_has_every_field_that_is_read():
    dag = build_stress_dag([iris_model()], "about")
    assert set(dag.params) == set(StressForm.model_fields)
    assert dag.doc_md == "about"


def test_without_a_model_that_allows_load_the_form_is_there_all_the_same():
    closed = ModelConfig.model_validate(iris_model().model_dump() | {"stress": {}})
    for models in ([], [closed]):
        dag = build_stress_dag(models, "")
        assert dag.params["model"] is None
        dag.params.validate()
