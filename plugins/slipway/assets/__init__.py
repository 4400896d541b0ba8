"""Airflow's assets: production's endpoints, which other DAGs wait for, and the training data that a model waits for."""
