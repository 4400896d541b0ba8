"""Scans of images: started by a push or by hand, done by a thread, and kept with the image.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning-basic.html
"""

import logging
import queue
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from local_aws.ecr import advisories, manifests
from local_aws.ecr.blobs import Blobs
from local_aws.ecr.images import Images
from local_aws.ecr.names import family
from local_aws.ecr.packages import Unreadable, packages_of
from local_aws.ecr.pages import DEFAULT_SIZE
from local_aws.ecr.repositories import Repositories
from local_aws.framework.api import Operation, RequestContext, ServiceError
from local_aws.framework.listing import paginate
from local_aws.framework.store import Document, Scope, Store
from local_aws.settings import Clock

IN_PROGRESS, COMPLETE, FAILED = "IN_PROGRESS", "COMPLETE", "FAILED"
# "You can manually scan container images ... once per 24 hours."
_AGAIN_SECONDS = 24 * 3600.0

_log = logging.getLogger(__name__)


class Scanning:
    """The operations on scans, and what does them.

    :param store: where they are kept
    :param repositories: those that exist
    :param images: those that exist
    :param blobs: the layers
    :param added: a file with more advisories, which need not exist
    :param clock: how fast the time until the next scan passes
    """

    def __init__(
        self, store: Store, repositories: Repositories, images: Images, blobs: Blobs, added: Path, clock: Clock
    ) -> None:
        self._scans = store.collection("ecr_scans")
        self._repositories = repositories
        self._images = images
        self._blobs = blobs
        self._added = added
        self._clock = clock
        self._queue: queue.SimpleQueue[tuple[Scope, str, str] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def operations(self) -> dict[str, Operation]:
        """Return the API's operations by name."""
        return {"StartImageScan": self._start, "DescribeImageScanFindings": self._describe}

    def start(self) -> None:
        """Begin to scan, at first what a killed process has left."""
        for scope, name, scan in self._scans.everywhere():
            if scan["status"] == IN_PROGRESS:
                of_repository, _, digest = name.partition("/")
                self._queue.put((scope, of_repository.replace(":", "/"), digest))
        self._thread = threading.Thread(target=self._work, name="ecr-scan", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop scanning after the scan that is under way."""
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()

    def written(self, scope: Scope, repository: str, digest: str) -> None:
        """Scan an image that was pushed, if its repository says so."""
        settings = self._repositories.get(scope, {"repositoryName": repository})["imageScanningConfiguration"]
        image = self._images.find(scope, repository, {"imageDigest": digest})
        known = self._scans.get(scope, f"{family(repository)}{digest}")
        if settings.get("scanOnPush") and known is None and image and not _is_index(image):
            self._begin(scope, repository, digest)

    def deleted(self, scope: Scope, repository: str, digest: str) -> None:
        """Forget the scan of an image that is deleted."""
        self._scans.delete(scope, f"{family(repository)}{digest}")

    def summary(self, scope: Scope, repository: str, digest: str) -> dict[str, Any]:
        """Return what DescribeImages says of a scan; nothing where there was none."""
        scan = self._scans.get(scope, f"{family(repository)}{digest}")
        if scan is None:
            return {}
        found: dict[str, Any] = {"imageScanStatus": _status(scan)}
        if scan["status"] == COMPLETE:
            found["imageScanFindingsSummary"] = _times_and_counts(scan)
        return found

    # --- operations -----------------------------------------------------------------------------------------------

    def _start(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        name = self._repositories.get(context, parameters)["repositoryName"]
        image = self._images.get(context, name, parameters["imageId"])
        digest = image["imageDigest"]
        if _is_index(image):
            raise ServiceError(
                "UnsupportedImageTypeException",
                f"The type {image['imageManifestMediaType']} is not supported for scans",
            )
        before = self._scans.get(context, f"{family(name)}{digest}")
        again_seconds = self._clock.real_seconds(_AGAIN_SECONDS)
        if before and before["status"] != FAILED and before["startedAt"] > time.time() - again_seconds:
            raise ServiceError(
                "LimitExceededException",
                "The scan quota per image has been exceeded. Wait and try again: an image is scanned once in 24 hours.",
            )
        scan = self._begin(context, name, digest)
        identifier = {**parameters["imageId"], "imageDigest": digest}
        return {**_named(context, name), "imageId": identifier, "imageScanStatus": _status(scan)}

    def _describe(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        name = self._repositories.get(context, parameters)["repositoryName"]
        digest = self._images.get(context, name, parameters["imageId"])["imageDigest"]
        scan = self._scans.get(context, f"{family(name)}{digest}")
        if scan is None:
            raise ServiceError(
                "ScanNotFoundException",
                f"Image scan does not exist for the image with '{{imageDigest:'{digest}'}}' in the repository with name"
                f" '{name}' in the registry with id '{context.account_id}'",
            )
        identifier = {**parameters["imageId"], "imageDigest": digest}
        answer = {**_named(context, name), "imageId": identifier, "imageScanStatus": _status(scan)}
        if scan["status"] != COMPLETE:
            return answer
        page, token = paginate(
            [{**finding, "_place": place} for place, finding in enumerate(scan["findings"])],
            {"NextToken": parameters["nextToken"]} if "nextToken" in parameters else {},
            key=lambda one: (one["_place"],),
            default_size=parameters.get("maxResults", DEFAULT_SIZE),
        )
        return {**answer, "imageScanFindings": {**_times_and_counts(scan), "findings": page}, "nextToken": token}

    # --- scans ----------------------------------------------------------------------------------------------------

    def _begin(self, scope: Scope, repository: str, digest: str) -> Document:
        scan: Document = {"status": IN_PROGRESS, "description": "", "startedAt": time.time()}
        self._scans.put(scope, f"{family(repository)}{digest}", scan)
        self._queue.put((Scope(scope.account_id, scope.region), repository, digest))
        return scan

    def _work(self) -> None:
        while (one := self._queue.get()) is not None:
            try:
                self._scan(*one)
            except Exception:
                _log.exception("%s@%s cannot be scanned", one[1], one[2])

    def _scan(self, scope: Scope, repository: str, digest: str) -> None:
        image = self._images.find(scope, repository, {"imageDigest": digest})
        if image is None:
            return
        try:
            found = self._findings(scope, repository, image)
            result = {"status": COMPLETE, "description": "The scan was completed successfully.", **found}
        except (Unreadable, advisories.BadAdvisories) as error:
            result = {"status": FAILED, "description": str(error)}
        # Not for an image that was deleted meanwhile.
        self._scans.update(scope, f"{family(repository)}{digest}", lambda scan: scan.update(result))

    def _findings(self, scope: Scope, repository: str, image: Document) -> dict[str, Any]:
        manifest = manifests.read(image["imageManifest"], image["imageManifestMediaType"])
        files = [self._blobs.find(scope, repository, layer) for layer in manifest.layers]
        if None in files:
            raise Unreadable("a layer of the image has gone")
        known = advisories.load(self._added)
        findings = known.findings(packages_of([path for path in files if path is not None]))
        return {"findings": findings, "completedAt": time.time(), "sourceUpdatedAt": known.updated}


def _is_index(image: Document) -> bool:
    return image["imageManifestMediaType"] in manifests.INDEXES


def _status(scan: Document) -> dict[str, str]:
    return {"status": scan["status"], "description": scan["description"]}


def _times_and_counts(scan: Document) -> dict[str, Any]:
    return {
        "imageScanCompletedAt": scan["completedAt"],
        "vulnerabilitySourceUpdatedAt": scan["sourceUpdatedAt"],
        "findingSeverityCounts": dict(Counter(finding["severity"] for finding in scan["findings"])),
    }


def _named(scope: Scope, repository: str) -> dict[str, str]:
    return {"registryId": scope.account_id, "repositoryName": repository}
