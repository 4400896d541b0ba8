"""A model file is one strict description; each mistake is told with file, field, expectation and fix."""

import math

import pytest

from slipway import names
from slipway.errors import ModelFileError
from slipway.model.approval_rules import ONLY_STAGE, ApprovalStage, Rules
from slipway.model.config import ModelConfig
from slipway.model.fields import RESERVED_TAG_PREFIXES
from slipway.model.files import load_model
from tests.unit.request_samples import AWS, IRIS, ROOT, changed, iris, write_model


def test_the_shipped_file_is_the_labs_pipeline():
    model = load_model(IRIS)
    assert model.prefix == "iris-model"
    assert model.source.bucket == "mlops-{region}-{account}"
    assert model.source.key == "training_jobs/iris-model/trainingjob.zip"
    assert model.approval.approvers == ["alice", "carol"]
    assert model.approval.subject == "Shall this model be put into production?"
    assert model.approval.timeout_days == 7
    assert [gate.metric for gate in model.gates] == ["validation:merror"]
    # Production has alarms from the start, and they tell somebody.
    assert model.alarms and model.approval.topic


def test_what_the_shipped_file_has_in_comments_is_valid(tmp_path):
    lines = IRIS.read_text().splitlines()
    sections = ("golden", "deployment", "scaling_schedule")
    at = [next(i for i, line in enumerate(lines) if line == f"# {name}:") for name in sections]
    for index in at:
        while index < len(lines) and lines[index].startswith("# "):
            lines[index] = lines[index].removeprefix("# ")
            index += 1
    model = load_model(write_model(tmp_path, "\n".join(lines)))
    assert model.golden and model.deployment and len(model.scaling_schedule) == 2


def test_every_placeholder_is_resolved():
    text = load_model(IRIS).resolved(AWS).model_dump_json()
    assert "{region}" not in text
    assert "{account}" not in text
    assert "mlops-us-west-2-123456789012" in text


def test_what_follows_from_the_prefix_may_be_left_out(tmp_path):
    content = iris() | {"prefix": "wine-model"}
    del content["source"], content["timeouts"], content["policy"]["endpoint"]["endpoint_prefix"]
    model = load_model(write_model(tmp_path, content))
    assert model.source.key == "training_jobs/wine-model/trainingjob.zip"
    assert model.source.bucket == "mlops-{region}-{account}"
    assert model.policy.endpoint.endpoint_prefix == "wine-model"
    roles = model.resolved(AWS).roles.model_dump()
    assert roles == {
        "training": "arn:aws:iam::123456789012:role/slipway-training-wine-model",
        "endpoint": "arn:aws:iam::123456789012:role/slipway-endpoint-wine-model",
        "cloudformation": "arn:aws:iam::123456789012:role/slipway-cloudformation",
    }


def test_it_survives_its_own_dump():
    model = load_model(IRIS)
    assert ModelConfig.model_validate(model.model_dump(mode="json")) == model


BAD_FIELDS = {
    "no mapping": ("", "just text", "(the whole document)", "an object of names and values"),
    "unknown": ("colour", "red", "colour", "one of the fields prefix"),
    "misspelt": ("approval.timeout_dayz", 7, "approval.timeout_dayz", "did you mean timeout_days?"),
    "missing": ("policy", ..., "policy", "add the field policy"),
    "missing inside": ("policy.training.max_runtime_seconds", ..., "policy.training.max_runtime_seconds", "a value"),
    "long prefix": ("prefix", "x" * 27, "prefix", "at most 26 characters"),
    "odd prefix": ("prefix", "iris_model", "prefix", "text of the form"),
    "number as prefix": ("prefix", 7, "prefix", "put the value in quotes"),
    "taken prefix": ("prefix", "intake", "(the whole document)", "a prefix other than"),
    "long endpoint prefix": ("policy.endpoint.endpoint_prefix", "x" * 52, "policy.endpoint.endpoint_prefix", "51"),
    "number as version": (
        "policy.images",
        [{"algorithm": "xgboost", "version": 1.7}],
        "policy.images[0].version",
        "put the value in quotes",
    ),
    "image without version": ("policy.image", {"algorithm": "xgboost"}, "policy.image.version", "a value"),
    "no image": ("policy.images", [], "(the whole document)", "at least one image in policy.images"),
    "two images": ("image", {"tag": "1", "digest": f"sha256:{'0' * 64}"}, "image", "either tag or digest"),
    "new images unused": ("image", {"tag": "1", "release_new": True}, "image", "release_new without tag and digest"),
    "no digest": ("image", {"digest": "sha256:0"}, "image.digest", "sha256:"),
    "a repository's URI": (
        "image",
        {"repository": "1.dkr.ecr.x.amazonaws.com/A"},
        "image.repository",
        "text of the form",
    ),
    "long source": ("source.key", "\u00e9" * 513, "source.key", "at most 1024 bytes"),
    "long key of rows": ("test.data", "s3://mlops/" + "\u00e9" * 513, "test.data", "at most 1024 bytes"),
    "whole bucket": ("policy.s3_prefixes", ["s3://mlops/"], "policy.s3_prefixes[0]", "an S3 URI with a key"),
    "no role": ("roles", {"training": "slipway-training"}, "roles.training", "a role's ARN"),
    "a folder of Slipway's": ("prefix", "releases", "(the whole document)", "a prefix other than"),
    "unknown placeholder": ("source.bucket", "mlops-{regoin}", "source.bucket", "replace {regoin}"),
    "text for a number": ("test.max_rows", "200", "test.max_rows", "a whole number, found the text '200'"),
    "accuracy in percent": ("test.accuracy_minimum", 93, "test.accuracy_minimum", "a number of at most 1"),
    "gate without bound": ("gates", [{"metric": "validation:merror"}], "gates[0]", "minimum, maximum or both"),
    "gate upside down": ("gates", [{"metric": "m", "minimum": 2, "maximum": 1}], "gates[0]", "not above the maximum"),
    "no approver": ("approval.approvers", [], "approval", "either approvers or stages"),
    "quorum of nobody": ("approval.quorum", 3, "approval", "a quorum of as many approvers as are named, or fewer"),
    "stages and approvers": ("approval.stages", [{"name": "a", "approvers": ["a"]}], "approval", "either approvers or"),
    "a name that no record can hold": ("approval.approvers", ["o'brien"], "approval.approvers[0]", "ASCII letters"),
    "no topic": ("approval.topic", "slipway-releases", "approval.topic", "the ARN of a standard SNS topic"),
    "a look-alike": ("approval.approvers", ["\u0430lice"], "approval.approvers[0]", "ASCII letters, digits"),
    "approver in capitals": ("approval.approvers", ["alice", "Alice"], "approval.approvers", "alice and Alice may be"),
    "approver's address": ("approval.approvers", ["alice@corp", "alice"], "approval.approvers", "alice@corp and alice"),
    "approver with a digit": ("approval.approvers", ["alice", "a1ice"], "approval.approvers", "alice and a1ice may be"),
    "approver twice": ("approval.approvers", ["alice", "alice"], "approval.approvers", "remove the second alice"),
    "forged tag": ("policy.tags", ["slipway:digest"], "policy.tags[0]", "a tag key outside"),
    "no such instance": ("policy.instance_types", ["m4.xlarge"], "policy.instance_types[0]", "text of the form"),
    "gate at no number": ("gates", [{"metric": "m", "minimum": math.nan}], "gates[0].minimum", "a finite number"),
    "load without end": (
        "stress",
        {"rate_rps": math.inf, "duration_seconds": 5},
        "stress.rate_rps",
        "a finite number, found the number inf",
    ),
    "poll in no time": ("timeouts.poll_seconds", 0, "timeouts.poll_seconds", "a number of at least 0.5"),
}


@pytest.mark.parametrize("case", BAD_FIELDS)
def test_a_mistake_is_told_with_file_field_expectation_and_fix(case, tmp_path):
    path, value, field, advice = BAD_FIELDS[case]
    content = changed(iris(), path, value) if path else value
    with pytest.raises(ModelFileError) as error:
        load_model(write_model(tmp_path, content))
    assert error.value.resource == "a-model.yaml"
    assert f"field {field}: expected" in error.value.why
    assert advice in error.value.why
    assert "docs/model-file.md" in error.value.fix


def test_the_limits_of_prefixes_follow_from_the_names():
    assert names.PREFIX_MAX_CHARS == 26
    assert names.ENDPOINT_PREFIX_MAX_CHARS == 51
    assert "slipway:" in RESERVED_TAG_PREFIXES


def test_the_documented_smallest_file_is_enough(tmp_path):
    page = (ROOT / "docs" / "how-to" / "write-a-model-file.md").read_text()
    smallest = page.split("```yaml\n")[1].split("```")[0]
    assert load_model(write_model(tmp_path, smallest)).prefix == "wine-model"


STAGES = [
    {"name": "science", "approvers": ["alice", "carol"], "quorum": 2},
    {"name": "operations", "approvers": ["olaf"]},
]


def staged(**more) -> dict:
    content = iris()
    content["approval"] |= {"stages": STAGES, "allow_uploader": False, **more}
    del content["approval"]["approvers"]
    return content


def test_the_rules_of_an_approval_with_stages(tmp_path):
    rules = load_model(write_model(tmp_path, staged())).resolved(AWS).approval.rules()
    assert rules == Rules(
        (ApprovalStage("science", ("alice", "carol"), 2), ApprovalStage("operations", ("olaf",))), False
    )
    assert load_model(IRIS).approval.rules() == Rules((ApprovalStage(ONLY_STAGE, ("alice", "carol")),))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"quorum": 2}, "a quorum in each stage"),
        ({"stages": [*STAGES, STAGES[1]]}, "every entry once"),
        ({"stages": [*STAGES, {"name": "c", "approvers": ["Alice"]}]}, "alice and Alice may be one person"),
        ({"stages": [{"name": "a b", "approvers": ["alice"]}]}, "text of the form"),
        ({"stages": [{"name": "a", "approvers": ["alice"], "quorum": 2}]}, "as many approvers as are named"),
        ({"stages": [{"name": f"s{n}", "approvers": ["alice"]} for n in range(11)]}, "at most 10 approvals"),
    ],
)
def test_stages_that_could_not_be_kept_are_refused(tmp_path, more, expected):
    with pytest.raises(ModelFileError, match=expected):
        load_model(write_model(tmp_path, staged(**more)))


def test_topic_and_notifiers_are_read(tmp_path):
    notifier = {"notifier": "airflow.providers.smtp.notifications.smtp.SmtpNotifier", "arguments": {"to": "a@b.c"}}
    content = iris()
    content["approval"] |= {"topic": "arn:aws:sns:{region}:{account}:slipway-releases", "notifiers": [notifier]}
    approval = load_model(write_model(tmp_path, content)).resolved(AWS).approval
    assert approval.topic == "arn:aws:sns:us-west-2:123456789012:slipway-releases"
    assert approval.notifiers[0].arguments == {"to": "a@b.c"}


def test_every_field_is_documented():
    page = (ROOT / "docs" / "model-file.md").read_text()

    def names_in(schema):
        for name, definition in schema.get("properties", {}).items():
            yield name
            yield from names_in(definition)
        for definition in schema.get("$defs", {}).values():
            yield from names_in(definition)

    # The two parts of an image reference are shown as they are written.
    missing = {name for name in names_in(ModelConfig.model_json_schema()) if f"{name}`" not in page}
    assert missing <= {"algorithm", "version"}


@pytest.mark.parametrize("metrics", [{"two\nlines": "x=(.)"}, {"m": "x=(.)\n"}, {"m": "x=(.)\u2028"}])
def test_a_metric_is_one_line_as_aws_wants_it(tmp_path, metrics):
    with pytest.raises(ModelFileError, match="text of one line"):
        load_model(write_model(tmp_path, iris() | {"metrics": metrics}))
