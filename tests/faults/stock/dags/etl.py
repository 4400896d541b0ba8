from airflow.sdk import Asset, dag, task


@dag(schedule=None, is_paused_upon_creation=False)
def etl():
    @task(outlets=[Asset("wine-data")])
    def load():
        """Writes the rows to S3."""

    load()


etl()
