"""Containers of images: `docker run IMAGE train` and `docker run IMAGE serve`, in a sandbox.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-dockerfile.html
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_aws import trees
from local_aws.compute.base import ContainerFailed, ContainerSpec, UnknownImage
from local_aws.compute.docker.base import ENVIRONMENT
from local_aws.compute.docker.cache import PulledImage, PulledImages
from local_aws.compute.docker.store import ImageStore
from local_aws.compute.sandbox import box
from local_aws.compute.sandbox.box import Sandbox
from local_aws.compute.sandbox.network import PROXY_PORT, SERVING_PORT
from local_aws.compute.sandbox.spec import Bind, Limits, Proxy, SandboxSpec, owned_by_sandbox

_OPT_ML = "/opt/ml"
# A layer that is needed again later is built or pulled again.
_KEPT_SECONDS = 30 * 86400
_PROXY = f"http://127.0.0.1:{PROXY_PORT}"
_PROXY_ENVIRONMENT = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), _PROXY) | {
    "no_proxy": "localhost,127.0.0.1",
    "NO_PROXY": "localhost,127.0.0.1",
}


class ImageContainers:
    """Starts containers of pulled images.

    :param store: where images are kept
    :param folder: for the containers' own files; it is emptied
    :param limits: of each container
    """

    def __init__(self, store: ImageStore, folder: Path, limits: Limits | None = None) -> None:
        self.images = PulledImages(store)
        self._folder = folder
        self._limits = limits or Limits()
        # The image of each container, by its directory, which is removed after its end.
        self._started: dict[Path, str] = {}

    def reset(self) -> None:
        """Remove what containers of an earlier process have left, and old images; nothing of it runs any more."""
        trees.remove(self._folder)
        self._folder.mkdir(parents=True)
        self.remove_unused()

    def remove_unused(self) -> None:
        """Remove the images and layers that nothing has used for long; builds, pulls and containers may go on."""
        for folder, image in list(self._started.items()):
            if not folder.exists():
                del self._started[folder]
                continue
            # A server that runs for longer still uses the layers that it was started with.
            with contextlib.suppress(UnknownImage):
                self.images.get(image)
        self.images.store.remove_unused(_KEPT_SECONDS)

    def start(self, spec: ContainerSpec) -> tuple[Sandbox, Path]:
        """Start a container.

        :returns: the sandbox, and its directory, which is to be removed after its end
        :raises UnknownImage: the image has not been pulled
        :raises ContainerFailed: this machine can run no images
        """
        if reason := box.why_not():
            raise ContainerFailed(f"ClientError: {reason}")
        image = self.images.get(spec.image)
        scratch = self._folder / uuid.uuid4().hex[:12]
        scratch.mkdir(parents=True)
        self._started[scratch] = spec.image
        try:
            return box.start(self._sandbox(spec, image, scratch)), scratch
        except BaseException:
            trees.remove(scratch)
            raise

    def _sandbox(self, spec: ContainerSpec, image: PulledImage, scratch: Path) -> SandboxSpec:
        base = self.images.store.base
        return SandboxSpec(
            argv=(*(image.config.get("Entrypoint") or ()), spec.command),
            environment=_environment(spec, image.config),
            lower=base.lower(image.lower),
            scratch=str(scratch),
            binds=(*base.binds(), *_opt_ml(spec, scratch)),
            cwd=image.config.get("WorkingDir") or "/",
            user=image.config.get("User") or "0",
            hostname="algo-1" if spec.command == "train" else "model",
            proxy=Proxy(hosts=None) if spec.network else None,
            serve_port=spec.port,
            limits=self._limits,
        )


def _environment(spec: ContainerSpec, config: Mapping[str, Any]) -> dict[str, str]:
    """Return the image's variables and the job's or model's; nothing of the machine's."""
    of_image = dict(entry.split("=", 1) for entry in config.get("Env") or () if "=" in entry)
    port = str(SERVING_PORT)
    # The machine's port leads to the container's, which is always the same.
    ports = {"SAGEMAKER_BIND_TO_PORT": port, "SAGEMAKER_SAFE_PORT_RANGE": f"{port}-{port}"} if spec.port else {}
    given = {name: value for name, value in spec.environment.items() if name not in ports}
    return ENVIRONMENT | of_image | (_PROXY_ENVIRONMENT if spec.network else {}) | given | ports


def _opt_ml(spec: ContainerSpec, scratch: Path) -> tuple[Bind, ...]:
    """Return what the container has at /opt/ml: a job all of its own, a model server the model, which others share.

    SageMaker's toolkits look for the image's programs in /opt/ml/code:
    https://github.com/aws/sagemaker-training-toolkit#getting-started
    """
    owned_by_sandbox(spec.opt_ml)
    if spec.command == "train":
        return (Bind(str(spec.opt_ml), _OPT_ML, writable=True, keeps=True),)
    private = scratch / "ml"
    (private / "model").mkdir(parents=True)
    owned_by_sandbox(private)
    return (
        Bind(str(private), _OPT_ML, writable=True, keeps=True),
        Bind(str(spec.opt_ml / "model"), f"{_OPT_ML}/model"),
    )
