import tomllib

import pytest

from slipway.errors import PermanentError
from slipway.host.airflow_version import OLDEST, require_airflow
from tools.settings import ROOT


def test_an_airflow_that_is_too_old_is_refused_by_name():
    with pytest.raises(PermanentError, match=r"apache-airflow 3\.3\.0.*Fix: install Airflow 3\.3\.1 or newer"):
        require_airflow("3.3.0")


@pytest.mark.parametrize("version", [OLDEST, "3.3.2", "3.3.10"])
def test_others_are_not(version):
    require_airflow(version)


def test_the_package_asks_for_the_same():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert f"apache-airflow>={OLDEST},<3.4" in wanted
