"""The load engine: sends many signed invocations to one endpoint and measures the answers. It imports no Airflow."""
