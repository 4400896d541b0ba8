"""Whatever the bytes of an upload: a refusal that says where and what was expected, or a request within the policy."""

import io
import json
import struct
import tracemalloc
import warnings
import zipfile
from typing import Any

import pytest
from botocore.httpsession import URLLib3Session
from hypothesis import event, given
from hypothesis import strategies as st

from slipway.errors import RequestRefused
from slipway.request.archive import MEMBERS
from slipway.request.fence import fence, parse_zip
from tests.generated import examples, places, values
from tests.unit.request_samples import AWS, deployment, iris_model, request_zip, training_job

PEAK_BYTES = 64 * 1024 * 1024

MODEL = iris_model()
WHOLE = request_zip()
TEXTS = {"trainingjob.json": json.dumps(training_job()), "deployment.json": json.dumps(deployment())}

# Of a local header and of an entry of the directory: where flags, method, CRC and both sizes stand.
# https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
LOCAL, DIRECTORY = (b"PK\x03\x04", 6), (b"PK\x01\x02", 8)
FIELDS = {"flags": (0, "<H"), "method": (2, "<H"), "crc": (8, "<I"), "packed": (12, "<I"), "size": (16, "<I")}
HOSTILE_VALUES = {
    "flags": [0x1, 0x8, 0x40, 0x800, 0xFFFF],
    "method": [0, 1, 8, 9, 12, 14, 93, 99],
    "crc": [0],
    "packed": [0, 1, 2**20, 2**31, 2**32 - 1],
    "size": [0, 1, 2**20 + 1, 2**31, 2**32 - 1],
}

names = st.sampled_from(
    [
        *MEMBERS,
        "../trainingjob.json",
        "/etc/passwd",
        "C:\\trainingjob.json",
        "folder/",
        "folder/deployment.json",
        "TrainingJob.json",
        "trainingjob.json\0.txt",
        "deployment.json ",
        "d\u0435ployment.json",
        "__MACOSX/",
        "__MACOSX/._deployment.json",
        "__MACOSX/../deployment.json",
        ".DS_Store",
    ]
) | st.text(min_size=1, max_size=30)
contents = st.one_of(
    st.sampled_from([text.encode() for text in TEXTS.values()]),
    values.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=200),
    st.integers(1, 200_000).map(lambda depth: b"[" * depth + b"]" * depth),
    st.integers(1, 100_000).map(lambda depth: b'{"a":' * depth + b"1" + b"}" * depth),
    st.integers(2, 60_000).map(lambda count: b'{"a":1' + b',"a":1' * count + b"}"),
    st.integers(1, 500_000).map(lambda count: b"[0" + b",0" * count + b"]"),
    st.integers(1, 2_000_000).map(lambda count: b"1" * count),
    st.integers(1, 16).map(lambda mib: b" " * mib * 2**20),
    st.sampled_from([text.encode(encoding) for text in TEXTS.values() for encoding in ("utf-16", "utf-8-sig")]),
    st.sampled_from([b'{"a": NaN}', b'{"a": 1e999}', b'{"a": "\\ud800"}', b'{"a": "\xff"}', b"\0", b""]),
)


@st.composite
def archives(draw: Any) -> bytes:
    """Zips as a hostile uploader would build them: members, contents and headers of their choice."""
    members = draw(st.lists(st.tuples(names, contents), max_size=5))
    if draw(st.booleans()):
        members = [*((name, text.encode()) for name, text in TEXTS.items()), *members[:1]]
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")
        archive.comment = draw(st.binary(max_size=20))
        for name, content in members:
            info = zipfile.ZipInfo(name)
            methods = [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
            info.compress_type = draw(st.sampled_from(methods))
            info.external_attr = draw(st.sampled_from([0, 0o100644, 0o120777, 0o040755])) << 16
            info.extra = draw(st.sampled_from([b"", struct.pack("<HHQQ", 1, 16, 2**40, 2**40), b"\1\0\xff\xff"]))
            with archive.open(info, "w", force_zip64=draw(st.booleans())) as member:
                member.write(content)
    data = bytearray(buffer.getvalue())
    for _ in range(draw(st.integers(0, 2))):
        lie(data, draw(st.sampled_from(sorted(FIELDS))), draw)
    return bytes(data)


def lie(data: bytearray, field: str, draw: Any) -> None:
    """Set one field of one header to what is not so."""
    signature, start = draw(st.sampled_from([LOCAL, DIRECTORY]))
    header = data.find(signature)
    offset, layout = FIELDS[field]
    if header >= 0 and header + start + offset + struct.calcsize(layout) <= len(data):
        struct.pack_into(layout, data, header + start + offset, draw(st.sampled_from(HOSTILE_VALUES[field])))


@st.composite
def damaged(draw: Any) -> bytes:
    """A good zip cut, spliced and overwritten."""
    data = bytearray(WHOLE)
    for _ in range(draw(st.integers(1, 4))):
        start, length = draw(st.integers(0, len(data))), draw(st.integers(0, 64))
        data[start : start + length] = draw(st.binary(max_size=64) | st.just(WHOLE[-draw(st.integers(1, 200)) :]))
    return bytes(data)


@st.composite
def changed_requests(draw: Any) -> bytes:
    """The lab's request with one or two values replaced, by what another place holds or by anything at all."""
    documents = {"job": training_job(), "deploy": deployment()}
    for _ in range(draw(st.integers(1, 2))):
        which = draw(st.sampled_from(sorted(documents)))
        *parents, last = draw(st.sampled_from(places(documents[which])))
        target = documents[which]
        for key in parents:
            target = target[key]
        hostile = ["arn:aws:iam::999999999999:role/admin", "s3://another/x", 10**6, 0, -1, "ml.p4d.24xlarge", "../", ""]
        target[last] = draw(st.sampled_from(hostile) | values)
    return request_zip(**documents)


def outcome(data: bytes) -> str:
    """Read an upload, with little memory and no AWS, and hold what comes out against the promises."""
    tracemalloc.start()
    try:
        request = parse_zip(data)
        fenced = fence(request, MODEL, AWS)
    except RequestRefused as refusal:
        assert refusal.resource
        assert refusal.fix
        assert "expected" in (refusal.why or "")
        return type(refusal).__name__
    finally:
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak_bytes < PEAK_BYTES
    check_fence(fenced.training_parameters)
    return "a request"


def check_fence(job: dict[str, Any]) -> None:
    """What may be billed and reached stays within the model's policy."""
    policy = MODEL.resolved(AWS).policy
    assert job["RoleArn"] == MODEL.resolved(AWS).roles.training
    assert job["ResourceConfig"]["InstanceType"] in policy.instance_types
    assert 1 <= job["ResourceConfig"]["InstanceCount"] <= policy.training.max_instance_count
    assert 1 <= job["StoppingCondition"]["MaxRuntimeInSeconds"] <= policy.training.max_runtime_seconds
    uris = [channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in job["InputDataConfig"]]
    for uri in (job["OutputDataConfig"]["S3OutputPath"], *uris):
        assert any(uri.rstrip("/").startswith(prefix.rstrip("/")) for prefix in policy.s3_prefixes)


@pytest.fixture(autouse=True)
def no_aws(monkeypatch):
    """Nothing is asked of AWS while an upload is judged."""

    def send(session, request):
        raise AssertionError(f"{request.url} was called")

    monkeypatch.setattr(URLLib3Session, "send", send)


def test_the_labs_own_request_is_one():
    assert outcome(WHOLE) == "a request"


@examples("random bytes")
@given(st.binary(max_size=2000).map(lambda data: b"PK\x05\x06" + data) | st.binary(max_size=2000))
def test_random_bytes(data):
    assert outcome(data) != "a request"


@examples("damaged zips")
@given(damaged())
def test_a_damaged_zip(data):
    event(outcome(data))


@examples("hostile zips")
@given(archives())
def test_a_hostile_zip(data):
    event(outcome(data))


@examples("changed requests")
@given(changed_requests())
def test_a_hostile_request(data):
    event(outcome(data))
