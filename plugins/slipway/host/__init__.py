"""The one door to Airflow's private SDK."""
