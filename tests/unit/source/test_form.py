"""What the form of a release DAG may say."""

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from slipway.model.files import load_models
from slipway.paths import models_folder
from slipway.release_dag import build_release_dag
from slipway.source.form import form_problem, two_orders

FIELDS = ("bucket", "key", "version_id", "new_attempt", "roll_back_to")
ARN = "arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-iris-model/12"
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html shows such ids.
S3_ID = "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRcxf3vjVBH40Nr8X8gdRQBpUMLUo"
GOOD = [
    {},
    {"bucket": "mlops-{region}-{account}", "key": "training_jobs/iris-model/trainingjob.zip"},
    {"version_id": None, "new_attempt": False, "roll_back_to": None},
    {"version_id": "", "roll_back_to": ""},
    {"version_id": S3_ID, "new_attempt": True},
    {"version_id": ".FLQEZscLIcfxSq.jsFJ.szUkmng2Yw6"},
    {"roll_back_to": "previous", "version_id": None, "new_attempt": False},
    {"roll_back_to": ARN},
    {"roll_back_to": ARN.replace("arn:aws:", "arn:aws-us-gov:")},
    {"roll_back_to": "0123456789abcdef" * 2},
]
BAD = [
    ({"version_id": "the newest"}, "version_id: the newest is refused. Write one that `aws s3api"),
    ({"version_id": f"{S3_ID}\n"}, "version_id: '"),
    ({"version_id": "s3://bucket/key"}, "version_id: s3://bucket/key is refused. Write one"),
    ({"version_id": ARN}, "version_id: arn:"),
    ({"version_id": 12}, "version_id: 12 is refused."),
    ({"bucket": "s3://models"}, "bucket: s3://models is refused. Write the name of an S3 bucket"),
    ({"key": "s3://models/a.zip"}, "key: s3://models/a.zip is refused. Write the key alone"),
    ({"roll_back_to": "v12"}, "roll_back_to: v12 is refused. Write previous, the ARN"),
    ({"roll_back_to": "Previous"}, "roll_back_to: Previous is refused."),
    ({"roll_back_to": "arn:aws:s3:::models"}, "roll_back_to: arn:aws:s3:::models is refused."),
    ({"new_attempt": "yes"}, "new_attempt: yes is neither true nor false."),
    ({"versoin_id": "a"}, "versoin_id: the form has no such field. Did you mean version_id? Its fields are bucket,"),
    ({"x": 1}, "x: the form has no such field. Its fields are bucket, key, new_attempt, roll_back_to, version_id."),
    ({"roll_back_to": "previous", "version_id": "a"}, "Remove version_id to roll back, or remove roll_back_to"),
    ({"roll_back_to": "previous", "new_attempt": True}, "Remove new_attempt to roll back, or remove roll_back_to"),
]


@pytest.mark.parametrize("conf", GOOD)
def test_a_form_that_makes_sense_may_be_sent(conf):
    assert form_problem(conf, FIELDS) is None


@pytest.mark.parametrize(("conf", "said"), BAD)
def test_nonsense_is_refused_with_the_field_and_the_fix(conf, said):
    problem = form_problem(conf, FIELDS)
    assert problem is not None
    assert said in problem
    assert problem.startswith(("roll_back_to:", *(f"{field}:" for field in conf)))


@pytest.mark.parametrize("conf", [None, {}, {"version_id": "a", "new_attempt": True}, {"roll_back_to": "previous"}])
def test_a_release_and_a_roll_back_are_one_order_each(conf):
    assert two_orders(conf) is None


@pytest.fixture(scope="module")
def form():
    """The form as the API server and the command line have it."""
    models, _ = load_models(models_folder())
    return DagSerialization.from_dict(DagSerialization.to_dict(build_release_dag(models[0]))).params


@pytest.mark.parametrize("conf", GOOD)
def test_airflows_own_form_takes_what_makes_sense(form, conf):
    form.deep_merge(conf).validate()


@pytest.mark.parametrize("conf", [conf for conf, _ in BAD[:-4] if conf != {"version_id": f"{S3_ID}\n"}])
def test_airflows_own_form_refuses_by_patterns(form, conf):
    """Also from a command line, which no guard sees; the task ``source`` refuses two orders there."""
    with pytest.raises(Exception, match="Invalid input for param"):
        form.deep_merge(conf).validate()


def test_the_form_has_a_section_for_each_kind_of_run(form):
    sections = {name: form.get_param(name).schema["section"] for name in FIELDS}
    assert sections.pop("roll_back_to") == "Roll production back"
    assert set(sections.values()) == {"Release a version"}
