"""What noticing and claiming uploads costs in calls, by the local AWS's ledger, in a young bucket and in an old one."""

import asyncio
import json
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest

from slipway import names
from slipway.aws.documents import S3Documents
from slipway.aws.s3 import S3Hook
from slipway.source.claims import Claim, Claims
from slipway.source.data import release_newest
from slipway.source.intake import WatchedBucket, take_in
from slipway.source.listing import RepeatedListing
from slipway.source.unreleased import WAITING_MAX
from slipway.source.versions import S3Versions
from slipway.source.watcher import UploadWatcherTrigger
from tests.local_aws.hooks import lead_hooks_to
from tests.unit.scripted_aws import MemoryStore

pytestmark = pytest.mark.local_aws

SMALL = {"PageSize": 10}
SIZES = {"young": (2, 1), "old": (25, 12)}


class Watched:
    """A bucket with some models, and some versions of each zip, all of which have their runs."""

    def __init__(self, aws, name: str, models: int, versions: int) -> None:
        self.aws, self.name, self.store, self.runs = aws, name, MemoryStore(), []
        self.s3 = aws.client("s3")
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        self.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        self.keys = [f"training_jobs/model-{number:02}/trainingjob.zip" for number in range(models)]
        for number in range(versions):
            for key in self.keys:
                self.upload(key, b"%d" % number)

    def upload(self, key: str, body: bytes) -> str:
        return self.s3.put_object(Bucket=self.name, Key=key, Body=body)["VersionId"]

    def take_in(self) -> None:
        def start(dag_id, run_id, conf, note):
            self.runs.append(conf["version_id"])
            return True

        source = WatchedBucket(self.name, None, dict.fromkeys(self.keys, "model"))
        take_in(source, self.store, S3Versions(aws_conn_id=None), start)

    def calls(self, since: int = 0) -> list[str]:
        """The listings, by operation and key."""
        lines = self.aws.ledger()[since:]
        return [line["operation"] for line in lines if "List" in line["operation"] and self.name in line["resource"]]

    def watch(self, looks: int) -> list[str]:
        """The listings of the watcher."""
        since, state = len(self.aws.ledger()), _Counting(self.store)
        trigger = UploadWatcherTrigger(bucket=self.name, keys=self.keys, aws_conn_id=None, poll_seconds=0.01)
        trigger.asset_state_store = state

        async def story():
            async def events():
                async for _ in trigger.run():
                    raise AssertionError("nothing was uploaded")

            watching = asyncio.create_task(events())
            while state.reads < looks and not watching.done():
                await asyncio.sleep(0.02)
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

        asyncio.run(story())
        calls = self.calls(since)
        return calls[: looks - 1]


class _Counting:
    def __init__(self, store: MemoryStore) -> None:
        self.store, self.reads = store, 0

    async def aget(self, key, default=None):
        self.reads += 1
        return self.store.get(key, default)


@pytest.fixture(scope="module")
def buckets(local_aws):
    with pytest.MonkeyPatch.context() as patch:
        lead_hooks_to(local_aws.endpoint_url, patch)
        yield {name: Watched(local_aws, f"intake-cost-{name}", *size) for name, size in SIZES.items()}


def test_the_first_intake_costs_two_calls_a_model_whatever_its_history(buckets):
    for name, (models, versions) in SIZES.items():
        bucket = buckets[name]
        since = len(bucket.aws.ledger())
        bucket.take_in()
        assert bucket.calls(since) == ["ListObjectsV2", *["ListObjectVersions"] * models]
        newest = [
            item["VersionId"]
            for item in bucket.s3.list_object_versions(Bucket=bucket.name)["Versions"]
            if item["IsLatest"]
        ]
        assert sorted(bucket.runs) == sorted(newest)
        assert versions == len(bucket.s3.list_object_versions(Bucket=bucket.name, Prefix=bucket.keys[0])["Versions"])


def test_an_upload_costs_two_calls_whatever_the_bucket_holds(buckets):
    for bucket in buckets.values():
        _settle(bucket)
        version = bucket.upload(bucket.keys[1], b"new")
        since = len(bucket.aws.ledger())
        bucket.take_in()
        assert bucket.calls(since) == ["ListObjectsV2", "ListObjectVersions"]
        assert bucket.runs[-1] == version


def test_waiting_costs_one_call_a_look_whatever_the_bucket_holds(buckets):
    for bucket in buckets.values():
        _settle(bucket)
        assert bucket.watch(looks=5) == ["ListObjectsV2"] * 4


def test_a_page_that_shows_what_it_showed_is_not_parsed_again(buckets, monkeypatch):
    bucket, parsed, parsers, make = buckets["old"], [], [], ElementTree.XMLParser
    monkeypatch.setattr(ElementTree, "XMLParser", lambda **given: parsers.append(given) or make(**given))

    async def story():
        async with await S3Hook(aws_conn_id=None).get_async_conn() as client:
            listing = RepeatedListing(client, bucket.name, "training_jobs/")
            client.meta.events.register("after-call.s3", lambda **call: parsed.append("Contents" in call["parsed"]))
            first = await listing.objects()
            assert list(first) == bucket.keys
            # botocore looks for an error in the answer, too.
            assert len(parsers) == 2
            assert await listing.objects() is first
            assert len(parsers) == 2
            bucket.upload(bucket.keys[3], b"changed")
            changed = await listing.objects()
            assert [key for key in bucket.keys if changed[key] != first[key]] == [bucket.keys[3]]
            assert await listing.objects() is changed

    asyncio.run(story())
    assert parsed == [True, False, True, False]


def test_a_listing_of_several_pages_is_read_to_its_end_though_none_is_parsed_again(buckets, monkeypatch):
    bucket = buckets["old"]

    async def story():
        async with await S3Hook(aws_conn_id=None).get_async_conn() as client:
            paginator = client.get_paginator

            def small_pages(operation):
                pages = paginator(operation)
                monkeypatch.setattr(
                    pages, "paginate", lambda **given: type(pages).paginate(pages, **given, PaginationConfig=SMALL)
                )
                return pages

            monkeypatch.setattr(client, "get_paginator", small_pages)
            listing = RepeatedListing(client, bucket.name, "training_jobs/")
            since = len(bucket.aws.ledger())
            first = await listing.objects()
            assert list(first) == bucket.keys
            assert await listing.objects() is first
            assert len(bucket.calls(since)) == 2 * -(-len(bucket.keys) // SMALL["PageSize"])

    asyncio.run(story())


def test_two_listings_of_one_client_do_not_disturb_each_other(buckets):
    bucket = buckets["old"]

    async def story():
        async with await S3Hook(aws_conn_id=None).get_async_conn() as client:
            listings = [RepeatedListing(client, bucket.name, prefix) for prefix in ("training_jobs/", bucket.keys[0])]
            for _ in range(3):
                found = [await listing.objects() for listing in listings]
                assert [list(one) for one in found] == [bucket.keys, bucket.keys[:1]]

    asyncio.run(story())


def test_uploads_of_the_same_content_are_releases_each(buckets):
    bucket, versions = buckets["young"], []
    for _ in range(6):
        versions.append(bucket.upload(bucket.keys[0], b"same"))
        bucket.take_in()
    assert bucket.runs[-6:] == versions


def _settle(bucket: Watched) -> None:
    """Let the intake look until no later upload could look like the newest ones."""
    while not all(state.get("settled") for state in bucket.store.entries.get("intake", {"keys": {}})["keys"].values()):
        bucket.take_in()


@pytest.fixture
def orphan(local_aws, monkeypatch):
    """A bucket that was watched before anybody uploaded to it: of its uploads none is an older one."""
    lead_hooks_to(local_aws.endpoint_url, monkeypatch)
    bucket = Watched(local_aws, "intake-orphan", models=0, versions=0)
    bucket.take_in()
    return bucket


def test_uploads_that_wait_for_a_model_cost_the_same_however_many_there_were(orphan):
    """Before, 50 were 3 listings and 2.4 KB of state, 450 were 6 and 18.4 KB, and all of them started a run."""
    key, sent, spent = "training_jobs/gone/trainingjob.zip", [], {}
    for uploads in (50, 450):
        sent += [orphan.upload(key, b"%d" % number) for number in range(len(sent), uploads)]
        orphan.take_in()
        sent.append(orphan.upload(key, b"one more"))
        since = len(orphan.aws.ledger())
        orphan.take_in()
        spent[uploads] = (orphan.calls(since), len(json.dumps(orphan.store.entries["intake"])))
    assert [calls for calls, _ in spent.values()] == [["ListObjectsV2", "ListObjectVersions"]] * 2
    assert spent[50][1] == spent[450][1] < 2048, spent
    _settle(orphan)
    assert orphan.watch(looks=3) == ["ListObjectsV2"] * 2
    orphan.keys.append(key)
    orphan.take_in()
    assert orphan.runs == sent[-WAITING_MAX:]


def test_a_release_for_new_data_reads_few_of_its_zips_earlier_attempts(buckets):
    """Once in the DAG of new data, and once in the task that claims the next attempt."""
    bucket, spent = buckets["young"], {}
    versions = S3Versions(aws_conn_id=None)
    documents = S3Documents(versions.s3)
    claims = Claims(documents, bucket.name, "model-00", lambda dag_id, run_id: True)
    newest, began = versions.head_version(bucket.name, bucket.keys[0]), datetime.now(UTC)
    for attempts in (10, 365):
        for attempt in range(1, attempts + 1):
            key = names.claim_key("model-00", replace(newest, attempt=attempt).revision_id)
            claim = Claim("model-00", f"run{attempt}", "2026-05-01T12:00:00+00:00", "2026-05-01T12:00:00+00:00", "old")
            # Of the smaller number they are there.
            documents.write(bucket.name, key, claim.to_json(), etag=None)
        places, since = [f"s3://{bucket.name}/{newest.key}"], len(bucket.aws.ledger())
        run_id = release_newest("model-00", bucket.name, newest.key, places, versions, claims, lambda *run: True)
        claimed = claims.claim(newest, "model-00", run_id, began=began, new_attempt=True, new_data=True)
        assert claimed.attempt == attempts + 1
        calls = Counter(line["operation"] for line in bucket.aws.ledger()[since:])
        assert calls["PutObject"] == 1
        spent[attempts] = calls["GetObject"]
    assert spent == {10: 17, 365: 37}
