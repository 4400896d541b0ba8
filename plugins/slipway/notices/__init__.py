"""Messages to people: an SNS topic and Airflow notifiers."""
