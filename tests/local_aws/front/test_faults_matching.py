"""Which calls a fault is for, how often, and which faults are refused; without a server."""

import pytest

from local_aws.front.faults import Drop, Fault, Faults, InvalidFault, parse


@pytest.fixture
def clock():
    return Clock()


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def meet(faults, operation="CreateModel", resource="iris", service="sagemaker"):
    return faults.meet(service, operation, resource)


class TestMatching:
    def test_a_fault_without_names_is_for_every_call(self):
        faults = Faults()
        faults.add(parse({"error": "SlowDown"}))
        assert meet(faults, "PutObject", "bucket/key", "s3").error == "SlowDown"

    @pytest.mark.parametrize(
        ("call", "met"),
        [
            (("sagemaker", "CreateModel", "iris-1"), True),
            (("sagemaker", "CreateModel", "wine-1"), False),
            (("sagemaker", "DeleteModel", "iris-1"), False),
            (("s3", "CreateModel", "iris-1"), False),
        ],
    )
    def test_every_given_name_must_be_right(self, call, met):
        faults = Faults()
        faults.add(parse({"service": "sagemaker", "operation": "CreateModel", "resource": "iris-*", "drop": "after"}))
        assert (faults.meet(*call) is not None) is met

    def test_the_first_calls_only(self):
        faults = Faults()
        added = faults.add(parse({"drop": "before", "count": 2}))
        assert [meet(faults) is not None for _ in range(4)] == [True, True, False, False]
        assert added["active"]
        assert [(one["hits"], one["active"]) for one in faults.list()] == [(2, False)]

    def test_a_probable_fault_leaves_the_other_calls_to_the_next(self):
        draws = iter([0.1, 0.5, 0.2, 0.9, 0.4, 0.3])
        faults = Faults(chance=lambda: next(draws))
        faults.add(parse({"error": "SlowDown", "probability": 0.2}))
        faults.add(parse({"error": "InternalError"}))
        assert [meet(faults).error for _ in range(3)] == ["SlowDown", "InternalError", "InternalError"]

    def test_a_blackout_comes_before_all_and_ends_by_itself(self, clock):
        faults = Faults(clock)
        faults.add(parse({"error": "SlowDown"}))
        blackout = faults.add(parse({"blackout_seconds": 60}))["id"]
        assert meet(faults).id == faults.blackout().id == blackout
        clock.now += 60
        assert faults.blackout() is None
        assert meet(faults).error == "SlowDown"

    def test_removed_faults_meet_nothing(self):
        faults = Faults()
        first = faults.add(parse({"error": "SlowDown"}))["id"]
        faults.add(parse({"error": "InternalError"}))
        assert faults.remove(first)
        assert not faults.remove(first)
        assert meet(faults).error == "InternalError"
        faults.clear()
        assert meet(faults) is None
        assert faults.list() == []


class TestParsing:
    def test_all_members(self):
        document = {
            "service": "monitoring",
            "operation": "PutMetricData",
            "resource": "*",
            "error": "Throttling",
            "status": 503,
            "message": "Rate exceeded",
            "latency_seconds": 0.5,
            "count": 1,
            "probability": 0.5,
        }
        fault = parse(document)
        assert fault == Fault(**document, id=fault.id)
        assert parse({"drop": "after"}).drop is Drop.AFTER

    @pytest.mark.parametrize(
        ("code", "status"),
        [("ThrottlingException", 400), ("SlowDown", 503), ("InternalFailure", 500), ("ExpiredToken", 400)],
    )
    def test_a_code_has_the_status_it_has_on_aws(self, code, status):
        assert parse({"error": code}).http_status == status

    @pytest.mark.parametrize(
        ("document", "said"),
        [
            ([], "JSON object"),
            ({}, "the fault has no effect"),
            ({"service": "s3"}, "the fault has no effect"),
            ({"error": "SlowDown", "eror": 1}, "eror: not known"),
            ({"error": "Slow Down"}, "error: must be"),
            ({"error": ""}, "error: must be"),
            ({"error": "SlowDown", "id": "mine"}, "id: not known"),
            ({"error": "SlowDown", "count": 0}, "count: must be"),
            ({"error": "SlowDown", "count": True}, "count: must be"),
            ({"error": "SlowDown", "count": 1.5}, "count: must be"),
            ({"error": "SlowDown", "probability": 0}, "probability: must be"),
            ({"error": "SlowDown", "probability": 1.1}, "probability: must be"),
            ({"error": "SlowDown", "status": 200}, "status: must be"),
            ({"drop": "before", "status": 500}, "status: needs an error"),
            ({"drop": "during"}, "drop: must be one of before, after"),
            ({"drop": ["after"]}, "drop: must be one of before, after"),
            ({"drop": "after", "error": "SlowDown"}, "drop: there is either"),
            ({"latency_seconds": -1}, "latency_seconds: must be"),
            ({"latency_seconds": float("inf")}, "latency_seconds: must be"),
            ({"blackout_seconds": 0}, "blackout_seconds: must be"),
            ({"blackout_seconds": 1, "service": "s3"}, "blackout_seconds: a blackout is of everything"),
            ({"error": "SlowDown", "operation": "PutObject"}, "operation: needs the service"),
            ({"error": "SlowDown", "service": "sagemakr"}, "service: sagemakr is not"),
            ({"error": "SlowDown", "service": "s3", "operation": "CreateTrainingJob"}, "s3 has no operation"),
        ],
    )
    def test_what_could_not_be_meant_is_refused_and_named(self, document, said):
        with pytest.raises(InvalidFault, match=said):
            parse(document)
