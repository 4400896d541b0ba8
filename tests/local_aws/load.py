"""A small constant load on an endpoint, by an asyncio client in a thread of its own."""

import asyncio
import threading
from collections import Counter

import aiohttp


class Load:
    """Sends so many requests a second until it is stopped; `rate` may be changed meanwhile."""

    def __init__(self, aws, endpoint, body, rate):
        self.url = f"{aws.endpoint_url}/endpoints/{endpoint}/invocations"
        self.body = body
        self.rate = rate
        self.statuses = Counter()
        self.bodies = Counter()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._send()), daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join()

    async def _send(self):
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as requests:
            loop = asyncio.get_running_loop()
            due = loop.time()
            while not self._stopping.is_set():
                requests.create_task(self._request(session))
                due += 1 / self.rate
                await asyncio.sleep(max(0, due - loop.time()))

    async def _request(self, session):
        try:
            async with session.post(self.url, data=self.body, headers={"Content-Type": "text/csv"}) as answer:
                self.bodies[(await answer.text()).strip()] += 1
                self.statuses[answer.status] += 1
        except aiohttp.ClientError as error:
            self.statuses[type(error).__name__] += 1
