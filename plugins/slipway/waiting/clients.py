"""The clients of all triggers in one triggerer: one for each service and connection, however many triggers wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from contextlib import AsyncExitStack
from typing import Any
from weakref import WeakKeyDictionary

from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

from slipway.aws.session import forget_shared

# A client keeps the connection's settings and keys. After this time a new one reads what a person has changed there.
CLIENT_SECONDS = 900.0


class _Shared:
    """A client, and how many triggers use it."""

    def __init__(self, client: Any, opened: AsyncExitStack) -> None:
        self.client, self.users, self.retired = client, 0, False
        self._opened = opened
        self._made_at = time.monotonic()

    @property
    def is_old(self) -> bool:
        """Whether another client must take its place."""
        return self.retired or time.monotonic() - self._made_at > CLIENT_SECONDS

    async def close(self) -> None:
        """Close its connections."""
        await self._opened.aclose()


# Clients belong to the event loop in which they were made; a triggerer has one.
_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, asyncio.Task[_Shared]]] = WeakKeyDictionary()


class SharedClients:
    """The clients that one trigger uses, shared with all triggers of the same connection.

    An aiobotocore client takes a tenth of a second of the event loop to make, and has a pool of connections of its own.
    https://aiobotocore.readthedocs.io/en/latest/
    """

    def __init__(self) -> None:
        self._used: dict[Hashable, _Shared] = {}

    async def client(self, key: Hashable, hook: Callable[[], AwsGenericHook]) -> Any:
        """Return a client.

        :param key: the service and the connection
        :param hook: makes the hook that connects, where nobody has such a client yet
        """
        if key in self._used and self._used[key].is_old:
            await self._give_back(key)
        if key not in self._used:
            shared = await _take(key, hook)
            shared.users += 1
            self._used[key] = shared
        return self._used[key].client

    async def renew(self) -> None:
        """Have new clients made at the next use, by every trigger: they read the credentials again."""
        for shared in self._used.values():
            shared.retired = True
        # Hooks share what they have read of a connection.
        forget_shared()
        await self.close()

    async def close(self) -> None:
        """Give the clients back; one that nobody uses any more is closed."""
        for key in list(self._used):
            await self._give_back(key)

    async def _give_back(self, key: Hashable) -> None:
        shared = self._used.pop(key)
        shared.users -= 1
        if shared.users == 0:
            shared.retired = True
            await shared.close()


async def _take(key: Hashable, hook: Callable[[], AwsGenericHook]) -> _Shared:
    pool = _pools.setdefault(asyncio.get_running_loop(), {})
    while True:
        making = pool.get(key)
        if making is None or (making.done() and not _is_usable(making)):
            # In a task of its own: whoever waits for it too must not lose it with the trigger that began.
            before, making = making, asyncio.create_task(_make(hook))
            pool[key] = making
            if before:
                await _close_unused(before)
        shared = await asyncio.shield(making)
        # The last user may have closed it meanwhile.
        if not shared.is_old:
            return shared


def _is_usable(made: asyncio.Task[_Shared]) -> bool:
    return not made.cancelled() and made.exception() is None and not made.result().is_old


async def _close_unused(made: asyncio.Task[_Shared]) -> None:
    """Close a client that nobody has given back, because whoever had it made ended before."""
    if made.cancelled() or made.exception() is not None:
        return
    shared = made.result()
    if shared.users == 0 and not shared.retired:
        shared.retired = True
        await shared.close()


async def _make(hook: Callable[[], AwsGenericHook]) -> _Shared:
    opened = AsyncExitStack()
    connection: Any = await hook().get_async_conn()
    return _Shared(await opened.enter_async_context(connection), opened)
