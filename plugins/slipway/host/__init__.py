"""Airflow's private SDK, used here and nowhere else."""
