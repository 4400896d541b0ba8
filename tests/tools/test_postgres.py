"""The embedded PostgreSQL as the supervisor runs it, on clusters of their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest

from tools import postgres
from tools.environment import base_variables
from tools.postgres import PostgresError
from tools.processes import stop_leftovers, supervised
from tools.settings import ROOT, Settings

only_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A state folder with a cluster; its path is too long for a socket."""
    settings = Settings(tmp_path_factory.mktemp("long" * 20) / ("path" * 20) / "home")
    settings.home.mkdir(mode=0o700, parents=True)
    # A killed attempt.
    (settings.home / "postgres.partial").mkdir()
    with running(settings):
        pass
    return settings


@contextmanager
def running(settings):
    log = settings.home / "log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.postgres"],
            cwd=ROOT,
            env=base_variables(settings),
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + 120
        while not postgres.answers(settings):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(120)
        postgres.remove_socket(settings)


def query(settings, *statements):
    folder = str(postgres.socket_folder(settings))
    with closing(psycopg2.connect(host=folder, user=postgres.USER, dbname="postgres")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchone()[0] if cursor.description else None


def test_only_its_user_reaches_it(made):
    with running(made) as process:
        folder = postgres.socket_folder(made).stat()
        assert folder.st_mode & 0o777 == 0o700
        server = Path(f"/proc/{process.pid}").stat().st_uid
        assert folder.st_uid == postgres.cluster(made).stat().st_uid == server != 0
        assert query(made, "SHOW listen_addresses") == ""
        assert query(made, "SHOW fsync") == "on"
    assert "database system is shut down" in (made.home / "log").read_text()
    assert not (made.home / "postgres.partial").exists()


def test_the_callers_settings_for_another_server_are_not_used(made, monkeypatch):
    for name, value in (("PGPORT", "1"), ("PGDATA", "/nowhere"), ("PGOPTIONS", "-c nonsense=1")):
        monkeypatch.setenv(name, value)
    with running(made):
        monkeypatch.undo()
        assert query(made, "SHOW port") == "5432"


def test_what_was_committed_outlives_a_kill(made):
    with running(made) as process:
        query(made, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)")
        process.kill()
        process.wait()
        assert (postgres.cluster(made) / "postmaster.pid").exists()
    with running(made):
        assert query(made, "SELECT n FROM kept") == 7


def test_it_starts_although_another_program_has_the_process_id_of_the_killed_server(made):
    with running(made) as process:
        process.kill()
        process.wait()
    stranger = subprocess.Popen(["/bin/sleep", "60"], cwd="/", **postgres._as_user())
    try:
        file = postgres.cluster(made) / "postmaster.pid"
        file.write_text("\n".join([str(stranger.pid), *file.read_text().splitlines()[1:]]) + "\n")
        with running(made):
            assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def patient_with(process, kill):
    def send(pid, number):
        if number == signal.SIGKILL:
            # A slow machine writes for longer than the seconds of grace here.
            process.wait(120)
        kill(pid, number)

    return send


def test_an_interrupted_runs_server_is_found_and_stopped(made, monkeypatch):
    with running(made) as process:
        monkeypatch.setattr("tools.processes.os.kill", patient_with(process, os.kill))
        assert process.pid in supervised(made)
        waiting = psycopg2.connect(host=str(postgres.socket_folder(made)), user=postgres.USER, dbname="postgres")
        with closing(waiting):
            stop_leftovers(made, grace_seconds=2)
            assert process.wait(120) == 0, "it had time to write everything"
        assert not supervised(made)


def test_another_major_version_is_refused_with_the_way_out(made, tmp_path):
    settings = Settings(tmp_path)
    postgres.cluster(settings).mkdir()
    (postgres.cluster(settings) / "PG_VERSION").write_text("16\n")
    with pytest.raises(PostgresError, match=r"(?s)made by PostgreSQL 16, .* has PostgreSQL 18.*make clean"):
        postgres.check(settings)
    postgres.check(made)


def test_a_cluster_whose_programs_are_gone_is_not_replaced(made, monkeypatch):
    monkeypatch.setattr(postgres, "obstacle", lambda: "the package is not installed")
    with pytest.raises(PostgresError, match="needs the embedded PostgreSQL, but the package is not installed"):
        postgres.check(made)


def test_stopped_processes_of_a_killed_server_do_not_keep_the_next_one_from_starting(made):
    with running(made) as process:
        assert postgres.ask(made, 30)
        family = [process.pid, *children(process.pid)]
        assert len(family) > 3
        for pid in family:
            os.kill(pid, signal.SIGSTOP)
        assert postgres.ask(made, 1) is None
        process.kill()
        process.wait()
    with running(made):
        assert postgres.answers(made)
        assert not [pid for pid in family if Path(f"/proc/{pid}/cwd").exists()]


def test_nothing_of_a_stopped_server_is_left(made):
    with running(made) as process:
        workers = children(process.pid)
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        process.kill()
        process.wait()
        postgres.remove_rest(made)
        assert not [pid for pid in workers if Path(f"/proc/{pid}/cwd").exists()]
        assert not postgres.socket_folder(made).exists()


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@only_root
def test_a_socket_folder_of_somebody_else_is_refused(tmp_path):
    settings = Settings(tmp_path)
    folder = postgres.socket_folder(settings)
    folder.mkdir()
    try:
        os.chown(folder, 12345, 12345)
        with pytest.raises(PostgresError, match="belongs to somebody else"):
            postgres.make_socket_folder(settings)
    finally:
        folder.rmdir()


@only_root
def test_programs_that_only_root_can_read_are_copied(tmp_path):
    package = postgres._installed().parent.parent
    hidden = tmp_path / "site-packages"
    hidden.mkdir(mode=0o700)
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.with_name(name), hidden / name, ignore=shutil.ignore_patterns("pginstall", "include"))
    installed = hidden / postgres._installed().relative_to(package.parent)
    assert postgres.programs(postgres._installed()) == postgres._installed() or not postgres._can_run(
        [str(postgres._installed() / "postgres"), "--version"]
    )
    with tempfile.TemporaryDirectory(prefix="slipway-test-") as reachable:
        Path(reachable).chmod(0o755)
        copied = postgres.programs(installed, Path(reachable) / "copies")
        assert copied.is_relative_to(reachable)
        for program in ("initdb", "postgres"):
            assert postgres._can_run([str(copied / program), "--version"])
        assert postgres.programs(installed, Path(reachable) / "copies") == copied
