"""Random kills of all that runs while releases run; what became of them is read from what AWS and Airflow show."""
