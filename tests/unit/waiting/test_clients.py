"""The clients of all triggers: shared, closed with the last user, and replaced when they are old or retired."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from slipway.aws import session
from slipway.waiting import clients
from slipway.waiting.clients import SharedClients
from tests.unit.own_time import give_time


class Hook:
    """Opens clients; knows which are open."""

    def __init__(self, *refusals: Exception) -> None:
        self.made, self.open, self.refusals = 0, [], list(refusals)

    async def get_async_conn(self):
        await asyncio.sleep(0)
        if self.refusals:
            raise self.refusals.pop(0)
        self.made += 1
        client = SimpleNamespace(number=self.made)

        @asynccontextmanager
        async def connection():
            self.open.append(client.number)
            yield client
            self.open.remove(client.number)

        return connection()


def test_all_triggers_of_a_connection_have_one_client_and_the_last_one_closes_it():
    hook, users = Hook(), [SharedClients() for _ in range(50)]

    async def story():
        found = await asyncio.gather(*(one.client("s3", lambda: hook) for one in users))
        assert {one.number for one in found} == {1}
        for one in users[1:]:
            await one.close()
        assert hook.open == [1]
        await users[0].close()
        assert hook.open == []
        assert (await users[0].client("s3", lambda: hook)).number == 2
        await users[0].close()

    asyncio.run(story())


def test_a_renewed_client_is_replaced_for_everybody_once_and_closed_when_nobody_uses_it():
    hook, first, second = Hook(), SharedClients(), SharedClients()

    async def story():
        for one in (first, second):
            await one.client("s3", lambda: hook)
        await first.renew()
        assert (await first.client("s3", lambda: hook)).number == 2
        assert hook.open == [1, 2]
        assert (await second.client("s3", lambda: hook)).number == 2
        assert (hook.open, hook.made) == ([2], 2)
        await first.close()
        await second.close()

    asyncio.run(story())


def test_a_renewed_client_is_made_of_a_connection_that_is_read_again():
    hook, user = Hook(), SharedClients()
    session.SHARED["as it was a minute ago"] = SimpleNamespace()

    async def story():
        await user.client("s3", lambda: hook)
        await user.renew()
        assert not session.SHARED
        await user.close()

    asyncio.run(story())


def test_an_old_client_is_replaced(monkeypatch):
    hook, user, now = Hook(), SharedClients(), [0.0]
    give_time(monkeypatch, clients, monotonic=lambda: now[0])

    async def aged():
        assert (await user.client("s3", lambda: hook)).number == 1
        now[0] = 899.0
        assert (await user.client("s3", lambda: hook)).number == 1
        now[0] = 901.0
        assert (await user.client("s3", lambda: hook)).number == 2
        await user.close()

    asyncio.run(aged())


def test_a_client_whose_trigger_ended_before_it_was_made_is_closed_when_it_is_replaced(monkeypatch):
    hook, ending, next_one, now = Hook(), SharedClients(), SharedClients(), [0.0]
    give_time(monkeypatch, clients, monotonic=lambda: now[0])

    async def story():
        begun = asyncio.create_task(ending.client("s3", lambda: hook))
        await asyncio.sleep(0)
        begun.cancel()
        await asyncio.gather(begun, return_exceptions=True)
        while not hook.open:
            await asyncio.sleep(0)
        now[0] = 901.0
        assert (await next_one.client("s3", lambda: hook)).number == 2
        assert hook.open == [2]
        await next_one.close()

    asyncio.run(story())


def test_whoever_waits_for_a_client_that_cannot_be_made_is_told_and_the_next_one_tries_again():
    hook, users = Hook(ValueError("no credentials")), [SharedClients() for _ in range(3)]

    async def story():
        found = await asyncio.gather(*(one.client("s3", lambda: hook) for one in users), return_exceptions=True)
        assert [str(one) for one in found] == ["no credentials"] * 3
        assert (await users[0].client("s3", lambda: hook)).number == 1
        await users[0].close()

    asyncio.run(story())


def test_a_trigger_that_ends_while_the_client_is_made_takes_it_from_nobody():
    hook, ending, staying = Hook(), SharedClients(), SharedClients()

    async def story():
        begun = asyncio.create_task(ending.client("s3", lambda: hook))
        waits = asyncio.create_task(staying.client("s3", lambda: hook))
        await asyncio.sleep(0)
        begun.cancel()
        with pytest.raises(asyncio.CancelledError):
            await begun
        assert (await waits).number == 1
        await staying.close()

    asyncio.run(story())
