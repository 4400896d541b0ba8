"""The shim Airflow loads: plugins/.airflowignore keeps it from executing the package's own files one by one."""

from slipway.plugin import SlipwayPlugin  # noqa: F401
