"""What is behind an endpoint, and what its variants answer."""

import pytest

from slipway.errors import AwsError, AwsRefused
from slipway.load.answers import Answers
from slipway.quality.served import answers_of, containers, data_urls
from tests.unit.request_samples import BUCKET, DictStore, changed, request_zip, training_job

IMAGE = "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1"
FOLDER = "releases/iris-model/r1"
URL = f"s3://{BUCKET}/{FOLDER}/model.tar.gz"


class SageMaker:
    def __init__(self, **models):
        self.models = models

    def describe_endpoint_config(self, name):
        assert name == "config"
        return {"ProductionVariants": [{"VariantName": name, "ModelName": name} for name in self.models]}

    def describe_model(self, name):
        return self.models[name]


def served(**models):
    return containers(SageMaker(**models), {"EndpointConfigName": "config"})


def store(objective: str) -> DictStore:
    data = request_zip(changed(training_job(), "HyperParameters.objective", objective))
    return DictStore({(BUCKET, f"{FOLDER}/trainingjob.zip", None): data})


def test_each_variant_answers_what_its_own_release_was_trained_for():
    found = served(
        a={"PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": URL}},
        b={"Containers": [{"Image": "other"}, {"Image": IMAGE, "ModelDataUrl": URL}]},
        c={"Containers": [{"Image": IMAGE, "ModelDataUrl": URL}, {"Image": "other"}]},
        d={},
    )
    assert answers_of(found, store("binary:logitraw")) == {
        "a": Answers.MARGIN,
        "b": Answers.MARGIN,
        "c": Answers.UNKNOWN,
        "d": Answers.UNKNOWN,
    }
    assert data_urls(found) == {"a": [URL], "b": [URL], "c": [URL], "d": []}


def test_where_the_request_is_gone_answers_are_read_by_their_form():
    found = served(a={"PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": URL}})
    assert answers_of(found, DictStore()) == {"a": Answers.UNKNOWN}


@pytest.mark.parametrize("error", [AwsError, AwsRefused])
def test_what_cannot_be_read_is_not_guessed(error):
    class Away(DictStore):
        def read_version(self, *_, **__):
            raise error("Cannot read the object")

    with pytest.raises(AwsError, match="Cannot read the object"):
        answers_of(served(a={"PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": URL}}), Away())
