"""When Airflow's tables are made again."""

from __future__ import annotations

import shutil

import pytest

from tools import database, migration, postgres
from tools.database import Kind
from tools.settings import Settings


@pytest.fixture
def settings(tmp_path):
    settings = Settings(tmp_path)
    settings.airflow_home.mkdir()
    postgres.cluster(settings).mkdir()
    database.sqlite_file(settings).write_bytes(b"tables")
    return settings


@pytest.mark.parametrize("kind", [Kind.EMBEDDED, Kind.FILE])
def test_they_are_made_once_for_each_version(settings, kind, monkeypatch):
    assert not migration.is_done(settings, kind)
    migration.note_done(settings, kind)
    assert migration.is_done(settings, kind)
    monkeypatch.setattr(migration, "version", lambda package: "4.0.0")
    assert not migration.is_done(settings, kind)


def test_a_removed_cluster_gets_its_tables_again(settings):
    migration.note_done(settings, Kind.EMBEDDED)
    shutil.rmtree(postgres.cluster(settings))
    postgres.cluster(settings).mkdir()
    assert not migration.is_done(settings, Kind.EMBEDDED)


@pytest.mark.parametrize("left", [None, b""])
def test_a_removed_sqlite_file_gets_its_tables_again(settings, left):
    migration.note_done(settings, Kind.FILE)
    file = database.sqlite_file(settings)
    file.unlink()
    if left is not None:
        file.write_bytes(left)
    assert not migration.is_done(settings, Kind.FILE)


def test_another_servers_database_may_have_been_emptied(settings):
    migration.note_done(settings, Kind.GIVEN)
    assert not migration.is_done(settings, Kind.GIVEN)


def test_what_one_database_has_says_nothing_about_the_other(settings):
    migration.note_done(settings, Kind.EMBEDDED)
    assert not migration.is_done(settings, Kind.FILE)
