import contextlib
import os
import subprocess
import sys
import time

import pytest
from celery import Celery
from kombu.exceptions import KombuError

from tools import broker, fleet
from tools.settings import ROOT, Settings


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Starts the server of an instance as often as it is called; ends the last one."""
    settings = Settings(tmp_path / "home")
    settings.home.mkdir()
    running = []

    def start():
        environment = os.environ | settings.variables()
        running.append(subprocess.Popen([sys.executable, "-m", "tools.broker"], cwd=ROOT, env=environment))
        return settings, running[-1]

    try:
        yield start
    finally:
        for process in running:
            process.kill()
            process.wait()
        broker.remove_socket(settings)


def sent(settings: Settings) -> int:
    """Sends a message, as soon as the server answers. Returns how many wait."""
    with Celery(broker=broker.url(settings), set_as_current=False) as app:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError, KombuError):
                app.send_task("execute_workload", queue="default", retry=False)
                with app.connection() as connection:
                    # Without this kombu would try for ever.
                    connection.ensure_connection(max_retries=1, timeout=5)
                    return connection.default_channel.queue_declare("default", passive=True).message_count
            assert time.monotonic() < deadline, "Redis does not answer"
            time.sleep(0.1)


def test_a_killed_server_loses_no_message(server):
    settings, first = server()
    assert sent(settings) == 1
    first.kill()
    first.wait()
    server()
    assert sent(settings) == 2


def test_nobody_else_reaches_the_socket(server):
    settings, _ = server()
    sent(settings)
    assert broker.socket(settings).parent.stat().st_mode & 0o777 == 0o700
    assert len(str(broker.socket(settings))) < 107


def test_two_instances_have_two_sockets(tmp_path):
    assert broker.socket(Settings(tmp_path / "one")) != broker.socket(Settings(tmp_path / "two"))


def test_without_a_server_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(broker, "ENVIRONMENT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(broker.BrokerError, match="apt-get install redis-server"):
        broker.program()
    (tmp_path / "redis-server").touch(0o755)
    assert broker.program() == str(tmp_path / "redis-server")


def test_without_redis_no_worker_answers(tmp_path):
    assert fleet.answering(Settings(tmp_path, celery_workers=1)) == set()
