"""Notes which entries of ministack's stores are used: only those can have changed.

ministack keeps its state in dictionaries by account and region, takes an entry from one by its key and changes it in
place. So a save that looks at the entries that were used finds all changes, whatever else the stores hold.
"""

import copy
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

PRIVATE_PARTS = {
    "ministack.core.responses": ("AccountRegionScopedDict", "AccountScopedDict"),
    "ministack.services.cloudformation": ("_change_sets", "_stacks"),
    "ministack.services.cloudformation.changesets": ("_find_change_set",),
    "ministack.services.cloudformation.handlers": ("_resolve_stack",),
}

# A store, by its id, and a key of it with its account and region.
Used = tuple[int, tuple[Any, ...]]

_OF_CALL: ContextVar[set[Used] | None] = ContextVar("local_aws.used_entries", default=None)


def begin_call() -> None:
    """Note from now on what this call uses, and the tasks and threads that it starts, also after its end."""
    _OF_CALL.set(set())


def used_by_call() -> set[Used] | None:
    """Return what the current call has used so far; None outside of calls."""
    return _OF_CALL.get()


class UsedEntries:
    """ministack's stores, each of which notes the entries that are used.

    :param modules: ministack's modules by name
    """

    def __init__(self, modules: Mapping[str, Any]) -> None:
        # Of all calls, since somebody took it.
        self._since: set[Used] = set()
        self._encoding = threading.local()
        responses = modules["ministack.core.responses"]
        for kind in (responses.AccountScopedDict, responses.AccountRegionScopedDict):
            self._watch(kind)
        self._note_what_is_found(modules)

    def take(self) -> set[Used]:
        """Return what was used since this was called before."""
        taken, self._since = self._since, set()
        return taken

    def since(self) -> set[Used]:
        """Return the same as `take` will."""
        return set(self._since)

    def put_back(self, used: set[Used]) -> None:
        """Let the next `take` return some entries again, because they could not be saved."""
        self._since |= used

    @contextmanager
    def uncopied(self) -> Iterator[None]:
        """Let this thread get the stores themselves from `get_state`, which copies them for those who keep them."""
        self._encoding.now = True
        try:
            yield
        finally:
            self._encoding.now = False

    def _note(self, store: Any, key: tuple[Any, ...]) -> None:
        used = id(store), key
        self._since.add(used)
        of_call = _OF_CALL.get()
        if of_call is not None:
            of_call.add(used)

    def _watch(self, kind: Any) -> None:
        note = self._note

        def by_key(name: str) -> None:
            method: Callable[..., Any] = getattr(kind, name)

            def noted(store: Any, key: Any, *rest: Any) -> Any:
                note(store, store._scoped(key))
                return method(store, key, *rest)

            setattr(kind, name, noted)

        def by_scope(name: str) -> None:
            method: Callable[..., Any] = getattr(kind, name)
            regional = kind.__name__ == "AccountRegionScopedDict"

            def noted(store: Any, account: str, region: str, key: Any, *rest: Any) -> Any:
                note(store, (account, region, key) if regional else (account, key))
                return method(store, account, region, key, *rest)

            setattr(kind, name, noted)

        def copied(store: Any, memo: dict[int, Any]) -> Any:
            if getattr(self._encoding, "now", False):
                return store
            made = memo[id(store)] = type(store)()
            made._data = copy.deepcopy(store._data, memo)
            return made

        for name in ("__delitem__", "__getitem__", "__setitem__", "get", "pop", "setdefault"):
            by_key(name)
        for name in ("get_scoped", "pop_scoped", "set_scoped"):
            by_scope(name)
        kind.__deepcopy__ = copied

    def _note_what_is_found(self, modules: Mapping[str, Any]) -> None:
        """Note the stacks and change sets that CloudFormation finds by a walk, and changes then."""
        cloudformation = modules["ministack.services.cloudformation"]
        handlers = modules["ministack.services.cloudformation.handlers"]
        changesets = modules["ministack.services.cloudformation.changesets"]
        resolve, find = handlers._resolve_stack, changesets._find_change_set

        def resolved(name: str) -> Any:
            # By the name in an id first: ministack would look at all stacks, which may not have been read yet.
            named = name.split("/")[1] if name.startswith("arn:") and "/" in name else name
            stack = cloudformation._stacks.get(named)
            if stack is None or name not in (named, stack["StackId"]):
                stack = resolve(name)
            if stack is not None:
                self._note(cloudformation._stacks, cloudformation._stacks._scoped(stack["StackName"]))
            return stack

        def found(name: str, stack_name: str = "") -> Any:
            key, change_set = find(name, stack_name)
            if key is not None:
                self._note(cloudformation._change_sets, cloudformation._change_sets._scoped(key))
            return key, change_set

        handlers._resolve_stack = resolved
        changesets._find_change_set = found
