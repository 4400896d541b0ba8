import asyncio
import json
import time

import jwt
import pytest
from airflow.api_fastapi.auth.tokens import JWTValidator

from tools import environment
from tools.settings import Settings


def test_the_variables_are_read_as_they_are_written(tmp_path, monkeypatch):
    given = Settings(tmp_path, 1, 2, 0.5, True, "sqlite:////tmp/other.db", 3, 60.0, 2, "container")
    for name, value in given.variables().items():
        monkeypatch.setenv(name, value)
    assert Settings.from_environment() == given


@pytest.mark.parametrize("text", ["0", "-1", "fast", "inf", "nan"])
def test_a_time_scale_is_a_number_above_0(monkeypatch, text):
    monkeypatch.setenv("SLIPWAY_TIME_SCALE", text)
    with pytest.raises(ValueError, match=f"SLIPWAY_TIME_SCALE .* got '{text}'"):
        Settings.from_environment()


def test_images_run_in_one_of_two_ways(monkeypatch):
    monkeypatch.setenv("SLIPWAY_COMPUTE", "docker")
    with pytest.raises(ValueError, match="SLIPWAY_COMPUTE must be process or container, got 'docker'"):
        Settings.from_environment()


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_a_number_of_api_processes_is_a_whole_one_from_1_on(monkeypatch, text):
    monkeypatch.setenv("SLIPWAY_API_WORKERS", text)
    with pytest.raises(ValueError, match=f"SLIPWAY_API_WORKERS .* got '{text}'"):
        Settings.from_environment()


def test_airflow_gets_the_number_of_api_processes(tmp_path):
    assert environment.airflow_variables(Settings(tmp_path, api_workers=3))["AIRFLOW__API__WORKERS"] == "3"


def test_airflows_links_lead_to_the_local_aws(tmp_path):
    variables = environment.airflow_variables(Settings(tmp_path, aws_port=4566))
    connection = json.loads(variables["AIRFLOW_CONN_AWS_DEFAULT"])
    assert connection["extra"]["console_url"] == "http://127.0.0.1:4566/_local_aws"


def test_an_option_of_the_callers_comes_before_slipways_own(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_AIRFLOW__CORE__PARALLELISM", "3")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    variables = environment.airflow_variables(Settings(tmp_path))
    assert variables["AIRFLOW__CORE__PARALLELISM"] == "3"
    assert variables["AIRFLOW__CORE__EXECUTOR"] == "slipway.host.executor.DeferringLocalExecutor"


@pytest.mark.parametrize("ahead_seconds", [60, -60])
def test_a_token_by_a_clock_that_is_a_minute_off_is_accepted(tmp_path, ahead_seconds):
    variables = environment.airflow_variables(Settings(tmp_path))
    secret, now = variables["AIRFLOW__API_AUTH__JWT_SECRET"], int(time.time()) + ahead_seconds
    # As Airflow's JWTGenerator makes it for a task.
    claims = {"sub": "task", "aud": "execution", "nbf": now, "iat": now, "exp": now + 50}
    leeway = int(variables["AIRFLOW__API_AUTH__JWT_LEEWAY"])
    validator = JWTValidator(secret_key=secret, audience="execution", issuer=None, algorithm=["HS512"], leeway=leeway)
    token = jwt.encode(claims, secret, "HS512")
    assert asyncio.run(validator.avalidated_claims(token))["sub"] == "task"
