"""Endpoints for the load engine's tests: one in virtual time, one that speaks HTTP."""

import asyncio
import json
import selectors
import threading
from contextlib import contextmanager

from aiohttp import web

from slipway.load.sender import NoReply, Reply
from slipway.load.signing import Target


class _Skipping(selectors.SelectSelector):
    """Lets time pass instead of waiting for it."""

    now = 0.0

    def select(self, timeout=None):
        assert timeout is not None, "everything waits, and nothing is due"
        self.now += max(timeout, 0)
        return super().select(0)


class VirtualTime(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to whatever is due next."""

    def __init__(self):
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self):
        return self._skipping.now


def in_virtual_time(make):
    """Run a coroutine made from the loop's clock."""
    loop = VirtualTime()
    try:
        return loop.run_until_complete(make(loop.time))
    finally:
        loop.close()


class StallingSender:
    """Answers at once, but for a time in which it answers nothing.

    :param clock: gives seconds
    :param stall: from when to when, in seconds
    """

    def __init__(self, clock, stall=(0, 0), error=None):
        self.clock, self.stall, self.error = clock, stall, error
        self.abandoned = False
        self.sent_at = []
        self.bodies = []

    def send(self, body, done):
        now = self.clock()
        self.sent_at.append(now)
        self.bodies.append(body)
        begin, end = self.stall
        reply = NoReply(self.error) if self.error else self.reply(body)
        asyncio.get_running_loop().call_later(end - now if begin <= now < end else 0, done, reply)

    def reply(self, body):
        return Reply("blue", body.partition(b",")[0])

    def abandon(self):
        self.abandoned = True


class HttpEndpoint:
    """SageMaker as the engine sees it: invocations that are answered by the row's first number, and a description.

    :param held_from: the number of the first request that is never answered; None for none
    """

    def __init__(self, held_from=None):
        self.held_from = held_from
        self.invocations = []
        self.url = ""
        self.arrived = threading.Condition()

    async def invoke(self, request):
        body = await request.text()
        with self.arrived:
            self.invocations.append((request.path, dict(request.headers), body))
            number = len(self.invocations)
            self.arrived.notify_all()
        if self.held_from is not None and number >= self.held_from:
            await asyncio.Event().wait()
        variant = request.headers.get("X-Amzn-SageMaker-Target-Variant") or ("green" if number % 4 == 0 else "blue")
        if body == "throttle":
            return web.Response(status=400, headers={"x-amzn-ErrorType": "ThrottlingException:http://…"}, text="{}")
        return web.Response(text=body.partition(",")[0] + "\n", headers={"x-Amzn-Invoked-Production-Variant": variant})

    async def describe(self, request):
        variants = [{"VariantName": "blue", "CurrentInstanceCount": 3}]
        answer = {"EndpointName": "e", "EndpointArn": "arn", "EndpointConfigName": "c", "EndpointStatus": "InService"}
        times = {"CreationTime": 0, "LastModifiedTime": 0}
        return web.Response(
            text=json.dumps({**answer, **times, "ProductionVariants": variants}),
            content_type="application/x-amz-json-1.1",
        )

    def wait_for(self, count):
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.invocations) >= count, 60)

    def target(self, variant=None):
        return Target(self.url, "us-west-2", "sagemaker", "e", variant)


@contextmanager
def serving(endpoint):
    """Let an HttpEndpoint answer, from a thread of its own."""
    loop = asyncio.new_event_loop()

    async def start():
        app = web.Application()
        app.router.add_post("/endpoints/e/invocations", endpoint.invoke)
        app.router.add_post("/", endpoint.describe)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        endpoint.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
        return runner

    runner = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield endpoint
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
