"""Imported by a Celery worker before it forks the processes of tasks: ``imports`` in ``[celery] extra_celery_config``.

Airflow's scheduler loads plugins before it forks, and a Celery worker does not: there each task's process would spend
more than a second on it.
https://docs.celeryq.dev/en/stable/userguide/configuration.html#std-setting-imports
"""

from slipway.host import before_fork
from slipway.plugin import SlipwayPlugin

SlipwayPlugin.on_load()
before_fork.prepare()
