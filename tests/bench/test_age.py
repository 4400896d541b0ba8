"""Part f: what it makes of its figures, the history it writes, and the clock of its approvals."""

import asyncio
import time

import pytest

from bench import account_metrics, virtual_time
from bench.account_history import Account
from bench.account_size import LAST_VERSION, Size
from bench.age import AGED, FRESH, INTAKE, POLL, RELEASE, Cost, part
from local_aws.framework.disk import Disk
from local_aws.host.s3_index import S3Index
from slipway import names
from slipway.deployment.history import BEFORE
from slipway.registry.metadata import REVISION
from tools.settings import ACCOUNT, REGION

TAKEN_IN = {"cpu_seconds": 5.0, "peak_mib": 20.0}


def costs(fresh: Cost, aged: Cost) -> dict[str, Cost]:
    return {FRESH: fresh, AGED: aged}


def test_calls_and_cpu_of_each_path_are_compared_and_the_first_intake_has_bounds_of_its_own():
    found = {
        POLL: costs(Cost({"ListObjectsV2": 1.0}, 0.010), Cost({"ListObjectsV2": 1.0}, 0.011)),
        RELEASE: costs(Cost({"A": 60.0, "B": 40.0}, 4.0), Cost({"A": 60.0, "B": 90.0}, 4.4)),
        INTAKE: costs(Cost({"A": 3.0}, 0.1), Cost({"A": 2000.0}, 5.0)),
    }
    compared = part(found, TAKEN_IN, Size.aged(1), Cost({"ListObjectsV2": 1.0}, 0.003))
    values = {bound.name: bound.value for bound in compared.bounds}
    assert values[f"f: calls of {RELEASE}, aged / fresh"] == 1.5
    assert values[f"f: CPU of {RELEASE}, aged / fresh"] == pytest.approx(1.1)
    assert values[f"f: CPU of {POLL}, aged / fresh"] == pytest.approx(1.1)
    missed = [bound.name for bound in compared.bounds if not bound.kept]
    assert missed == [f"f: calls of {RELEASE}, aged / fresh"]
    assert not any(INTAKE in name for name in values if "aged / fresh" in name)


def test_an_aged_account_has_what_the_benchmark_promises():
    size = Size.aged(1)
    assert size.models + 1 == 1000
    # With the release that is live.
    assert size.zips + 1 + size.models * size.zips_each == 100_000
    assert size.releases + 1 + size.models == 10_000


def test_an_hour_passes_as_soon_as_everybody_sleeps():
    began, looks = time.monotonic(), []

    async def look(pause: float) -> None:
        while True:
            await asyncio.to_thread(looks.append, time.time())
            await asyncio.sleep(pause)

    async def an_hour() -> float:
        tasks = [asyncio.create_task(look(pause)) for pause in (60, 600)]
        await asyncio.sleep(3599)
        for task in tasks:
            task.cancel()
        return time.monotonic() - began

    assert virtual_time.run(an_hour()) == pytest.approx(3599, abs=60)
    assert len(looks) == 60 + 6


def test_a_history_is_made_from_what_one_release_has_left(tmp_path):
    account = Account(tmp_path)
    account.begin()
    _release_left(account)
    account.grow(Size(releases=5, zips=7, models=2, zips_each=3))
    account.close()

    again = Account(tmp_path)
    newest = again.get("model_packages", f"mlops-iris-model/{LAST_VERSION + 1}")
    before = newest["CustomerMetadataProperties"][BEFORE]
    assert before.endswith(f"/{LAST_VERSION}")
    chain = again.get("model_packages", f"mlops-iris-model/{LAST_VERSION}")
    assert chain["CustomerMetadataProperties"][REVISION] != newest["CustomerMetadataProperties"][REVISION]
    pending = again.get("model_packages", "mlops-model-0001/1")
    assert pending["ModelApprovalStatus"] == "PendingManualApproval"
    endpoint = again.get("endpoints", "model-0001-production")
    config = again.get("endpoint_configs", endpoint["EndpointConfigName"].lower())
    assert again.get("models", config["ProductionVariants"][0]["ModelName"].lower())
    tags = again.get("sagemaker_tags", endpoint["EndpointArn"])["tags"]
    assert tags == {"slipway:model-prefix": "model-0001"}
    again.close()

    index = S3Index(tmp_path / "s3.sqlite", Disk(tmp_path))
    holder = (ACCOUNT, f"mlops-{REGION}-{ACCOUNT}")
    assert index.count(holder, names.source_key("iris-model")) == 7
    assert index.count(holder, names.source_key("model-0000")) == 3
    newest = index.newest(holder, names.source_key("model-0000"), 1)
    assert index.object(holder, names.source_key("model-0000"))["version_id"] == newest[0]["version_id"]
    assert sum(key.endswith("/claim.json") for key in index.keys(holder)) == 5
    index.close()


def _release_left(account: Account) -> None:
    """What one release leaves, as far as a history is made from it."""
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:"
    account.put(
        "model_packages",
        f"mlops-iris-model/{LAST_VERSION + 1}",
        {
            "ModelPackageArn": f"{arn}model-package/mlops-iris-model/{LAST_VERSION + 1}",
            "ModelPackageGroupName": "mlops-iris-model",
            "ModelApprovalStatus": "Approved",
            "CustomerMetadataProperties": {REVISION: "0" * 32},
        },
    )
    for environment in ("development", "production"):
        documents = {
            "models": ("ModelName", "ModelArn", {}),
            "endpoint_configs": ("EndpointConfigName", "EndpointConfigArn", {}),
            "endpoints": ("EndpointName", "EndpointArn", {"EndpointConfigName": f"Config-{environment}"}),
        }
        for kind, (name, named, more) in documents.items():
            called = f"iris-model-{environment}" if kind == "endpoints" else f"{name[:-4]}-{environment}"
            called = f"Config-{environment}" if kind == "endpoint_configs" else called
            variants = {"ProductionVariants": [{"ModelName": f"Model-{environment}"}]}
            made = {name: called, named: f"{arn}{kind}/{called.lower()}", **more, **variants}
            account.put(kind, called.lower(), made)
            account.put("sagemaker_tags", made[named], {"tags": {"slipway:model-prefix": "iris-model"}})


def test_a_year_of_metrics_is_as_coarse_as_cloudwatch_keeps_it(tmp_path):
    now = 1_700_000_000.0
    # Of a minute for 15 days, of five minutes up to 63 days, then of an hour.
    expected = 15 * 24 * 60 + (63 - 15) * 24 * 12 + (365 - 63) * 24
    assert len(list(account_metrics.moments(now, 365))) == pytest.approx(expected, abs=20)
    written = account_metrics.put_a_year(tmp_path, "iris-model-production", "model-a", 1 / 24)
    assert written == pytest.approx(10 * 60, abs=20)
