"""Keeps ministack's state on disk: a save writes the entries that changed, and costs what these do."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from local_aws.framework.disk import Disk, DiskFull
from local_aws.host.late_entries import LateEntries, Unread
from local_aws.host.state_entries import Change, Entry, Part, added, changed, entry_of
from local_aws.host.state_rows import ALL_PARTS, Name, Row, StateRows
from local_aws.host.used_entries import Used, UsedEntries, used_by_call

PRIVATE_PARTS = {
    "ministack.app": (
        "SERVICE_REGISTRY",
        "_build_persistence_save_dict",
        "_get_module",
        "_load_persisted_state",
        "_state_map",
        "load_state",
        "save_all",
    ),
    "ministack.core.persistence": ("STATE_DIR", "_state_format_version"),
    "ministack.core.responses": ("AccountRegionScopedDict", "AccountScopedDict"),
}
# ministack finds the entries of these by a walk, and changes them then; there are few.
_WALKED = frozenset(
    {
        ("cloudwatch", "composite_alarms"),
        ("cloudwatch", "composite_triggers"),
        ("kms", "grants"),
        ("sns", "platform_endpoints"),
    }
)
# What earlier versions kept: a copy of each log line, which nobody read.
_FORMER = (("cloudwatch_logs", "log_records"),)

# What finds the changes of an entry.
Find = Callable[[Entry, Any], Iterator[Change]]

_log = logging.getLogger(__name__)


class Persistence:
    """The state of ministack's services on disk. Use it on the event loop's thread only.

    :param modules: ministack's modules by name
    :param disk: the disk it is on
    """

    def __init__(self, modules: Mapping[str, Any], disk: Disk) -> None:
        self._app = modules["ministack.app"]
        self._format = modules["ministack.core.persistence"]
        responses = modules["ministack.core.responses"]
        # By the length of a key with its account or its account and region.
        self._stores: dict[int, Any] = {2: responses.AccountScopedDict, 3: responses.AccountRegionScopedDict}
        self._used = UsedEntries(modules)
        self._rows = StateRows(Path(self._format.STATE_DIR) / "state.sqlite", disk)
        # What is on disk; of `_unsure` entries only some parts may be there.
        self._entries: dict[Name, Entry] = {}
        self._unsure: set[Name] = set()
        # The entries of a member that is walked, and whether a member is.
        self._known: dict[tuple[str, str], set[Name]] = {}
        self._is_walked: dict[tuple[str, str], bool] = {}
        # The services that have changed by calls which `save` writes.
        self._later: set[str] = set()
        # Why the current save cannot write some entry.
        self._unwritable: Exception | None = None
        # States that an earlier version wrote, each into a file of its own.
        self._files: set[str] = set()
        self._load_file, load_all = self._app.load_state, self._app._load_persisted_state
        self._app.load_state = self._load
        self._app._load_persisted_state = lambda: self._take_files(load_all)
        # ministack calls it at a stop.
        self._app.save_all = lambda _: self._save_last()

    # --- saving -----------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write what has changed since this was called before and is not written yet.

        :raises DiskFull: there is no space
        """
        used, later = self._used.take(), self._later
        self._later = set()
        try:
            self._save(used, walked={self._module_of(service) for service in later})
        except DiskFull:
            self._later |= later
            raise

    def save_service(self, service: str | None) -> None:
        """Write what the current call, or the operation that it began, has changed of a service.

        :param service: ministack's name for it; None if any may have changed
        :raises DiskFull: there is no space
        """
        modules = set(self._app._state_map.values()) if service is None else {self._module_of(service)}
        used = used_by_call()
        self._save(self._used.since() if used is None else used, only=modules, walked=modules)

    def save_delivered(self, services: Iterable[str]) -> None:
        """Write the messages that the current call has passed on to other services.

        :param services: ministack's names for them
        :raises DiskFull: there is no space
        """
        modules = {self._module_of(service) for service in services}
        self._save(used_by_call() or set(), only=modules, find=added)

    def save_later(self, service: str) -> None:
        """Let the next `save` look for changes of a service that no entry tells about.

        :param service: ministack's name for it
        """
        self._later.add(service)

    def _save_last(self) -> None:
        self._later = set(self._app.SERVICE_REGISTRY)
        try:
            self.save()
        except DiskFull as full:
            _log.error("%s The last changes, none of them answered, are not saved.", full)

    def _module_of(self, service: str) -> str:
        return str(self._app.SERVICE_REGISTRY.get(service, {}).get("module", ""))

    def _save(
        self,
        used: set[Used],
        *,
        only: set[str] | None = None,
        walked: set[str] | frozenset[str] = frozenset(),
        find: Find = changed,
    ) -> None:
        """Write the changes of some entries.

        :param used: the entries
        :param only: ministack's modules whose state is written; None for all
        :param walked: modules whose members are compared as a whole if no entry tells about their changes
        :param find: finds the changes of an entry
        :raises DiskFull: there is no space; the next save tries again
        :raises Exception: some entry cannot be written; the others are
        """
        keys: dict[int, list[tuple[Any, ...]]] = {}
        # Threads may note more.
        for store, key in list(used):
            keys.setdefault(store, []).append(key)
        rows: list[Row] = []
        formats = []
        self._unwritable = None
        for state, get_state in self._app._build_persistence_save_dict().items():
            module = self._app._state_map[state]
            if only is not None and module not in only:
                continue
            with self._used.uncopied():
                members = get_state()
            if members is None:
                continue
            before = len(rows)
            for member, value in members.items():
                if module in walked or state in self._files:
                    rows += self._walk(state, member, value, get_state)
                if type(value) in self._stores.values():
                    for key in keys.get(id(value), ()):
                        gone = key not in value._data
                        rows += self._differing((state, member, key), value._data.get(key), gone=gone, find=find)
            if len(rows) > before or state in self._files:
                formats.append((state, self._format._state_format_version(state)))
        if formats:
            self._write(rows, formats, used)
        if self._unwritable:
            raise self._unwritable

    def _write(self, rows: list[Row], formats: list[tuple[str, int]], used: set[Used]) -> None:
        try:
            self._rows.write(rows, formats)
        except Exception:
            for name, *_ in rows:
                self._entries.pop(name, None)
                self._unsure.add(name)
            self._used.put_back(used)
            raise
        self._unsure -= {name for name, *_ in rows}
        if self._unwritable is None:
            self._forget_files({state for state, _ in formats})

    def _walk(self, state: str, member: str, value: Any, get_state: Any) -> Iterator[Row]:
        """Compare all of a member of whose changes no entry tells, or which is still in an earlier version's file."""
        if type(value) not in self._stores.values():
            yield from self._differing((state, member, None), value)
        elif state in self._files or self._walked(state, member, value, get_state):
            known = self._known.setdefault((state, member), set())
            names = {(state, member, key) for key in value._data}
            for name in known - names:
                yield from self._differing(name, None, gone=True)
            self._known[state, member] = names
            for key, entry in list(value._data.items()):
                yield from self._differing((state, member, key), entry)

    def _walked(self, state: str, member: str, value: Any, get_state: Any) -> bool:
        """Tell whether a member must be walked: it is made for the save, or ministack changes what it finds in it."""
        if (state, member) not in self._is_walked:
            with self._used.uncopied():
                made = get_state()[member] is not value
            self._is_walked[state, member] = made or (state, member) in _WALKED
        return self._is_walked[state, member]

    def _differing(self, name: Name, value: Any, *, gone: bool = False, find: Find = changed) -> Iterator[Row]:
        known = name in self._entries
        parts: list[Change] = []
        if gone:
            self._entries.pop(name, None)
        else:
            if not known:
                self._entries[name], find = entry_of(*name[:2]), changed
            try:
                parts = list(find(self._entries[name], value))
            except (TypeError, ValueError, RecursionError) as error:
                # The other entries are written all the same.
                self._unwritable = error
                self._entries.pop(name)
                self._unsure.add(name)
                return
        if name in self._unsure or (gone and known):
            yield name, ALL_PARTS, None
        yield from ((name, part, text) for part, text in parts)

    # --- loading ----------------------------------------------------------------------------------------------------

    def _load(self, state: str) -> dict[str, Any] | None:
        saved_in = self._rows.format_of(state)
        if saved_in is None:
            found: dict[str, Any] | None = self._load_file(state)
            if found:
                self._files.add(state)
            return found
        if saved_in > self._format._state_format_version(state):
            _log.error("The state of %s was saved by a newer version, and is not loaded", state)
            return None
        parts: dict[Name, list[Part]] = {}
        for name, part, text in self._rows.read(state):
            parts.setdefault(name, []).append((part, text))
        members: dict[str, Any] = {}
        for name, known in parts.items():
            _, member, key = name
            entry = self._entries[name] = entry_of(state, member)
            if key is None:
                members[member] = entry.join(known)
                continue
            if member not in members:
                members[member] = self._stores[len(key)]()
                members[member]._data = LateEntries()
            members[member]._data[key] = Unread(entry, known)
            self._known.setdefault((state, member), set()).add(name)
        self._take_late(state, members)
        return members

    def _take_late(self, state: str, members: Iterable[str]) -> None:
        """Let the stores that get some members take entries that are read when somebody asks for them."""
        module = self._app._get_module(self._app._state_map[state])
        with self._used.uncopied():
            stores = module.get_state() or {}
        for member in members:
            store: Any = stores.get(member)
            if type(store) in self._stores.values() and type(store._data) is dict:
                store._data = LateEntries(store._data)

    def _take_files(self, load_all: Any) -> None:
        """Load all states, and write those that an earlier version wrote into files as rows."""
        try:
            self._rows.forget(_FORMER)
        except DiskFull:
            _log.warning("There is no space to remove what an earlier version kept; it stays until a start with space")
        load_all()
        if self._files:
            try:
                self._save(set(), only={self._app._state_map[state] for state in self._files})
            except DiskFull:
                _log.warning("There is no space for the state of an earlier version in its new form; it stays as it is")

    def _forget_files(self, states: set[str]) -> None:
        for state in self._files & states:
            (Path(self._format.STATE_DIR) / f"{state}.json").unlink(missing_ok=True)
        self._files -= states
