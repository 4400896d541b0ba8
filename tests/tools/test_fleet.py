import json

import pytest
from celery import Celery
from kombu.transport.redis import Transport

from tools import database, environment, fleet
from tools.settings import ROOT, Settings


@pytest.fixture
def settings(tmp_path):
    made = Settings(tmp_path / "home", celery_workers=3)
    made.home.mkdir()
    return made


def components(settings: Settings):
    variables = environment.airflow_variables(settings)
    names = ("scheduler", "triggerer", *fleet.names(settings))
    return {name: fleet.component(settings, name, variables) for name in names}


def test_one_worker_needs_no_second_scheduler():
    assert fleet.names(Settings("/nowhere")) == ()
    assert fleet.names(Settings("/nowhere", celery_workers=1)) == ("worker-1",)


def test_a_task_may_wait_in_the_queue_for_as_long_as_airflow_has_it(settings):
    """Its token lives for `task_queued_timeout`: with two minutes a burst that queued for three lost attempts."""
    compose = (ROOT / "docker-compose.yaml").read_text()
    assert "SCHEDULER__TASK_QUEUED_TIMEOUT" not in fleet.options(settings)
    assert "SCHEDULER__TASK_QUEUED_TIMEOUT" not in compose


def test_nothing_on_a_disk_is_shared(settings):
    found = components(settings)
    assert set(found) == {*(f"{kind}{end}" for kind in ("scheduler", "triggerer") for end in ("", "-2")), *found}
    for name in ("HOME", "TMPDIR", "AIRFLOW_HOME", "AIRFLOW__LOGGING__BASE_LOG_FOLDER"):
        assert len({one.environment[name] for one in found.values()}) == len(found)
    assert len({one.folder for one in found.values()}) == len(found)


def test_workers_do_not_know_airflows_database(settings):
    for name, one in components(settings).items():
        known = [value for value in one.environment.values() if database.url(settings) in value]
        assert bool(known) is not name.startswith("worker"), name


def test_redis_may_be_away_for_a_minute(settings):
    variables = environment.airflow_variables(settings)
    policy = json.loads(variables["AIRFLOW__CELERY__EXTRA_CELERY_CONFIG"])["task_publish_retry_policy"]
    with Celery(broker="redis+socket:///nowhere", task_publish_retry_policy=policy, set_as_current=False) as app:
        assert app.conf.task_publish_retry_policy["max_retries"] is None
        assert isinstance(app.connection().transport, Transport)
    assert int(variables["AIRFLOW__CELERY__TASK_PUBLISH_MAX_RETRIES"]) == 60


def test_a_local_instance_has_no_queue_for_load(tmp_path):
    variables = environment.airflow_variables(Settings(tmp_path))
    assert "AIRFLOW__SLIPWAY__LOAD_QUEUE" not in variables
    assert not [name for name in variables if name.startswith("AIRFLOW__CELERY")]
