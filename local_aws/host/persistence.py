"""Writes ministack's state to disk."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from local_aws.framework.disk import Disk, DiskFull

PRIVATE_PARTS = {
    "ministack.app": ("SERVICE_REGISTRY", "_build_persistence_save_dict", "_state_map"),
    "ministack.core.persistence": ("STATE_DIR", "_json_default", "_state_format_version", "save_state"),
}

_log = logging.getLogger(__name__)


class Persistence:
    """The state of ministack's services on disk.

    :param modules: ministack's modules by name
    :param disk: the disk it is on
    """

    def __init__(self, modules: Mapping[str, Any], disk: Disk) -> None:
        self._app = modules["ministack.app"]
        self._format = modules["ministack.core.persistence"]
        self._disk = disk
        # ministack calls it at a stop, service by service.
        self._format.save_state = self._save_last
        for partial in Path(self._format.STATE_DIR).glob("*.json.tmp"):
            # Of a process that was killed meanwhile; the disk may be full.
            partial.unlink()
        # ministack writes each state file through one temporary file with a fixed name.
        self._saving = threading.Lock()
        self._copies = count(1)
        # By state: the number of the newest copy on disk.
        self._saved: dict[str, int] = {}

    async def save(self) -> None:
        """Write the state of every service of ministack that was in use.

        :raises DiskFull: there is no space
        """
        await self._save(lambda key: True)

    async def save_service(self, service: str) -> None:
        """Write the state of one service, for a call whose answer promises it.

        :param service: ministack's name for it
        :raises DiskFull: there is no space
        """
        await self._save(self._of(service))

    async def _save(self, wanted: Callable[[str], bool]) -> None:
        for key, get_state in self._app._build_persistence_save_dict().items():
            # The state is copied on the event loop, where it cannot change meanwhile, and written in a thread.
            if wanted(key) and (state := get_state()) is not None:
                await asyncio.to_thread(self._write, key, next(self._copies), state)

    def save_now(self, service: str | None) -> None:
        """Write as `save` does, for a change that CloudFormation makes on the event loop and depends on next.

        :param service: ministack's name for the only service that may have changed; None if any may have
        :raises DiskFull: there is no space
        """
        wanted = self._of(service) if service else lambda key: True
        for key, get_state in self._app._build_persistence_save_dict().items():
            if wanted(key) and (state := get_state()) is not None:
                self._write(key, next(self._copies), state)

    def _of(self, service: str) -> Callable[[str], bool]:
        """Return what tells whether a state file is a service's."""
        module = self._app.SERVICE_REGISTRY.get(service, {}).get("module")
        return lambda key: bool(self._app._state_map[key] == module)

    def _write(self, key: str, number: int, state: Any) -> None:
        with self._saving:
            if number > self._saved.get(key, 0):
                self._save_state(key, state)
                self._saved[key] = number

    def _save_last(self, key: str, state: Any) -> None:
        try:
            self._save_state(key, state)
        except DiskFull as full:
            _log.error("%s The last changes of %s, none of them answered, are not saved.", full, key)

    def _save_state(self, key: str, state: Any) -> None:
        """Write one state file as ministack does, but tell when it cannot be written."""
        path = Path(self._format.STATE_DIR) / f"{key}.json"
        partial = path.with_suffix(".json.tmp")
        wrapped = {"__ministack_format__": self._format._state_format_version(key), "payload": state}
        text = json.dumps(wrapped, default=self._format._json_default)

        def write() -> None:
            try:
                partial.write_text(text)
                partial.replace(path)
            except OSError:
                partial.unlink(missing_ok=True)
                raise

        self._disk.write(write)
