"""Ten releases at once, and how many of their resumed tasks Airflow takes for killed."""
