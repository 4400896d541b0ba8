"""Give a stopped local AWS the history of a large account, offline: in minutes instead of the days that calls take.

Documents are written by the local AWS's own store, and are copies of what a real release has left; objects are
written by its index of S3.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.account_size import LAST_VERSION, PREFIX, Size
from local_aws.framework.disk import Disk
from local_aws.framework.store import Scope, Store
from local_aws.host.s3_index import S3Index
from slipway import names
from slipway.deployment.history import BEFORE, COLLECTED
from slipway.registry.metadata import DIGEST, REVISION, VERSION_ID
from tools.settings import ACCOUNT, REGION

_SCOPE = Scope(ACCOUNT, REGION)
_BUCKET = f"mlops-{REGION}-{ACCOUNT}"
_HOLDER = (ACCOUNT, _BUCKET)
_YEAR = timedelta(days=365)
# What a young account keeps of its releases; the artefacts of older ones were collected.
_KEPT = 3


class Account:
    """The state of a local AWS that has stopped.

    :param state: its folder
    """

    def __init__(self, state: Path) -> None:
        state.mkdir(parents=True, exist_ok=True)
        self._state = state
        self._store = Store(state / "local_aws.sqlite", Disk(state))
        self._objects = S3Index(state / "s3.sqlite", Disk(state))
        self._began = datetime.now(UTC) - _YEAR

    def close(self) -> None:
        """Close its files, so that the local AWS can start."""
        self._store.close()
        self._objects.close()

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """Read a document of the local AWS's store."""
        found = self._store.collection(kind).get(_SCOPE, name)
        if found is None:
            raise SystemExit(f"bench: the young account has no {name} among its {kind}")
        return found

    def put(self, kind: str, name: str, document: dict[str, Any]) -> None:
        """Write a document of the local AWS's store."""
        self._store.collection(kind).put(_SCOPE, name, document)

    def begin(self) -> None:
        """Make the group of the iris model before its first release, which gets the number after `LAST_VERSION`."""
        name = names.model_package_group(PREFIX)
        arn = _SCOPE.arn("sagemaker", f"model-package-group/{name}")
        group = {
            "ModelPackageGroupName": name,
            "ModelPackageGroupArn": arn,
            "ModelPackageGroupDescription": f"Versions of {PREFIX}",
            "CreationTime": self._began.timestamp(),
            "CreatedBy": {},
            "ModelPackageGroupStatus": "Completed",
            "LastVersion": LAST_VERSION,
        }
        self.put("model_package_groups", name, group)
        self.put("sagemaker_tags", arn, {"tags": {"slipway:model-prefix": PREFIX}})

    def grow(self, size: Size) -> None:
        """Add a history to an account that has released the iris model once."""
        self._store.execute("BEGIN", ())
        self._objects.begin()
        self._history(size)
        for number in range(size.models):
            self._model(f"model-{number:04}", size.zips_each)
        self._store.execute("COMMIT", ())
        self._objects.commit([], [])

    def _history(self, size: Size) -> None:
        """Write the earlier releases of the iris model: packages, claims, and versions of its zip."""
        key = names.source_key(PREFIX)
        versions = self._versions(size.zips)
        self._zip(key, versions)
        live = self.get("model_packages", f"{names.model_package_group(PREFIX)}/{LAST_VERSION + 1}")
        arn = live["ModelPackageArn"].rpartition("/")[0]
        released, before = live["CustomerMetadataProperties"][REVISION], "-"
        for number, version in enumerate(versions[: size.releases], LAST_VERSION + 1 - size.releases):
            revision = names.revision_id(_BUCKET, key, version["version_id"])
            text = json.dumps(live).replace(released, revision).replace(f"-{released[:8]}", f"-{revision[:8]}")
            package = json.loads(text)
            package |= {
                "ModelPackageArn": f"{arn}/{number}",
                "ModelPackageVersion": number,
                "CreationTime": _seconds(version["last_modified"]) + 60,
            }
            own = {DIGEST: uuid.uuid4().hex * 2, VERSION_ID: version["version_id"], BEFORE: before}
            package["CustomerMetadataProperties"] |= own
            if number <= LAST_VERSION - _KEPT:
                package["CustomerMetadataProperties"][COLLECTED] = version["last_modified"]
            self.put("model_packages", f"{names.model_package_group(PREFIX)}/{number}", package)
            self.put("sagemaker_tags", package["ModelPackageArn"], {"tags": {}})
            self._claim(revision, version)
            before = package["ModelPackageArn"]
        live["CustomerMetadataProperties"][BEFORE] = before
        self.put("model_packages", f"{names.model_package_group(PREFIX)}/{LAST_VERSION + 1}", live)

    def _model(self, prefix: str, zips: int) -> None:
        """Write another model: two endpoints, a package that waits, and versions of its zip."""
        for environment in ("development", "production"):
            self._endpoint(prefix, environment)
        group = self.get("model_package_groups", names.model_package_group(PREFIX))
        package = self.get("model_packages", f"{names.model_package_group(PREFIX)}/{LAST_VERSION + 1}")
        for kind, document in (("model_package_groups", group), ("model_packages", package)):
            made = json.loads(json.dumps(document).replace(PREFIX, prefix).replace(f"/{LAST_VERSION + 1}", "/1"))
            if kind == "model_package_groups":
                made["LastVersion"] = 1
                name, arn = names.model_package_group(prefix), made["ModelPackageGroupArn"]
            else:
                made |= {"ModelPackageVersion": 1, "ModelApprovalStatus": "PendingManualApproval"}
                kept = made["CustomerMetadataProperties"]
                decided = ("slipway-decided", "slipway-decision", "slipway-approval", BEFORE)
                made["CustomerMetadataProperties"] = {k: v for k, v in kept.items() if not k.startswith(decided)}
                made["CustomerMetadataProperties"][REVISION] = uuid.uuid4().hex
                name, arn = f"{names.model_package_group(prefix)}/1", made["ModelPackageArn"]
            self.put(kind, name, made)
            self.put("sagemaker_tags", arn, {"tags": {"slipway:model-prefix": prefix} if "group" in kind else {}})
        self._zip(names.source_key(prefix), self._versions(zips))

    def _endpoint(self, prefix: str, environment: str) -> None:
        """Copy an endpoint, its configuration and its model; it has no variant, so that no process serves it."""
        endpoint = self.get("endpoints", f"{PREFIX}-{environment}")
        config = self.get("endpoint_configs", endpoint["EndpointConfigName"].lower())
        model = self.get("models", config["ProductionVariants"][0]["ModelName"].lower())
        unique = {
            endpoint["EndpointConfigName"]: f"EndpointConfig-{prefix}-{environment}",
            model["ModelName"]: f"ModelA-{prefix}-{environment}",
            PREFIX: prefix,
        }
        unique |= {old.lower(): new.lower() for old, new in unique.items()}

        def copied(document: dict[str, Any]) -> dict[str, Any]:
            text = json.dumps(document)
            for old, new in unique.items():
                text = text.replace(old, new)
            made: dict[str, Any] = json.loads(text)
            return made

        for kind, document, member in (
            ("models", model, "Model"),
            ("endpoint_configs", config, "EndpointConfig"),
            ("endpoints", endpoint, "Endpoint"),
        ):
            made = copied(document)
            if kind == "endpoints":
                # Nobody has changed it for a year, so that no look lists it as changed.
                times = dict.fromkeys(("CreationTime", "LastModifiedTime"), self._began.timestamp())
                made |= {"ProductionVariants": [], "LiveVariants": {}, **times}
            self.put(kind, made[f"{member}Name"].lower(), made)
            tags = self.get("sagemaker_tags", document[f"{member}Arn"])
            self.put("sagemaker_tags", made[f"{member}Arn"], copied(tags))

    def _versions(self, count: int) -> list[dict[str, Any]]:
        """Return versions of a zip, spread over the year, the oldest first."""
        step = _YEAR / (count + 1)
        return [
            {
                "version_id": str(uuid.uuid4()),
                "last_modified": f"{self._began + step * (number + 1):%Y-%m-%dT%H:%M:%S}.000Z",
                "etag": f'"{number:032x}"',
                "size": 3,
                "content_type": "application/zip",
                "content_encoding": None,
                "metadata": {},
                "preserved_headers": {},
                "storage_class": "STANDARD",
                "checksums": {},
                "parts": None,
                "replication_status": None,
            }
            for number in range(count)
        ]

    def _zip(self, key: str, versions: list[dict[str, Any]]) -> None:
        """Put versions behind a zip, or make it. Nobody reads the content of former ones, so that they have no file."""
        live = self._objects.newest(_HOLDER, key, 1)
        for version in live:
            self._objects.remove_version(_HOLDER, key, version["version_id"])
        for version in (*versions, *live):
            self._objects.add_version(_HOLDER, key, version)
        if not live:
            self._put_object(key, versions[-1], b"zip")

    def _claim(self, revision: str, version: dict[str, Any]) -> None:
        """Write the claim of a collected release, which stays for good."""
        key = names.claim_key(PREFIX, revision)
        moment = version["last_modified"].replace(".000Z", "+00:00")
        claim = {
            "format_version": 1,
            "dag_id": PREFIX,
            "run_id": f"s3__{version['version_id']}",
            "sequence": moment,
            "claimed_at": moment,
        }
        body = json.dumps(claim).encode()
        record = {**version, "version_id": str(uuid.uuid4()), "size": len(body)}
        self._objects.add_version(_HOLDER, key, record)
        self._put_object(key, record, body)

    def _put_object(self, key: str, record: dict[str, Any], body: bytes) -> None:
        self._objects.put_object(_HOLDER, key, record)
        path = self._state / "s3" / ACCOUNT / _BUCKET / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
