import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy
from airflow.models import Team, Trigger

from tools import database, environment, postgres
from tools.database import DatabaseError, Kind
from tools.settings import Settings

PASSWORD = "hunter2"
POSTGRES = f"postgresql+psycopg2://airflow:{PASSWORD}@127.0.0.1:5432/airflow"


def settings(tmp_path: Path, url: str = "") -> Settings:
    return Settings(tmp_path, database_url=url)


class TestKind:
    @pytest.fixture(autouse=True)
    def possible(self, monkeypatch):
        monkeypatch.setattr(postgres, "obstacle", lambda: None)

    def test_a_new_state_folder_is_on_the_embedded_postgresql(self, tmp_path):
        assert database.kind(settings(tmp_path)) is Kind.EMBEDDED
        assert database.why_sqlite(settings(tmp_path)) is None
        assert database.url(settings(tmp_path)) == postgres.url(settings(tmp_path))

    def test_sqlite_by_choice_waits_for_a_lock_shortly(self, tmp_path):
        chosen = settings(tmp_path, "sqlite")
        assert database.url(chosen) == f"sqlite:///{tmp_path}/airflow/airflow.db?timeout=5"
        assert "as SLIPWAY_DATABASE_URL says" in str(database.why_sqlite(chosen))

    def test_sqlite_where_postgresql_cannot_run_says_why(self, tmp_path, monkeypatch):
        monkeypatch.setattr(postgres, "obstacle", lambda: "there is no wheel")
        assert database.kind(settings(tmp_path)) is Kind.FILE
        assert "because there is no wheel. That is for a look only" in str(database.why_sqlite(settings(tmp_path)))

    def test_a_state_folder_keeps_its_database(self, tmp_path):
        file = database.sqlite_file(settings(tmp_path))
        file.parent.mkdir()
        file.touch()
        assert database.kind(settings(tmp_path)) is Kind.FILE
        assert "because this state folder has one" in str(database.why_sqlite(settings(tmp_path)))
        postgres.cluster(settings(tmp_path)).mkdir()
        assert database.kind(settings(tmp_path)) is Kind.EMBEDDED

    def test_a_url_comes_before_all_of_that(self, tmp_path):
        assert database.kind(settings(tmp_path, POSTGRES)) is Kind.GIVEN
        assert database.url(settings(tmp_path, POSTGRES)) == POSTGRES

    def test_airflow_does_not_get_the_callers_settings_for_another_server(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PGPORT", "1")
        assert "PGPORT" not in environment.airflow_variables(settings(tmp_path))
        assert environment.airflow_variables(settings(tmp_path, POSTGRES))["PGPORT"] == "1"


class TestCheck:
    @pytest.mark.parametrize("url", ["sqlite", "sqlite:////tmp/airflow.db"])
    def test_sqlite_needs_nothing_more(self, tmp_path, url):
        database.check(settings(tmp_path, url))

    @pytest.mark.parametrize("url", [f"postgresql/{PASSWORD}", f"postgresql://airflow:{PASSWORD}@host:port/airflow"])
    def test_what_is_no_url_is_refused_without_quoting_it(self, tmp_path, url):
        with pytest.raises(DatabaseError, match=r"looks like this: postgresql\+psycopg2://") as refusal:
            database.check(settings(tmp_path, url))
        assert PASSWORD not in str(refusal.value)
        # What a traceback would show.
        assert refusal.value.__suppress_context__

    def test_another_kind_of_database_is_refused(self, tmp_path):
        with pytest.raises(DatabaseError, match="'mysql'") as refusal:
            database.check(settings(tmp_path, f"mysql://airflow:{PASSWORD}@host/airflow"))
        assert PASSWORD not in str(refusal.value)

    def test_a_missing_driver_is_named_with_the_packages_to_install(self, tmp_path):
        url = POSTGRES.replace("psycopg2", "nosuchdriver")
        with pytest.raises(DatabaseError, match=r"nosuchdriver.*pip install asyncpg psycopg2-binary"):
            database.check(settings(tmp_path, url))

    def test_a_url_without_a_driver_means_the_one_that_sqlalchemy_takes(self, tmp_path, monkeypatch):
        monkeypatch.setattr(database, "find_spec", lambda name: None if name == "psycopg" else object())
        with pytest.raises(DatabaseError, match=r"package psycopg, .* begins with postgresql\+psycopg2://"):
            database.check(settings(tmp_path, POSTGRES.replace("+psycopg2", "")))
        database.check(settings(tmp_path, POSTGRES))


class TestPassword:
    def test_the_settings_do_not_show_it(self, tmp_path):
        assert PASSWORD not in repr(settings(tmp_path, POSTGRES))

    def test_only_airflow_gets_it(self, tmp_path, monkeypatch):
        monkeypatch.setenv("SLIPWAY_DATABASE_URL", POSTGRES)
        monkeypatch.setenv("SLIPWAY_AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC", POSTGRES)
        instance = settings(tmp_path, POSTGRES)
        assert PASSWORD not in str(environment.base_variables(instance))
        assert PASSWORD not in str(environment.user_variables(instance))
        airflow = environment.airflow_variables(instance)
        holding = {name for name, value in airflow.items() if PASSWORD in value}
        assert holding == {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC"}


class TestTriggerIds:
    @pytest.fixture
    def file(self, tmp_path):
        """A database with Airflow's own table of triggers, one in it, and a task that waits for that one."""
        file = tmp_path / "airflow.db"
        engine = sqlalchemy.create_engine(f"sqlite:///{file}")
        Team.__table__.create(engine)
        Trigger.__table__.create(engine)
        engine.dispose()
        with closing(sqlite3.connect(file)) as found:
            found.execute("CREATE TABLE task (trigger_id INTEGER REFERENCES trigger(id) ON DELETE CASCADE)")
            assert self.add(found) == 1
            found.execute("INSERT INTO task VALUES (1)")
            found.commit()
        return file

    @staticmethod
    def add(found: sqlite3.Connection) -> int | None:
        """Adds a trigger. Returns its id."""
        row = "INSERT INTO trigger (classpath, kwargs, created_date) VALUES ('a.Trigger', '{}', '2026-01-01')"
        return found.execute(row).lastrowid

    def test_a_deleted_triggers_id_is_not_given_again(self, file):
        with closing(sqlite3.connect(file)) as found:
            found.execute("DELETE FROM trigger WHERE id = ?", (self.add(found),))
            assert self.add(found) == 2
            found.rollback()
        database.keep_trigger_ids_unique(file)
        with closing(sqlite3.connect(file)) as found:
            found.execute("DELETE FROM trigger WHERE id = ?", (self.add(found),))
            assert self.add(found) == 3

    def test_what_is_there_stays_and_tasks_still_refer_to_it(self, file):
        database.keep_trigger_ids_unique(file)
        database.keep_trigger_ids_unique(file)
        with closing(sqlite3.connect(file)) as found:
            found.execute("PRAGMA foreign_keys = ON")
            assert found.execute("SELECT id, classpath, kwargs FROM trigger").fetchall() == [(1, "a.Trigger", "{}")]
            assert found.execute("PRAGMA foreign_key_check").fetchall() == []
            found.execute("DELETE FROM trigger")
            assert found.execute("SELECT * FROM task").fetchall() == []
