"""The client of the local AWS's fault injection, for tests and chaos.

What a fault may say: docs/local-aws.md.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_TIMEOUT_SECONDS = 60


class InjectionRefused(Exception):
    """The local AWS does not take the fault; the text is its answer."""


class FaultInjection:
    """Lets calls to one local AWS go wrong; it must have been started with ``--faults``.

    :param aws_url: such as http://127.0.0.1:4566
    """

    def __init__(self, aws_url: str) -> None:
        self._url = f"{aws_url}/_local_aws/faults"

    def add(self, **fault: Any) -> str:
        """Inject a fault.

        :param fault: its members, such as service, operation, error and count
        :returns: its id, as in the ledger
        :raises InjectionRefused: it is not a fault
        """
        fault_id: str = self._call("POST", "", fault)["id"]
        return fault_id

    def blackout(self, seconds: float) -> str:
        """Close every connection without an answer for so long.

        :returns: the fault's id
        """
        return self.add(blackout_seconds=seconds)

    def list(self) -> list[dict[str, Any]]:
        """:returns: every fault, with the calls it has met"""
        faults: list[dict[str, Any]] = self._call("GET", "")["faults"]
        return faults

    def remove(self, fault_id: str) -> None:
        """End one fault."""
        self._call("DELETE", f"/{fault_id}")

    def clear(self) -> None:
        """End all faults."""
        self._call("DELETE", "")

    @contextmanager
    def injected(self, **fault: Any) -> Iterator[str]:
        """A fault that ends with the block; gives its id."""
        fault_id = self.add(**fault)
        try:
            yield fault_id
        finally:
            self.remove(fault_id)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 (http, loopback)
            self._url + path, data, {"Content-Type": "application/json"}, method=method
        )
        # The local AWS is on this machine: no proxy of the environment's may be asked for it.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise InjectionRefused(json.loads(error.read())["message"]) from None
        return json.loads(text) if text else None
