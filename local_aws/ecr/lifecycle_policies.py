"""Lifecycle policies of repositories: kept, previewed, and applied by a thread.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
"""

import logging
import threading
import time
from typing import Any

from local_aws.ecr.images import Images
from local_aws.ecr.layers import Layers
from local_aws.ecr.lifecycle import Expiring, expiring, parse
from local_aws.ecr.names import family
from local_aws.ecr.pages import DEFAULT_SIZE
from local_aws.ecr.repositories import Repositories
from local_aws.framework.api import Operation, RequestContext, ServiceError
from local_aws.framework.listing import paginate
from local_aws.framework.store import Document, Scope, Store
from local_aws.settings import Clock

_TEXT = "lifecyclePolicyText"
# "Images are expired within 24 hours"; here sooner, and after each push.
_LOOK_SECONDS = 60.0
_SWEEP_SECONDS = 3600.0

_log = logging.getLogger(__name__)


class LifecyclePolicies:
    """The operations on lifecycle policies, and what applies them.

    :param store: where previews are kept
    :param repositories: which have the policies
    :param images: which expire
    :param layers: which are swept now and then
    :param clock: how fast days pass
    """

    def __init__(self, store: Store, repositories: Repositories, images: Images, layers: Layers, clock: Clock) -> None:
        self._previews = store.collection("ecr_lifecycle_previews")
        self._repositories = repositories
        self._images = images
        self._layers = layers
        self._clock = clock
        self._woken = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def operations(self) -> dict[str, Operation]:
        """Return the API's operations by name."""
        return {
            "PutLifecyclePolicy": self._put,
            "GetLifecyclePolicy": self._get,
            "DeleteLifecyclePolicy": self._delete,
            "StartLifecyclePolicyPreview": self._start_preview,
            "GetLifecyclePolicyPreview": self._get_preview,
        }

    def start(self) -> None:
        """Begin to apply the policies."""
        self._thread = threading.Thread(target=self._work, name="ecr-lifecycle", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop applying the policies."""
        self._closed = True
        self._woken.set()
        if self._thread is not None:
            self._thread.join()

    def wake(self) -> None:
        """Apply the policies soon, since an image was pushed or a policy put."""
        self._woken.set()

    def apply(self, scope: Scope, repository: Document) -> list[Expiring]:
        """Delete the images of a repository that its policy lets expire.

        :param scope: account and region
        :param repository: its document, with a policy
        :returns: what has expired
        """
        name = repository["repositoryName"]
        with self._repositories.lock:
            found = self._expiring(scope, name, repository[_TEXT])
            self._images.delete(scope, name, [one.image["imageDigest"] for one in found])
        for one in found:
            _log.info("%s@%s has expired by rule %d", name, one.image["imageDigest"], one.priority)
        return found

    def _expiring(self, scope: Scope, name: str, text: str) -> list[Expiring]:
        return expiring(parse(text), self._images.all_of(scope, name), time.time(), self._clock.scale)

    def _work(self) -> None:
        next_sweep = 0.0
        while not self._closed:
            self._woken.clear()
            try:
                for scope, repository in list(self._repositories.everywhere()):
                    if _TEXT in repository:
                        self.apply(scope, repository)
                if time.monotonic() >= next_sweep:
                    self._layers.sweep()
                    next_sweep = time.monotonic() + _SWEEP_SECONDS
            except Exception:
                _log.exception("The lifecycle policies cannot be applied")
            self._woken.wait(self._clock.real_seconds(_LOOK_SECONDS))

    # --- operations -----------------------------------------------------------------------------------------------

    def _put(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        text = parameters[_TEXT]
        parse(text)
        changed = self._repositories.change(context, parameters, lambda document: document.update({_TEXT: text}))
        self.wake()
        return _of(context, changed)

    def _get(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        return _of(context, self._with_policy(context, parameters))

    def _delete(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        before = self._with_policy(context, parameters)
        self._repositories.change(context, parameters, lambda document: document.pop(_TEXT, None))
        return _of(context, before)

    def _start_preview(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        text = parameters.get(_TEXT) or self._with_policy(context, parameters)[_TEXT]
        name = self._repositories.get(context, parameters)["repositoryName"]
        results = [
            {
                "imageTags": one.image["imageTags"],
                "imageDigest": one.image["imageDigest"],
                "imagePushedAt": one.image["imagePushedAt"],
                "action": {"type": "EXPIRE"},
                "appliedRulePriority": one.priority,
            }
            for one in self._expiring(context, name, text)
        ]
        self._previews.put(context, family(name), {_TEXT: text, "results": results})
        return {**_of(context, {"repositoryName": name, _TEXT: text}), "status": "IN_PROGRESS"}

    def _get_preview(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        name = self._repositories.get(context, parameters)["repositoryName"]
        preview = self._previews.get(context, family(name))
        if preview is None:
            raise ServiceError(
                "LifecyclePolicyPreviewNotFoundException",
                f"Lifecycle policy preview does not exist for the repository with name '{name}' in the registry with"
                f" id '{context.account_id}'",
            )
        status = parameters.get("filter", {}).get("tagStatus", "ANY")
        wanted = [one for one in preview["results"] if _fits(one, status, parameters.get("imageIds"))]
        page, token = paginate(
            wanted,
            {"NextToken": parameters["nextToken"]} if "nextToken" in parameters else {},
            key=lambda one: (one["imagePushedAt"], one["imageDigest"]),
            default_size=parameters.get("maxResults", DEFAULT_SIZE),
        )
        return {
            **_of(context, {"repositoryName": name, _TEXT: preview[_TEXT]}),
            "status": "COMPLETE",
            "previewResults": page,
            "nextToken": token,
            "summary": {"expiringImageTotalCount": len(preview["results"])},
        }

    def _with_policy(self, context: RequestContext, parameters: dict[str, Any]) -> Document:
        found = self._repositories.get(context, parameters)
        if _TEXT not in found:
            raise ServiceError(
                "LifecyclePolicyNotFoundException",
                f"Lifecycle policy does not exist for the repository with name '{found['repositoryName']}' in the"
                f" registry with id '{context.account_id}'",
            )
        return found


def _fits(result: dict[str, Any], status: str, identifiers: list[dict[str, str]] | None) -> bool:
    if identifiers is not None and not any(
        one.get("imageDigest", result["imageDigest"]) == result["imageDigest"]
        and one.get("imageTag", "") in ("", *result["imageTags"])
        for one in identifiers
    ):
        return False
    return status == "ANY" or (status == "TAGGED") == bool(result["imageTags"])


def _of(scope: Scope, document: Document) -> dict[str, Any]:
    return {**document, "registryId": scope.account_id}
