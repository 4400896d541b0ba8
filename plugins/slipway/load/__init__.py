"""The load engine: many signed invocations of one endpoint, and what came of them. Free of Airflow."""
