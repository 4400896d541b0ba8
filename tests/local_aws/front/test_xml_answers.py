"""Keys, tags and reasons that XML cannot contain: every answer can be read, and encoded keys are complete."""

import json
import urllib.request
from xml.etree import ElementTree

import pytest
from botocore.exceptions import ClientError

from local_aws.front.xml_answers import readable
from tests.local_aws.server import REGION
from tests.local_aws.signing import signed

pytestmark = pytest.mark.local_aws
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html#object-key-xml-related-constraints
KEYS = [
    "plain",
    "a\x01b",
    "\x0bc",
    "n\x00ul",
    "line\nfeed",
    "cr\r",
    "\ufffe",
    "😀",
    "a&<>\"'",
    "%41+ b/c",
    "delete\x7f",
]


def parsed(body):
    return ElementTree.fromstring(body)  # noqa: S314 - of the local AWS


@pytest.fixture(scope="module")
def bucket(local_aws):
    s3 = local_aws.client("s3")
    s3.create_bucket(Bucket="keys", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="keys", VersioningConfiguration={"Status": "Enabled"})
    for key in KEYS:
        s3.put_object(Bucket="keys", Key=key, Body=key.encode())
    return s3


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2", "list_object_versions"])
def test_every_key_is_listed_as_it_is(bucket, operation):
    pages = bucket.get_paginator(operation).paginate(Bucket="keys", PaginationConfig={"PageSize": 3})
    listed = [entry["Key"] for page in pages for entry in page.get("Versions", page.get("Contents", []))]
    assert sorted(listed) == sorted(KEYS)


def test_prefixes_and_markers_of_versions_are_encoded_too(bucket):
    found = bucket.list_object_versions(Bucket="keys", Prefix="a\x01", Delimiter="\x01b")
    assert (found["Prefix"], found["EncodingType"]) == ("a\x01", "url")
    assert [entry["Key"] for entry in found["Versions"]] == ["a\x01b"]
    grouped = bucket.list_object_versions(Bucket="keys", Delimiter="\x01")
    assert [entry["Prefix"] for entry in grouped["CommonPrefixes"]] == ["a\x01"]


@pytest.mark.parametrize("query", ["versions", "list-type=2", "", "versions&prefix=%01"])
def test_who_does_not_ask_for_encoded_keys_can_read_the_others(local_aws, bucket, query):
    url = f"{local_aws.endpoint_url}/keys?{query}"
    with urllib.request.urlopen(urllib.request.Request(url, headers=signed("GET", url, "s3"))) as answer:  # noqa: S310
        body = answer.read()
        assert answer.headers["Content-Length"] == str(len(body))
    listed = [element.text for element in parsed(body).iter() if element.tag.endswith("}Key")]
    if "prefix" not in query:
        assert {"plain", "a\ufffdb", "cr\r", "line\nfeed", "😀", "a&<>\"'"} <= set(listed)


def test_an_object_of_such_a_key_is_read_tagged_and_deleted(bucket):
    bucket.put_object(
        Bucket="keys", Key="x\x02", Body=b"<a>\x01\r</a>", ContentType="application/xml", Tagging="a=%01b"
    )
    assert bucket.get_object(Bucket="keys", Key="x\x02")["Body"].read() == b"<a>\x01\r</a>"
    assert bucket.get_object_tagging(Bucket="keys", Key="x\x02")["TagSet"] == [{"Key": "a", "Value": "\ufffdb"}]
    with pytest.raises(ClientError) as missing:
        bucket.get_object(Bucket="keys", Key="none\x03")
    assert missing.value.response["Error"]["Code"] == "NoSuchKey"
    bucket.delete_object(Bucket="keys", Key="x\x02")
    assert "x\x02" not in [entry["Key"] for entry in bucket.list_objects_v2(Bucket="keys").get("Contents", [])]


def test_a_stacks_events_can_be_read_whatever_its_parameters(local_aws):
    cloudformation = local_aws.client("cloudformation")
    name = {"ModelPackageGroupName": {"Ref": "Name"}}
    template = {
        "Description": "d\x01",
        "Parameters": {"Name": {"Type": "String"}},
        "Resources": {"Group": {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": name}},
    }
    cloudformation.create_stack(
        StackName="unreadable",
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": "Name", "ParameterValue": "bad\x01\x0bname"}],
    )
    stack = local_aws.stack("unreadable")
    assert (stack["StackStatus"], stack["Description"]) == ("ROLLBACK_COMPLETE", "d\ufffd")
    events = cloudformation.describe_stack_events(StackName="unreadable")["StackEvents"]
    assert [event for event in events if "bad\ufffd\ufffdname" in event.get("ResourceStatusReason", "")]


def test_other_services_answers_can_be_read(local_aws):
    sns = local_aws.client("sns")
    topic = sns.create_topic(Name="unreadable", Attributes={"DisplayName": "x\x01"})["TopicArn"]
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["DisplayName"] == "x\ufffd"


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (b"<a>\x00\x1f\t\n</a>", "\ufffd\ufffd\t\n"),
        (b"<a>&#1;&#x1F;&#13;&#xD;&#65;&#031;</a>", "\ufffd\ufffd\r\rA\ufffd"),
        (b"<a>\xed\xa0\x80\xef\xbf\xbe</a>", "\ufffd\ufffd"),
        ("<a>ü😀\x7f\r</a>".encode(), "ü😀\x7f\r"),
    ],
)
def test_what_xml_cannot_carry_is_written_out_and_nothing_else(body, read):
    assert parsed(readable(body)).text == read
