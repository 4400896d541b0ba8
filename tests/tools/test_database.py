from pathlib import Path

import pytest

from tools import database, environment
from tools.database import DatabaseError
from tools.settings import Settings

PASSWORD = "hunter2"
POSTGRES = f"postgresql+psycopg2://airflow:{PASSWORD}@127.0.0.1:5432/airflow"


def settings(tmp_path: Path, url: str = "") -> Settings:
    return Settings(tmp_path, database_url=url)


class TestCheck:
    @pytest.mark.parametrize("url", ["", "sqlite:////tmp/airflow.db"])
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
