"""The fields of a request against botocore's model of SageMaker: neither narrower nor wider, but for a reason."""

import types
from typing import Annotated, Any, Union, get_args, get_origin

import annotated_types
import pytest
from botocore.session import get_session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Discriminator, TypeAdapter, ValidationError

from local_aws.framework.validation import Validator, _compiled
from slipway.request.schema import EndpointSettings, TrainingJob

MODEL = get_session().get_service_model("sagemaker")
JOB = MODEL.operation_model("CreateTrainingJob").input_shape

# Fences, and what a release cannot do without.
NARROWER = {
    "AlgorithmSpecification.TrainingImage": "braces are placeholders of model files, and images have no spaces",
    "InputDataConfig[].DataSource.S3DataSource.S3DataType": "a manifest names objects that no policy can check",
    "OutputDataConfig.CompressionType": "endpoints load an archive",
    "OutputDataConfig.S3OutputPath": "the artefact's key must be within S3's limit: its own test",
    "ResourceConfig.InstanceCount": "a release trains on an instance",
}
WIDER = {
    "TrainingJobName": "Slipway gives the name",
    "RoleArn": "only a role of the policy is allowed",
    "ResourceConfig.InstanceType": "AWS adds types faster than botocore",
    "AlgorithmSpecification.TrainingImage": "AWS's images may be named by algorithm and version",
}


def leaves(annotation: Any, shape: Any, path: str = "", metadata: tuple = ()):
    """Every field with a value of its own: path, annotation, shape."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        yield from leaves(inner, shape, path, (*more, *metadata))
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            member = shape.members[field.alias or name]
            place = f"{path}.{field.alias or name}".lstrip(".")
            yield from leaves(field.annotation, member, place, tuple(field.metadata))
    elif get_origin(annotation) in (Union, types.UnionType):
        first = next(one for one in get_args(annotation) if one is not type(None))
        # pydantic 2.12.0 leaves it with the field, and it is for a union only.
        yield from leaves(first, shape, path, tuple(one for one in metadata if not isinstance(one, Discriminator)))
    elif get_origin(annotation) is list:
        yield f"{path}, entries", _length(metadata), shape
        yield from leaves(get_args(annotation)[0], shape.member, f"{path}[]")
    elif get_origin(annotation) is dict:
        yield f"{path}, entries", _length(metadata), shape
        for one, part in zip(get_args(annotation), (shape.key, shape.value), strict=True):
            yield from leaves(one, part, f"{path}.{part.name}")
    else:
        yield path, Annotated[(annotation, *metadata)] if metadata else annotation, shape


def _length(metadata: tuple) -> tuple[int, int | None]:
    flat = [part for one in metadata for part in (getattr(one, "metadata", None) or [one])]
    at_least = [one.min_length for one in flat if isinstance(one, annotated_types.MinLen)]
    at_most = [one.max_length for one in flat if isinstance(one, annotated_types.MaxLen)]
    return max(at_least, default=0), min(at_most, default=None)


FIELDS = {path: (annotation, shape) for path, annotation, shape in leaves(TrainingJob, JOB)}
TEXTS = [path for path, (_, shape) in FIELDS.items() if shape.type_name == "string" and not shape.enum]
ENUMS = [path for path, (_, shape) in FIELDS.items() if shape.type_name == "string" and shape.enum]
NUMBERS = [path for path, (_, shape) in FIELDS.items() if shape.type_name in ("integer", "long")]
LISTS = [path for path in FIELDS if path.endswith(", entries")]


def takes(path: str, value: object) -> bool:
    try:
        TypeAdapter(FIELDS[path][0]).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def aws_takes(shape: Any, value: object) -> bool:
    validator = Validator()
    validator.check(shape, value)
    return not validator.failures


def compare(path: str, value: object) -> None:
    ours, theirs = takes(path, value), aws_takes(FIELDS[path][1], value)
    if FIELDS[path][1].name == "S3Uri" and str(value).startswith("https"):
        # The policy allows prefixes of s3:// only.
        assert not ours
        return
    assert ours == theirs or (theirs and path in NARROWER) or (ours and path in WIDER), (path, value, ours, theirs)


# Java's dot matches none of these; Python's, with which the local AWS reads the patterns, matches all but the first.
ONE_LINE = st.characters(exclude_characters="\n\r\u0085\u2028\u2029", exclude_categories=["Cs", "Cn", "Co"])


@pytest.mark.parametrize("path", TEXTS)
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], max_examples=40)
@given(data=st.data())
def test_a_text_is_taken_where_aws_takes_it(path, data):
    shape = FIELDS[path][1]
    pattern = shape.metadata.get("pattern", "[^a]*")
    like_aws = st.from_regex(_compiled(pattern), fullmatch=True, alphabet=ONE_LINE)
    compare(path, data.draw(st.one_of(like_aws, st.text(ONE_LINE, max_size=30))))


@pytest.mark.parametrize("path", TEXTS)
def test_a_text_is_taken_at_the_lengths_that_aws_takes(path):
    most = FIELDS[path][1].metadata.get("max", 100)
    for value in ("", "a", "a b", "ü", "a\nb", "a" * most, "a" * (most + 1)):
        compare(path, value)
    for length in (most, most + 1):
        compare(path, "s3://bucket/" + "a" * (length - len("s3://bucket/")))


@pytest.mark.parametrize("path", ENUMS)
def test_every_value_of_an_enum_is_taken(path):
    for value in (*FIELDS[path][1].enum, "another", "ml.new9.xlarge"):
        compare(path, value)


@pytest.mark.parametrize("path", NUMBERS)
def test_a_number_is_taken_where_aws_takes_it(path):
    for value in (0, 1, 2, 3600):
        compare(path, value)


@pytest.mark.parametrize("path", LISTS)
def test_a_list_has_as_many_entries_as_aws_takes(path):
    ours, shape = FIELDS[path]
    assert ours == (shape.metadata["min"], shape.metadata["max"])


def test_the_walk_finds_the_fields():
    assert len(TEXTS) > 20 and len(ENUMS) > 5 and len(NUMBERS) > 4 and len(LISTS) >= 7
    assert {*NARROWER, *WIDER} <= set(FIELDS)


@pytest.mark.parametrize(
    ("field", "shape"),
    [
        ("inference_monitoring_output_bucket", "DestinationS3Uri"),
        ("inference_monitoring_sampling", "SamplingPercentage"),
        ("instance_type", "ProductionVariantInstanceType"),
    ],
)
def test_a_field_of_deployment_json_is_taken_where_aws_takes_it(field, shape):
    shape = MODEL.shape_for(shape)
    found = EndpointSettings.model_fields[field]
    adapter = TypeAdapter(Annotated[(found.annotation, *found.metadata)] if found.metadata else found.annotation)
    uri = "s3://bucket/new data/"
    values = {
        "string": getattr(shape, "enum", None) or [uri, *(uri.ljust(length, "x") for length in (512, 513))],
        "integer": [-1, 0, 50, 100, 101],
    }[shape.type_name]
    for value in values:
        try:
            adapter.validate_python(value, strict=True)
        except ValidationError:
            assert not aws_takes(shape, value), value
        else:
            assert aws_takes(shape, value), value


def test_an_output_path_leaves_room_for_the_key_of_the_artefact():
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html: 1 024 bytes."""
    room = 1024 - len(f"/{'n' * 63}/output/model.tar.gz")
    path = "OutputDataConfig.S3OutputPath"
    assert takes(path, "s3://b/" + "x" * room) and takes(path, "s3://b/" + "x" * room + "/")
    assert not takes(path, "s3://b/" + "x" * (room + 1))
    assert not takes(path, "s3://b/" + "ü" * (room // 2 + 1))
