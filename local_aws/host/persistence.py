"""Writes ministack's state to disk."""

import asyncio
import copy
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import Any

from local_aws.framework.disk import Disk, DiskFull

PRIVATE_PARTS = {
    "ministack.app": ("SERVICE_REGISTRY", "_build_persistence_save_dict", "_state_map"),
    "ministack.core.persistence": ("STATE_DIR", "_json_default", "_state_format_version", "save_state"),
    "ministack.core.responses": ("AccountRegionScopedDict", "AccountScopedDict"),
}
# The states whose `get_state` only copies what is stored: those of all services in use but KMS.
_UNCOPIED = frozenset({"cloudformation", "cloudwatch", "cloudwatch_logs", "iam", "s3", "sns", "sqs"})

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
        self._stores = _Stores(modules["ministack.core.responses"])
        # ministack calls it at a stop, service by service.
        self._format.save_state = self._save_last
        for partial in Path(self._format.STATE_DIR).glob("*.json.tmp"):
            # Of a process that was killed meanwhile; the disk may be full.
            partial.unlink()
        # ministack writes each state file through one temporary file with a fixed name.
        self._saving = threading.Lock()
        self._numbers = count(1)
        # By state: the number and the text of the newest on disk.
        self._saved: dict[str, tuple[int, str]] = {}

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
        for key, number, text in self._texts(wanted):
            await asyncio.to_thread(self._write, key, number, text)

    def save_now(self, service: str | None) -> None:
        """Write as `save` does, for a change that CloudFormation makes on the event loop and depends on next.

        :param service: ministack's name for the only service that may have changed; None if any may have
        :raises DiskFull: there is no space
        """
        for key, number, text in self._texts(self._of(service) if service else lambda key: True):
            self._write(key, number, text)

    def _of(self, service: str) -> Callable[[str], bool]:
        """Return what tells whether a state file is a service's."""
        module = self._app.SERVICE_REGISTRY.get(service, {}).get("module")
        return lambda key: bool(self._app._state_map[key] == module)

    def _texts(self, wanted: Callable[[str], bool]) -> Iterator[tuple[str, int, str]]:
        """Encode states on the event loop, where they cannot change meanwhile; each with its key and number."""
        for key, get_state in self._app._build_persistence_save_dict().items():
            if not wanted(key):
                continue
            # A copy takes several times as long as the encoding, and nothing runs between the two.
            with self._stores.uncopied() if key in _UNCOPIED else nullcontext():
                state = get_state()
            if state is not None:
                yield key, next(self._numbers), self._encoded(key, state)

    def _write(self, key: str, number: int, text: str) -> None:
        with self._saving:
            if number > self._saved.get(key, (0, ""))[0]:
                if text != self._saved.get(key, (0, ""))[1]:
                    self._put(key, text)
                self._saved[key] = number, text

    def _save_last(self, key: str, state: Any) -> None:
        try:
            self._put(key, self._encoded(key, state))
        except DiskFull as full:
            _log.error("%s The last changes of %s, none of them answered, are not saved.", full, key)

    def _encoded(self, key: str, state: Any) -> str:
        wrapped = {"__ministack_format__": self._format._state_format_version(key), "payload": state}
        return json.dumps(wrapped, default=self._format._json_default)

    def _put(self, key: str, text: str) -> None:
        """Write one state file as ministack does, but tell when it cannot be written."""
        path = Path(self._format.STATE_DIR) / f"{key}.json"
        partial = path.with_suffix(".json.tmp")

        def write() -> None:
            try:
                partial.write_text(text)
                partial.replace(path)
            except OSError:
                partial.unlink(missing_ok=True)
                raise

        self._disk.write(write)


class _Stores:
    """The containers of ministack's states, which `get_state` copies for whoever keeps the result.

    :param responses: the module with their classes
    """

    def __init__(self, responses: Any) -> None:
        self._encoding = encoding = threading.local()

        def copied(store: Any, memo: dict[int, Any]) -> Any:
            if getattr(encoding, "now", False):
                return store
            made = memo[id(store)] = type(store)()
            made._data = copy.deepcopy(store._data, memo)
            return made

        for kind in (responses.AccountScopedDict, responses.AccountRegionScopedDict):
            kind.__deepcopy__ = copied

    @contextmanager
    def uncopied(self) -> Iterator[None]:
        """Let this thread get the stores themselves from `get_state`, to encode them at once."""
        self._encoding.now = True
        try:
            yield
        finally:
            self._encoding.now = False
