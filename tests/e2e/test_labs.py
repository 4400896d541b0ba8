"""Lab 2 and the clean-up, notebook by notebook, on an instance of their own that ends up empty."""

import pytest

from tests.instance import SHORT_PATIENCE, Instance
from tools import bootstrap_stack, clean_up, environment, labs
from tools.settings import OPERATOR_PRINCIPAL

pytestmark = [pytest.mark.e2e, pytest.mark.rare]


@pytest.fixture(scope="module")
def instance(tmp_path_factory, free_ports):
    """What `make up LABS=yes` starts."""
    made = Instance.in_folder(tmp_path_factory.mktemp("labs"), free_ports(2), dict(SHORT_PATIENCE))
    try:
        made.services("up")
        bootstrap_stack.deploy_labs(made.client, OPERATOR_PRINCIPAL)
        yield made
    finally:
        made.services("down")


def test_a_release_is_submitted_approved_loaded_and_removed(instance):
    # The lab's stages, with fewer requests; the steady load that makes production grow takes five minutes.
    shorter = {"LAB_STAGES": "2:50,5:100,10:200", "LAB_STEADY_SECONDS": "0"}
    home = {"SLIPWAY_HOME": str(instance.settings.home)}
    variables = environment.user_variables(instance.settings) | home | shorter
    names = ["lab2a_AutomateTheRelease", "lab2b_ProductionizingTheModel", "lab2c_Stress_Test"]
    assert labs.run(variables, instance.settings.home / "labs", names) == 0

    account = clean_up.Account(instance.client, ("iris-model",))
    assert set(account.left()["endpoints"]) == {"iris-model-development", "iris-model-production"}
    form = {"model": "iris-model", "confirm": "iris-model", "remove_record": True}
    run_id = instance.api("alice").trigger("teardown", form)
    assert instance.wait_end("teardown", run_id) == "success", instance.story("teardown", run_id)
    clean_up.clean_up(account, data=True)
    assert not any(account.left().values())
