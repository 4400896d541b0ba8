"""The command line `slipway`: it talks to Airflow's API and to AWS as the person who types it."""
