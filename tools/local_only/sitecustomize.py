"""Keep calls to AWS on this machine: Python imports this module at its start where PYTHONPATH names its folder.

`source .slipway/env` does so. AWS_ENDPOINT_URL leads botocore's clients to the local AWS, but not those that are made
with an address of their own, as the SageMaker SDK makes its client of STS. Here they get AWS_ENDPOINT_URL too.
https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html: what the code says counts most
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from typing import Any
from urllib.parse import urlsplit

_PATCHED = "botocore.session"
_OF_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


def _patch(module: Any) -> None:
    create_client = module.Session.create_client

    def create_local_client(self: Any, *arguments: Any, **options: Any) -> Any:
        local = os.environ.get("AWS_ENDPOINT_URL")
        host = urlsplit(options.get("endpoint_url") or "").hostname or ""
        if local and host.endswith(_OF_AWS):
            options["endpoint_url"] = local
        return create_client(self, *arguments, **options)

    module.Session.create_client = create_local_client


class _Finder(importlib.abc.MetaPathFinder):
    """Patches botocore when a program imports it; programs without it pay nothing."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return botocore.session's spec with a loader that patches it, and None for all other modules."""
        if name != _PATCHED:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def execute_and_patch(module: Any) -> None:
                execute(module)
                _patch(module)

            loader.exec_module = execute_and_patch
        return spec


def _run_the_next() -> None:
    """Run the sitecustomize that Python would have imported without this one."""
    # pathlib would cost each start of Python some milliseconds.
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    others = [folder for folder in sys.path if os.path.abspath(folder) != here]  # noqa: PTH100
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


sys.meta_path.insert(0, _Finder())
_run_the_next()
