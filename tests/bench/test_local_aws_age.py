"""The history that the benchmark of the local AWS's age makes."""

from bench.metric_history import INSTANCE_NAMESPACE, NAMESPACE, fill, metrics_of
from local_aws.compute.base import EndpointKey
from local_aws.compute.endpoint_metrics import EndpointMetrics
from local_aws.framework.disk import Disk
from local_aws.metrics.reading import Asked, datapoints
from local_aws.metrics.store import MetricStore

HOUR, NOW = 3600, 1_800_000_000


class Settings:
    """Of a local AWS whose CloudWatch only notes what is put."""

    metrics_interval_seconds = 60.0

    def __init__(self):
        self.put = []

    def client(self, *_):
        return self

    def put_metric_data(self, Namespace, MetricData):
        self.put += [(Namespace, datum["MetricName"]) for datum in MetricData]


def test_it_has_every_metric_that_endpoints_put():
    settings = Settings()
    metrics = EndpointMetrics(settings)
    metrics.record(EndpointKey("1" * 12, "us-west-2", "e"), "a", 200, model_us=1, overhead_us=1, instances=1)
    metrics.put()
    found = {(one.namespace, one.name) for one in metrics_of("e")}
    assert {one for one in found if one[0] == NAMESPACE} == set(settings.put)
    assert {name for space, name in found if space == INSTANCE_NAMESPACE} == {
        "CPUUtilization",
        "MemoryUtilization",
        "DiskUtilization",
    }


def test_a_history_has_a_point_a_minute(tmp_path):
    fill(tmp_path / "aws", 1, 2 * 24 * HOUR, NOW)
    store = MetricStore(tmp_path / "aws/metrics.sqlite", Disk(tmp_path))
    assert store.rows("SELECT count(*) FROM points") == [(10 * 2 * 24 * 60,)]
    latency = next(one for one in metrics_of("endpoint-0") if one.name == "ModelLatency")
    points = datapoints(store, Asked(latency, NOW - HOUR, NOW, 60), ["SampleCount", "p99"])
    assert [one.start for one in points] == list(range(NOW - HOUR, NOW, 60))
    assert {one.statistics["SampleCount"] for one in points} == {20}
    store.close()
