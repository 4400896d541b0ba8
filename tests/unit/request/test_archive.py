"""Every invalid zip is refused, with the file, the field and what was expected."""

import json
import logging
import random
import stat
import struct
import tracemalloc
import zipfile

import pytest

from slipway.errors import PermanentError, RequestRefused
from slipway.request.archive import MAX_BYTES, MAX_MEMBERS, MAX_VALUES
from slipway.request.fence import parse_zip
from tests.unit.request_samples import changed, deployment, request_zip, training_job, zip_of

JOB, DEPLOY = "trainingjob.json", "deployment.json"
JOB_TEXT, DEPLOY_TEXT = json.dumps(training_job()), json.dumps(deployment())


def _job(path: str, value: object) -> bytes:
    return request_zip(job=changed(training_job(), path, value))


def _deploy(path: str, value: object) -> bytes:
    return request_zip(deploy=changed(deployment(), path, value))


def _with_text(old: str, new: str) -> bytes:
    assert old in JOB_TEXT
    return request_zip(job=JOB_TEXT.replace(old, new, 1))


def _symlink() -> bytes:
    info = zipfile.ZipInfo(DEPLOY)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zip_of((JOB, JOB_TEXT), (info, "/etc/passwd"))


def _patched(offset: int, value: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    """Write these bytes at an offset of every central directory entry."""
    data = bytearray(zip_of((JOB, JOB_TEXT), (DEPLOY, DEPLOY_TEXT), method=method))
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        data[at + offset : at + offset + len(value)] = value
        at = data.find(b"PK\x01\x02", at + 1)
    return bytes(data)


def _bomb() -> bytes:
    """200 megabytes: packing them takes seconds, and every process of the tests imports this file."""
    return zip_of((JOB, b" " * 200_000_000), (DEPLOY, DEPLOY_TEXT), method=zipfile.ZIP_DEFLATED)


def _lying_bomb() -> bytes:
    """Ten megabytes, declared as one kilobyte."""
    data = bytearray(
        zip_of((JOB, b" " * 10_000_000), (DEPLOY, DEPLOY_TEXT), method=zipfile.ZIP_DEFLATED),
    )
    at = data.find(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, 1024)
    return bytes(data)


def _with(*more: tuple[str | zipfile.ZipInfo, str | bytes]) -> bytes:
    """The two files, and more beside them."""
    return zip_of((JOB, JOB_TEXT), (DEPLOY, DEPLOY_TEXT), *more, method=zipfile.ZIP_DEFLATED)


def _of_kind(name: str, kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (kind | 0o755) << 16
    return info


def _corrupt() -> bytes:
    data = bytearray(request_zip())
    data[data.find(b"AlgorithmSpecification")] ^= 0xFF
    return bytes(data)


BAD_ZIPS = {
    # the zip
    "empty": (b"", "trainingjob.zip", "", "expected a zip archive"),
    "no zip": (b"hello", "trainingjob.zip", "", "expected a zip archive"),
    "cut off": (request_zip()[:-30], "trainingjob.zip", "", "expected a zip archive"),
    "too large": (b"P" * (MAX_BYTES + 1), "trainingjob.zip", "", f"expected at most {MAX_BYTES} bytes"),
    "corrupt": (_corrupt(), JOB, "", "expected an intact file"),
    # its files
    "no member": (zip_of(), JOB, "", "expected this file"),
    "missing job": (zip_of((DEPLOY, DEPLOY_TEXT)), JOB, "", "expected this file"),
    "missing deployment": (zip_of((JOB, JOB_TEXT)), DEPLOY, "", "expected this file"),
    "extra member": (
        zip_of((JOB, JOB_TEXT), (DEPLOY, DEPLOY_TEXT), ("evil.py", "")),
        "evil.py",
        "",
        "expected only",
    ),
    "other case": (
        zip_of(("TrainingJob.json", JOB_TEXT), (DEPLOY, DEPLOY_TEXT)),
        "TrainingJob.json",
        "",
        "expected only",
    ),
    "in a folder": (zip_of(("a/" + JOB, JOB_TEXT), (DEPLOY, DEPLOY_TEXT)), "a/trainingjob.json", "", "expected only"),
    "folder": (zip_of((JOB, JOB_TEXT), (DEPLOY, DEPLOY_TEXT), ("a/", "")), "a/", "", "expected only"),
    "traversal": (zip_of(("../" + JOB, JOB_TEXT), (DEPLOY, DEPLOY_TEXT)), "../trainingjob.json", "", "expected only"),
    "absolute": (zip_of(("/" + JOB, JOB_TEXT), (DEPLOY, DEPLOY_TEXT)), "/trainingjob.json", "", "expected only"),
    "backslash": (zip_of(("..\\" + JOB, JOB_TEXT), (DEPLOY, DEPLOY_TEXT)), "..\\", "", "expected only"),
    "a whole folder": (
        zip_of(("iris/", ""), ("iris/" + JOB, JOB_TEXT), ("iris/" + DEPLOY, DEPLOY_TEXT), ("__MACOSX/iris/._a", "")),
        "iris/",
        "",
        "expected only",
    ),
    "leftover that leads elsewhere": (_with(("__MACOSX/../../evil", "")), "evil", "", "expected only"),
    "leftover with a backslash": (_with(("__MACOSX/..\\evil", "")), "evil", "", "expected only"),
    "leftover elsewhere": (_with(("a/.DS_Store", "")), "a/.DS_Store", "", "expected only"),
    "leftover with a line break": (_with(("._a\nb", "")), "._a", "", "expected only"),
    "hidden file": (_with((".env", "")), ".env", "", "expected only"),
    "leftover that is a link": (
        _with((_of_kind(".DS_Store", stat.S_IFLNK), "/etc/passwd")),
        ".DS_Store",
        "",
        "expected a regular file",
    ),
    "leftover twice": (_with((".DS_Store", ""), (".DS_Store", "")), ".DS_Store", "", "expected this file once"),
    "leftover bomb": (
        _with(("__MACOSX/._a", b" " * 10_000_000)),
        "__MACOSX/._a",
        "",
        f"expected at most {MAX_BYTES} bytes unpacked",
    ),
    "many leftovers": (
        _with(*((f"__MACOSX/._{index}", "") for index in range(MAX_MEMBERS))),
        "trainingjob.zip",
        "",
        f"more than {MAX_MEMBERS}",
    ),
    "duplicate member": (
        zip_of((JOB, JOB_TEXT), (DEPLOY, DEPLOY_TEXT), (JOB, JOB_TEXT)),
        JOB,
        "",
        "expected this file once, found it 2 times",
    ),
    "symlink": (_symlink(), DEPLOY, "", "expected a regular file"),
    "encrypted": (_patched(8, b"\x01\x00"), JOB, "", "expected a file without encryption, found an encrypted one"),
    "other compression": (_patched(10, b"\x0e\x00"), JOB, "", "expected the method stored or deflated"),
    "member too large": (
        zip_of((JOB, b" " * (MAX_BYTES + 1)), (DEPLOY, DEPLOY_TEXT), method=zipfile.ZIP_DEFLATED),
        JOB,
        "",
        f"expected at most {MAX_BYTES} bytes unpacked",
    ),
    "bomb": (
        _bomb,
        JOB,
        "",
        f"expected at most {MAX_BYTES} bytes unpacked",
    ),
    "lying bomb": (_lying_bomb(), JOB, "", "expected an intact file"),
    # their text
    "byte order mark": (request_zip(job=b"\xef\xbb\xbf" + JOB_TEXT.encode()), JOB, "", "found a byte order mark"),
    "not UTF-8": (request_zip(deploy=b'{"EndpointPrefix": "\xe4"}'), DEPLOY, "", "expected UTF-8 text, found the byte"),
    "UTF-16": (request_zip(job=JOB_TEXT.encode("utf-16")), JOB, "", "expected UTF-8 text"),
    "not JSON": (request_zip(job="{'a': 1}"), JOB, "", "expected valid JSON"),
    "empty member": (request_zip(job=b""), JOB, "", "expected valid JSON"),
    "trailing text": (request_zip(job=JOB_TEXT + "{}"), JOB, "", "expected valid JSON"),
    "a list": (request_zip(job="[]"), JOB, "", "expected a JSON object, found list"),
    "null document": (request_zip(deploy="null"), DEPLOY, "", "expected a JSON object, found NoneType"),
    "duplicate key": (request_zip(job=JOB_TEXT[:-1] + ', "RoleArn": "x"}'), JOB, "RoleArn", "expected it once"),
    "nested duplicate key": (
        _with_text('"InstanceCount": 1', '"InstanceCount": 1, "InstanceCount": 2'),
        JOB,
        "InstanceCount",
        "expected it once",
    ),
    "NaN": (_with_text(": 360000", ": NaN"), JOB, "", "finite numbers, found NaN"),
    "infinity": (_with_text(": 360000", ": -Infinity"), JOB, "", "finite numbers, found -Infinity"),
    "overflow": (_with_text(": 360000", ": 1e999"), JOB, "", "finite numbers, found 1e999"),
    "endless integer": (_with_text(": 360000", ": " + "9" * 5000), JOB, "", "expected valid JSON"),
    "deep": (request_zip(job='{"a": ' * 20_000), JOB, "", "levels of nesting"),
    "rather deep": (request_zip(job='{"a": ' * 30 + "1" + "}" * 30), JOB, "", "levels of nesting"),
    "many values": (request_zip(job=json.dumps({"a": [0] * 10_000})), JOB, "", f"expected at most {MAX_VALUES} values"),
    "half a character": (_with_text("multi:softmax", "\\ud800"), JOB, "", "half a character"),
    "NUL": (_with_text("multi:softmax", "a\\u0000b"), JOB, "", "control character"),
    # trainingjob.json
    "unknown field of a label's name": (_job("text", 1), JOB, "text", "expected one of the fields TrainingJobName"),
    "parameter of a label's name": (_job("HyperParameters", {"text": 1}), JOB, "HyperParameters.text", "in quotes"),
    "long parameter": (_job("HyperParameters", {"a": "b" * 2501}), JOB, "HyperParameters.a", "at most 2500 characters"),
    "endless seed": (
        _job("InputDataConfig.0.ShuffleConfig", {"Seed": 2**63}),
        JOB,
        "InputDataConfig[0].ShuffleConfig.Seed",
        "a number below",
    ),
    "unknown field": (_job("Colour", "red"), JOB, "Colour", "expected one of the fields TrainingJobName"),
    "misspelt field": (_job("ResourceConfig.InstanceTyp", "x"), JOB, "ResourceConfig.InstanceTyp", "InstanceType?"),
    "field of Python": (_job("role_arn", "x"), JOB, "role_arn", "expected one of the fields"),
    "missing field": (_job("OutputDataConfig", ...), JOB, "OutputDataConfig", "expected a value, found nothing"),
    "null": (_job("RoleArn", None), JOB, "RoleArn", "expected a value, found null"),
    "text for a number": (
        _job("ResourceConfig.InstanceCount", "1"),
        JOB,
        "ResourceConfig.InstanceCount",
        "expected a whole number, found the text '1'",
    ),
    "fraction": (_job("ResourceConfig.InstanceCount", 1.5), JOB, "ResourceConfig.InstanceCount", "a whole number"),
    "true for a number": (_job("ResourceConfig.InstanceCount", True), JOB, "ResourceConfig.InstanceCount", "a whole"),
    "no instance": (_job("ResourceConfig.InstanceCount", 0), JOB, "ResourceConfig.InstanceCount", "at least 1"),
    "number as hyperparameter": (
        _job("HyperParameters.max_depth", 10),
        JOB,
        "HyperParameters.max_depth",
        "expected text, found a value of type int (put the value in quotes)",
    ),
    "hyperparameters as a list": (_job("HyperParameters", []), JOB, "HyperParameters", "an object of names and values"),
    "channels as an object": (_job("InputDataConfig", {}), JOB, "InputDataConfig", "expected a list"),
    "no channel": (_job("InputDataConfig", []), JOB, "InputDataConfig", "at least 1 entry"),
    "no train channel": (_job("InputDataConfig.0.ChannelName", "x"), JOB, "InputDataConfig", "channel named train"),
    "channel twice": (_job("InputDataConfig.1.ChannelName", "train"), JOB, "InputDataConfig", "channel named train"),
    "manifest": (
        _job("InputDataConfig.0.DataSource.S3DataSource.S3DataType", "ManifestFile"),
        JOB,
        "InputDataConfig[0].DataSource.S3DataSource.S3DataType",
        "expected 'S3Prefix'",
    ),
    "not S3": (_job("OutputDataConfig.S3OutputPath", "https://x/y"), JOB, "OutputDataConfig.S3OutputPath", "s3://"),
    "entry point": (
        _job("AlgorithmSpecification.ContainerEntrypoint", ["sh"]),
        JOB,
        "AlgorithmSpecification.ContainerEntrypoint",
        "expected one of the fields TrainingImage",
    ),
    "half an image": (
        _job("AlgorithmSpecification.TrainingImage", {"algorithm": "xgboost"}),
        JOB,
        "AlgorithmSpecification.TrainingImage.version",
        "expected a value, found nothing",
    ),
    "spot without end": (_job("EnableManagedSpotTraining", True), JOB, "", "MaxWaitTimeInSeconds"),
    # deployment.json
    "no endpoint": (_deploy("ProductionEndpoint", ...), DEPLOY, "ProductionEndpoint", "expected a value"),
    "unknown environment": (_deploy("TestEndpoint", {}), DEPLOY, "TestEndpoint", "expected one of the fields"),
    "bad prefix": (_deploy("EndpointPrefix", "iris_model"), DEPLOY, "EndpointPrefix", "expected text of the form"),
    "long prefix": (_deploy("EndpointPrefix", "x" * 52), DEPLOY, "EndpointPrefix", "at most 51 characters"),
    "no weight on trial": (
        _deploy("ProductionEndpoint.InitialVariantWeight", ...),
        DEPLOY,
        "ProductionEndpoint",
        "expected InitialVariantWeight above 0 and below 1",
    ),
    "whole weight on trial": (
        _deploy("ProductionEndpoint.InitialVariantWeight", 1),
        DEPLOY,
        "ProductionEndpoint",
        "expected InitialVariantWeight above 0 and below 1",
    ),
    "weight out of range": (
        _deploy("ProductionEndpoint.InitialVariantWeight", 1.5),
        DEPLOY,
        "ProductionEndpoint.InitialVariantWeight",
        "at most 1",
    ),
    "sampling out of range": (
        _deploy("DevelopmentEndpoint.InferenceMonitoringSampling", 101),
        DEPLOY,
        "DevelopmentEndpoint.InferenceMonitoringSampling",
        "at most 100",
    ),
    "monitoring to nowhere": (
        _deploy("DevelopmentEndpoint.InferenceMonitoringOutputBucket", ...),
        DEPLOY,
        "DevelopmentEndpoint",
        "expected InferenceMonitoringOutputBucket",
    ),
    "switch as text": (_deploy("DevelopmentEndpoint.ABTests", "false"), DEPLOY, "DevelopmentEndpoint.ABTests", "true"),
    "scaling as text": (
        _deploy("ProductionEndpoint.AutoScaling", "yes"),
        DEPLOY,
        "ProductionEndpoint.AutoScaling",
        "an object of names and values",
    ),
    "scaling upside down": (
        _deploy("ProductionEndpoint.AutoScaling.MinCapacity", 11),
        DEPLOY,
        "ProductionEndpoint.AutoScaling",
        "expected a MinCapacity of at most MaxCapacity",
    ),
    "scaling without target": (
        _deploy("ProductionEndpoint.AutoScaling.TargetValue", ...),
        DEPLOY,
        "ProductionEndpoint.AutoScaling.TargetValue",
        "expected a value",
    ),
    "unknown scaling metric": (
        _deploy("ProductionEndpoint.AutoScaling.PredefinedMetricType", "CPU"),
        DEPLOY,
        "ProductionEndpoint.AutoScaling.PredefinedMetricType",
        "expected 'SageMakerVariantInvocationsPerInstance'",
    ),
}


@pytest.mark.parametrize("case", BAD_ZIPS)
def test_a_bad_zip_is_refused_by_member_field_and_expectation(case):
    data, member, field, expectation = BAD_ZIPS[case]
    with pytest.raises(RequestRefused) as refusal:
        parse_zip(data() if callable(data) else data)
    assert isinstance(refusal.value, PermanentError)
    assert member in f"{refusal.value.resource} {refusal.value.why}"
    assert field in refusal.value.why
    assert expectation in refusal.value.why
    assert refusal.value.fix
    assert len(str(refusal.value)) < 2500


def test_a_name_after_a_nul_byte_is_seen():
    plain = zip_of((JOB, JOB_TEXT), (DEPLOY + "#evil", DEPLOY_TEXT))
    with pytest.raises(RequestRefused, match="evil"):
        parse_zip(plain.replace(b"#evil", b"\0evil"))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_usual_ways_to_zip_are_read(method):
    assert parse_zip(zip_of((DEPLOY, DEPLOY_TEXT), (JOB, JOB_TEXT), method=method)).training_job


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(
            [
                (_of_kind("__MACOSX/", stat.S_IFDIR), ""),
                ("__MACOSX/._trainingjob.json", b"\0\5\x16\7"),
                (".DS_Store", b"\0\0\0\1Bud1"),
                ("__MACOSX/._.DS_Store", b"\0\5\x16\7"),
            ],
            id="Finder",
        ),
        pytest.param([("._trainingjob.json", b"\0\5\x16\7"), (".localized", "")], id="macOS' zip on another disk"),
        pytest.param([("Thumbs.db", b"\xd0\xcf"), ("Desktop.ini", b"[.ShellClassInfo]")], id="Windows"),
        pytest.param([(".directory", b"[Desktop Entry]")], id="KDE"),
    ],
)
def test_what_file_managers_add_is_passed_over_with_a_line_in_the_log(more, caplog):
    caplog.set_level(logging.INFO)
    assert parse_zip(_with(*more)) != parse_zip(_with())
    assert parse_zip(_with(*more)).training_job == parse_zip(_with()).training_job
    for member, _ in more:
        assert getattr(member, "filename", member) in caplog.text
    caplog.clear()
    parse_zip(_with())
    assert not caplog.records


def test_the_refusal_of_a_zipped_folder_says_what_to_zip_instead():
    with pytest.raises(RequestRefused, match="themselves, not the folder"):
        parse_zip(BAD_ZIPS["a whole folder"][0])


def test_many_problems_are_counted_not_listed():
    with pytest.raises(RequestRefused, match="more problems") as refusal:
        parse_zip(request_zip(job={f"field{index}": index for index in range(4000)}))
    assert len(str(refusal.value)) < 16_000


def test_everything_that_is_wrong_with_the_files_is_in_one_refusal():
    job = changed(changed(training_job(), "ResourceConfig.InstanceCount", "1"), "ResourceConfig.instance_type", "x")
    job = changed(changed(job, "AlgorithmSpecification.TrainingInputMode", "Fil"), "RoleArn", None)
    for index in range(4):
        job = changed(job, f"HyperParameters.h{index}", index)
    deploy = changed(deployment(), "ProductionEndpoint.AutoScaling.MinCapacity", 11)
    for field in ("InferenceMonitoringSampling", "InferenceMonitoringOutputBucket"):
        deploy = changed(deploy, f"DevelopmentEndpoint.{field}", ...)
    with pytest.raises(RequestRefused) as refusal:
        parse_zip(zip_of((JOB, json.dumps(job)), (DEPLOY, json.dumps(deploy)), ("notes.txt", "")))
    lines = refusal.value.why.splitlines()
    for expected in [
        "notes.txt: expected only",
        "trainingjob.json: field ResourceConfig.InstanceCount: expected a whole number, found the text '1'",
        "(did you mean InstanceType?)",
        "TrainingInputMode: expected 'File', 'Pipe' or 'FastFile', found the text 'Fil' (did you mean File?)",
        "trainingjob.json: field RoleArn: expected a value, found null",
        *(f"trainingjob.json: field HyperParameters.h{index}: expected text" for index in range(4)),
        "deployment.json: field ProductionEndpoint.AutoScaling: expected a MinCapacity of at most MaxCapacity",
        "InferenceMonitoringSampling, 0 to 100",
        "InferenceMonitoringOutputBucket, an S3 URI",
    ]:
        assert any(expected in line for line in lines), expected
    assert refusal.value.resource == "trainingjob.zip"


def test_a_file_that_is_no_json_does_not_hide_what_is_wrong_with_the_other():
    with pytest.raises(RequestRefused) as refusal:
        parse_zip(request_zip(job="{'a': 1}", deploy=changed(deployment(), "EndpointPrefix", "a_b")))
    assert "trainingjob.json: expected valid JSON" in refusal.value.why
    assert "deployment.json: field EndpointPrefix" in refusal.value.why


def test_no_hyperparameter_is_repeated_in_a_message():
    with pytest.raises(RequestRefused) as refusal:
        parse_zip(_job("HyperParameters.password", ["hunter2"]))
    assert "HyperParameters.password" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_whatever_the_bytes_it_is_a_refusal_or_a_request(method):
    """Bytes are damaged everywhere; no other exception is raised."""
    whole = zip_of((JOB, JOB_TEXT), (DEPLOY, DEPLOY_TEXT), method=method)
    dice = random.Random(20240131)
    refused = 0
    for _ in range(600):
        data = bytearray(whole)
        for _ in range(dice.choice((1, 1, 2, 8))):
            # Mostly in the headers, which are much shorter than the content.
            at = dice.choice((dice.randrange(len(data)), dice.randrange(60), -dice.randrange(1, 200)))
            data[at] = dice.randrange(256)
        try:
            parse_zip(bytes(data))
        except RequestRefused:
            refused += 1
    assert refused


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(_bomb, id="bomb"),
        pytest.param(request_zip(job="[" * 1_000_000), id="brackets"),
        pytest.param(request_zip(job='{"a":[' + "[]," * 300_000 + "[]]}"), id="empty lists"),
        pytest.param(
            request_zip(job=json.dumps({f"f{index}": 0 for index in range(60_000)})),
            id="fields",
        ),
        pytest.param(zip_of(*((str(index), "") for index in range(3_000))), id="members"),
    ],
)
def test_a_refusal_takes_little_memory(data):
    data = data() if callable(data) else data
    tracemalloc.start()
    try:
        with pytest.raises(RequestRefused):
            parse_zip(data)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 128 * 1024 * 1024
