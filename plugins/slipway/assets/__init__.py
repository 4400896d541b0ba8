"""Airflow's assets of production's endpoints, which other DAGs wait for; those of training data are in source/."""
