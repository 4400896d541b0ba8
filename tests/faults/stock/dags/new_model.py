from airflow.sdk import Asset, dag, task

WINE = Asset("sagemaker://us-west-2/123456789012/endpoint/wine-model-production")


@dag(schedule=[WINE], is_paused_upon_creation=False)
def new_model():
    @task(inlets=[WINE])
    def use_it(*, triggering_asset_events=None):
        return [event.extra for event in triggering_asset_events[WINE]]

    use_it()


new_model()
