import pytest

from tools import environment
from tools.settings import Settings


def test_the_variables_are_read_as_they_are_written(tmp_path, monkeypatch):
    given = Settings(tmp_path, 1, 2, 0.5, True, "sqlite:////tmp/other.db", 3, 60.0)
    for name, value in given.variables().items():
        monkeypatch.setenv(name, value)
    assert Settings.from_environment() == given


@pytest.mark.parametrize("text", ["0", "-1", "fast", "inf", "nan"])
def test_a_time_scale_is_a_number_above_0(monkeypatch, text):
    monkeypatch.setenv("SLIPWAY_TIME_SCALE", text)
    with pytest.raises(ValueError, match=f"SLIPWAY_TIME_SCALE .* got '{text}'"):
        Settings.from_environment()


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_a_number_of_api_processes_is_a_whole_one_from_1_on(monkeypatch, text):
    monkeypatch.setenv("SLIPWAY_API_WORKERS", text)
    with pytest.raises(ValueError, match=f"SLIPWAY_API_WORKERS .* got '{text}'"):
        Settings.from_environment()


def test_airflow_gets_the_number_of_api_processes(tmp_path):
    assert environment.airflow_variables(Settings(tmp_path, api_workers=3))["AIRFLOW__API__WORKERS"] == "3"


def test_an_option_of_the_callers_comes_before_slipways_own(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_AIRFLOW__CORE__PARALLELISM", "3")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    variables = environment.airflow_variables(Settings(tmp_path))
    assert variables["AIRFLOW__CORE__PARALLELISM"] == "3"
    assert variables["AIRFLOW__CORE__EXECUTOR"] == "slipway.host.executor.DeferringLocalExecutor"
