"""docker-compose.yaml: what holds for each service, and that its settings are those of `make up`."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml
from airflow.sdk import Connection

from tools import compose_env, environment
from tools.people import ROLES
from tools.settings import OPERATORS, ROOT, Settings

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
SERVICES: dict[str, dict] = COMPOSE["services"]
EVERY = pytest.mark.parametrize("name", SERVICES)
AIRFLOW = [name for name, service in SERVICES.items() if "slipway-airflow" in service["image"]]
WORKERS = ("worker", "worker-load", "flower")
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)")
SECRET = re.compile(r"PASSWORD|SECRET|_KEY$|KEYS$|ACCESS_KEY|BASIC_AUTH|SQL_ALCHEMY_CONN|BROKER_URL|RESULT_BACKEND")
# Paths, addresses and names of the containers' own, and how much is logged.
ELSEWHERE = re.compile(
    r"__(DAGS_FOLDER|PLUGINS_FOLDER|HOST|PORT|BASE_URL|EXECUTION_API_SERVER_URL|BASE_LOG_FOLDER|SQL_ALCHEMY_CONN|"
    r"DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY|SIMPLE_AUTH_MANAGER_\w+|PRINT_STATS_INTERVAL)$"
)


def environment_of(name: str) -> dict[str, str]:
    return SERVICES[name].get("environment", {})


@EVERY
def test_each_port_is_published_on_the_loopback_only(name):
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{SLIPWAY_\w+_PORT:-\d+\}:\d+", port)


def test_no_two_services_have_one_port():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len({port.rsplit(":-")[1].split("}")[0] for port in ports}) == len(ports) >= 3


@EVERY
def test_each_service_has_a_health_check_or_says_why_not(name):
    service = SERVICES[name]
    assert ("healthcheck" in service) != ("x-no-healthcheck" in service)
    if "healthcheck" in service:
        # podman-compose quotes a list of words otherwise than Docker, and loses the check of a second container.
        assert isinstance(service["healthcheck"]["test"], str)
        assert {"interval", "timeout", "retries", "start_period"} <= service["healthcheck"].keys()


@EVERY
def test_each_service_starts_again_but_the_one_that_ends(name):
    assert SERVICES[name]["restart"] == ("no" if name == "init" else "unless-stopped")


@EVERY
def test_each_service_has_limits(name):
    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert {"cpus", "memory", "pids"} == limits.keys()
    # Docker refuses more than the machine has; two cores are what docs/docker.md asks for.
    assert float(limits["cpus"]) <= 2


@EVERY
def test_no_service_is_root_or_can_become_it(name):
    service = SERVICES[name]
    user = service["user"].split(":")[0]
    assert user not in ("", "0", "root")
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service


@EVERY
def test_each_service_writes_to_its_volumes_only(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    for volume in service.get("volumes", []):
        source, _, options = volume.partition(":")
        if source.startswith((".", "$")):
            assert options.endswith(":ro"), f"{volume} is a folder of the host's"
        else:
            assert source in COMPOSE["volumes"]


@EVERY
def test_no_secret_is_written_in_the_file(name):
    for variable, value in environment_of(name).items():
        if SECRET.search(variable) and variable not in ("KEYCLOAK_CLIENT_SECRET",):
            assert re.search(r"\$\{\w+:\?run make env\}", value), variable


def test_make_env_writes_each_variable_that_the_file_asks_for(tmp_path):
    asked = set(re.findall(r"\$\{(\w+):\?run make env\}", (ROOT / "docker-compose.yaml").read_text()))
    assert asked <= compose_env.variables(Settings(tmp_path)).keys()
    assert {"REDIS_PASSWORD", "POSTGRES_PASSWORD", "APPROVAL_SIGNING_KEY"} <= asked


def test_each_variable_of_make_env_is_used(tmp_path):
    used = set(VARIABLE.findall((ROOT / "docker-compose.yaml").read_text()))
    assert compose_env.variables(Settings(tmp_path)).keys() - used == {"COMPOSE_PROFILES"}


def test_a_second_make_env_keeps_the_secrets(tmp_path):
    file = tmp_path / ".env"
    file.write_text("POSTGRES_PASSWORD=old")
    assert compose_env.write(file, {"POSTGRES_PASSWORD": "new", "REDIS_PASSWORD": "redis"})
    assert file.read_text() == "POSTGRES_PASSWORD=old\nREDIS_PASSWORD=redis\n"
    assert file.stat().st_mode & 0o077 == 0
    assert not compose_env.write(file, {"POSTGRES_PASSWORD": "newer"})


def test_the_containers_and_the_demo_have_the_same_keys_of_aws(tmp_path):
    settings = Settings(tmp_path)
    made = compose_env.variables(settings)
    known = environment.aws_credentials(settings)
    assert made["SLIPWAY_OPERATOR_ACCESS_KEY_ID"] == known.operator.access_key_id
    assert made["SLIPWAY_ADMIN_SECRET_ACCESS_KEY"] == known.admin.secret_access_key


def test_airflows_connection_is_that_of_make_up(tmp_path):
    settings = Settings(tmp_path)
    uri = compose_env.connection(settings)
    # Nothing that Docker's .env gives a meaning.
    assert not set("\"'$#{} ") & set(uri)
    assert urlsplit(uri).scheme == "aws"
    native = environment.airflow_variables(settings)["AIRFLOW_CONN_AWS_DEFAULT"]
    assert dict(parse_qsl(urlsplit(uri).query)) == Connection.from_json(native).extra_dejson


@pytest.mark.parametrize("name", WORKERS)
def test_what_runs_tasks_has_no_secret_of_airflows(name):
    have = environment_of(name)
    assert "POSTGRES_PASSWORD" not in str(have)
    assert "RESULTS_PASSWORD" in have["AIRFLOW__CELERY__RESULT_BACKEND"]
    for secret in ("SQL_ALCHEMY_CONN", "FERNET_KEY", "JWT_SECRET", "SECRET_KEY", "APPROVAL_SIGNING_KEY"):
        assert not [variable for variable in have if variable.startswith("AIRFLOW") and variable.endswith(secret)]


def test_what_trains_and_serves_does_not_reach_the_database_or_the_queue():
    assert COMPOSE["networks"]["data"] == {"internal": True}
    assert {tuple(SERVICES[name]["networks"]) for name in ("postgres", "redis")} == {("data",)}
    on = {name for name, service in SERVICES.items() if "data" in service["networks"]}
    assert on == {"postgres", "redis", *AIRFLOW}


@pytest.mark.parametrize("secret", ["APPROVAL_SIGNING_KEY", "JWT_SECRET", "API__SECRET_KEY"])
def test_a_secret_is_where_it_is_needed(secret):
    needed = {"APPROVAL_SIGNING_KEY": {"api-server"}, "API__SECRET_KEY": {"api-server"}}
    have = {name for name in SERVICES if any(variable.endswith(secret) for variable in environment_of(name))}
    assert have == needed.get(secret, {"init", "api-server", "scheduler"})


def test_what_must_outlive_one_of_them_is_there_twice():
    for name in ("scheduler", "triggerer", "worker"):
        assert SERVICES[name]["deploy"]["replicas"] == 2
    assert environment_of("api-server")["AIRFLOW__API__WORKERS"] == "2"


def test_loads_have_workers_of_their_own():
    queues = {name: SERVICES[name]["command"][SERVICES[name]["command"].index("--queues") + 1] for name in WORKERS[:2]}
    assert queues == {"worker": "default", "worker-load": environment_of("worker")["AIRFLOW__SLIPWAY__LOAD_QUEUE"]}


def test_airflows_options_are_those_of_make_up_on_celery(tmp_path, monkeypatch):
    monkeypatch.delenv("SLIPWAY_DATABASE_URL", raising=False)
    native = environment.airflow_variables(Settings(tmp_path, api_workers=2, celery_workers=2))
    written: dict[str, str] = {}
    for name in AIRFLOW:
        written |= environment_of(name)
    options = {name for name in native if name.startswith("AIRFLOW__") and not ELSEWHERE.search(name)}
    secrets = {name for name in options if SECRET.search(name)}
    assert {name: written.get(name) for name in options - secrets} == {name: native[name] for name in options - secrets}
    assert secrets <= written.keys()


def test_the_users_of_make_up_are_among_the_people():
    assert {"admin", *OPERATORS} <= ROLES.keys()
    assert {role for roles in ROLES.values() for role in roles} == {"Admin", "Op", "Approver", "Viewer"}


def test_the_profiles_that_are_off_by_default():
    off = {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service}
    assert off.pop("local-aws") == ["local"]
    assert off.pop("flower") == ["flower"]
    assert off.keys() == {"otel-collector", "prometheus", "tempo", "grafana"}
    assert all(profiles == ["metrics"] for profiles in off.values())


@EVERY
def test_each_mounted_file_of_compose_is_there(name):
    for volume in SERVICES[name].get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("./include/compose"):
            assert (ROOT / source).exists()


def test_nothing_else_tells_how_to_make_the_secrets():
    told = [*(ROOT / "docs").glob("*.md"), ROOT / "docker-compose.yaml", *(ROOT / "local_aws").rglob("*.py")]
    assert [path.name for path in told if "tools.compose_env" in Path(path).read_text()] == []
