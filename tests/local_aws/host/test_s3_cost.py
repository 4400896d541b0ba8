"""What a call to S3 costs does not follow the history of the key or the bucket."""

import json

import pytest

from tests.local_aws.gateway_script import run_with_gateway

# Runs where ministack is installed; prints by number of versions what each call read and wrote: statements and rows of
# the index, bytes of files, and rows of SQS.
_CALLS = """
from local_aws.host import used_entries
from ministack.services import s3, sqs

index, told = built.objects.index, {}

def call(method, key="", query=(), body=b""):
    status, headers, content = s3._dispatch(method, "kept", key, {}, body, {name: [text] for name, text in query})
    assert status < 300, content
    return headers, content

def costs(*request):
    size = sum(file.stat().st_size for file in folder.glob("s3/**/*") if file.is_file())
    work = index.work
    call(*request)
    return index.work - work, sum(f.stat().st_size for f in folder.glob("s3/**/*") if f.is_file()) - size

call("PUT")
call("PUT", query=[("versioning", "")], body=b"<V><Status>Enabled</Status></V>")
policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}
sqs._act_create_queue({"QueueName": "told", "Attributes": {"Policy": json.dumps(policy)}}, "")
[url] = sqs._queues
first, have = "", 0
for count in map(int, sys.argv[2:]):
    while have < count:
        first = first or call("PUT", "a", body=b"1")[0]["x-amz-version-id"]
        call("PUT", f"b/{have}", body=b"1")
        call("PUT", "a", body=b"1")
        have += 1
    told[count] = {
        "put": costs("PUT", "a", (), b"2"),
        "get": costs("GET", "a", [("versionId", first)]),
        "head": costs("HEAD", "a"),
        "delete": costs("DELETE", "a"),
        "list": costs("GET", "", [("list-type", "2"), ("max-keys", "3")]),
        "list a page": costs("GET", "", [("list-type", "2"), ("max-keys", "2"), ("start-after", "b/1")]),
        "list folders": costs("GET", "", [("list-type", "2"), ("delimiter", "/")]),
        "list versions": costs("GET", "", [("versions", ""), ("max-keys", "3")]),
    }
# A message to a queue where many wait.
arn = sqs._queues[url]["attributes"]["QueueArn"]
event = f"<Id>1</Id><Queue>{arn}</Queue><Event>s3:ObjectCreated:*</Event>"
body = f"<N><QueueConfiguration>{event}</QueueConfiguration></N>".encode()
call("PUT", query=[("notification", "")], body=body)
written = []
write = built.persistence._rows.write

def noted(rows, formats):
    rows = list(rows)
    written.extend(rows)
    write(rows, formats)

built.persistence._rows.write = noted
told["messages"] = []
for _ in range(2):
    for number in range(300):
        used_entries.begin_call()
        written.clear()
        call("PUT", "a", body=b"3")
        built.persistence.save_delivered(("sns", "sqs"))
    told["messages"].append([len(written), sum(len(text or "") for *_, text in written) // 1000])
told["waiting"] = len(sqs._queues[url]["messages"])
loaded = built.persistence._load("sqs")["queues"]._data
told["kept"] = [len(queue["messages"]) for queue in loaded.values()]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What calls cost, by the number of versions and of objects."""
    return json.loads(run_with_gateway(_CALLS, tmp_path_factory.mktemp("s3"), "5", "500"))


def test_a_call_costs_the_same_with_5_and_with_500_versions(told):
    assert told["500"] == told["5"]


def test_a_message_about_an_object_is_one_row_whatever_waits(told):
    first, last = told["messages"]
    assert last == first
    assert first[0] <= 2
    # The event of the notification's own set-up is a message, too.
    assert told["kept"] == [told["waiting"]]
    assert told["waiting"] >= 600
