"""A state folder of an earlier version is taken over, and then kept in the new form."""

import json

import pytest

from tests.local_aws.gateway_script import run_with_gateway

ACCOUNT, REGION, TOPIC = "123456789012", "us-west-2", "arn:aws:sns:us-west-2:123456789012:kept"
VERSIONS = ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"]

# Runs where ministack is installed; prints what a start finds.
_START = """
from ministack.services import s3, sns, sqs

app._load_persisted_state()

def get(key, **query):
    return s3._dispatch("GET", "kept", key, {}, b"", {name: [text] for name, text in query.items()})

old, new = (get("a/b.txt", versionId=version)[2].decode() for version in sys.argv[2:4])
print(json.dumps({
    "topics": list(sns._topics),
    "messages": [m["body"] for queue in sqs._queues.values() for m in queue["messages"]],
    "objects": [old, new, get("a/b.txt")[2].decode(), get("gone")[0]],
    "versions": [get("", versions="")[2].decode().count(f"<{name}>") for name in ("Version", "DeleteMarker")],
    "tags": get("a/b.txt", tagging="")[2].decode().count("<Key>team</Key>"),
    "files": sorted(file.name for file in (folder / "ministack").glob("*.json")),
}))
"""


def scoped(kind, **entries):
    """A store as ministack writes it."""
    where = f"{ACCOUNT}\0{REGION}\0" if kind == "__account_region_scoped__" else f"{ACCOUNT}\0"
    return {kind: True, "data": {f"{where}{name!r}": entry for name, entry in entries.items()}}


@pytest.fixture
def folder(tmp_path):
    """A state folder as an earlier version left it when it was killed."""
    state, objects = tmp_path / "ministack", tmp_path / "s3" / ACCOUNT / "kept"
    topic = {"arn": TOPIC, "name": "kept", "attributes": {}, "subscriptions": [], "tags": {}}
    url = f"http://localhost:1/{ACCOUNT}/kept"
    message = {"id": "1", "body": "waits", "receipt_handle": None, "sent_at": 4e9, "visible_at": 0, "receive_count": 0}
    queue = {"name": "kept", "url": url, "is_fifo": False, "tags": {}, "dedup_cache": {}, "fifo_seq": 0}
    queue |= {"attributes": {"QueueArn": TOPIC.replace("sns", "sqs")}, "messages": [message]}
    regional = "__account_region_scoped__"
    payloads = {
        "sns": (3, {"topics": scoped(regional, **{TOPIC: topic})}),
        "sqs": (2, {"queues": scoped(regional, **{url: queue})}),
        "s3": (
            2,
            {
                "buckets_meta": scoped("__scoped__", kept={"created": "2026-01-01", "region": REGION}),
                "bucket_versioning": scoped("__scoped__", kept="Enabled"),
            },
        ),
    }
    state.mkdir(parents=True)
    for name, (number, payload) in payloads.items():
        (state / f"{name}.json").write_text(json.dumps({"__ministack_format__": number, "payload": payload}))
    described = [
        {"version_id": version, "last_modified": "2026-01-01T00:00:00.000Z", "etag": '"e"', "size": 3}
        for version in VERSIONS
    ]
    former = tmp_path / "s3/.versions" / ACCOUNT / "kept" / VERSIONS[0] / "a/b.txt"
    for path, text in ((former, "old"), (objects / "a/b.txt", "new")):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    beside = {**described[1], "key": "a/b.txt", "versions": described, "tags": {VERSIONS[1]: {"team": "a"}}}
    # It was killed between the content's name and the description's.
    (objects / "a/b.txt.meta.json.tmp").write_text(json.dumps(beside))
    marker = {"is_delete_marker": True, "version_id": "3", "last_modified": "2026-01-01T00:00:00.000Z", "key": "gone"}
    (objects / "gone.meta.json").write_text(json.dumps(marker))
    return tmp_path


def test_a_folder_of_an_earlier_version_is_taken_over_once(folder):
    def start():
        return json.loads(run_with_gateway(_START, folder, *VERSIONS))

    found = {
        "topics": [TOPIC],
        "messages": ["waits"],
        "objects": ["old", "new", "new", 404],
        "versions": [2, 1],
        "tags": 1,
        "files": [],
    }
    assert start() == found
    # The files beside the objects are no longer read.
    (folder / "s3" / ACCOUNT / "kept/gone.meta.json").unlink()
    assert start() == found
