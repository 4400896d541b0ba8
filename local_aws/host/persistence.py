"""Writes ministack's state to disk."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

PRIVATE_PARTS = {
    "ministack.app": ("SERVICE_REGISTRY", "_build_persistence_save_dict", "_state_map"),
    "ministack.core.persistence": ("save_state",),
}


class Persistence:
    """The state of ministack's services on disk.

    :param modules: ministack's modules by name
    """

    def __init__(self, modules: Mapping[str, Any]) -> None:
        self._app = modules["ministack.app"]
        self._save_state = modules["ministack.core.persistence"].save_state
        # ministack writes each state file through one temporary file with a fixed name.
        self._saving = threading.Lock()
        self._copies = count(1)
        # By state: the number of the newest copy on disk.
        self._saved: dict[str, int] = {}

    async def save(self) -> None:
        """Write the state of every service of ministack that was in use."""
        await self._save(lambda key: True)

    async def save_service(self, service: str) -> None:
        """Write the state of one service, for a call whose answer promises it.

        :param service: ministack's name for it
        """
        module = self._app.SERVICE_REGISTRY.get(service, {}).get("module")
        await self._save(lambda key: self._app._state_map[key] == module)

    async def _save(self, wanted: Callable[[str], bool]) -> None:
        for key, get_state in self._app._build_persistence_save_dict().items():
            # The state is copied on the event loop, where it cannot change meanwhile, and written in a thread.
            if wanted(key) and (state := get_state()) is not None:
                await asyncio.to_thread(self._write, key, next(self._copies), state)

    def save_now(self) -> None:
        """Write as `save` does, for a change that CloudFormation makes on the event loop and depends on next."""
        for key, get_state in self._app._build_persistence_save_dict().items():
            if (state := get_state()) is not None:
                self._write(key, next(self._copies), state)

    def _write(self, key: str, number: int, state: Any) -> None:
        with self._saving:
            if number > self._saved.get(key, 0):
                self._save_state(key, state)
                self._saved[key] = number
