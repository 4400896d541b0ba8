"""Slipway launches SageMaker models with Airflow: train, deploy to development, approve, deploy to production."""
