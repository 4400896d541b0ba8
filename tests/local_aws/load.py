"""A small constant load on an endpoint, by an asyncio client in a thread of its own, and what each request met."""

import asyncio
import math
import threading
import time
from collections import Counter
from dataclasses import dataclass

import aiohttp


@dataclass(frozen=True)
class Request:
    """One request.

    :param sent: when, by the monotonic clock
    :param answered: when
    :param outcome: the HTTP status and the body
    """

    sent: float
    answered: float
    outcome: str


class Load:
    """Sends so many requests a second until it is stopped; `rate` may be changed meanwhile."""

    def __init__(self, aws, endpoint, body, rate):
        self.url = f"{aws.endpoint_url}/endpoints/{endpoint}/invocations"
        self.body = body
        self.rate = rate
        self.statuses = Counter()
        self.bodies = Counter()
        self.requests = []
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
        sent = time.monotonic()
        try:
            async with session.post(self.url, data=self.body, headers={"Content-Type": "text/csv"}) as answer:
                body = (await answer.text()).strip()
                self.bodies[body] += 1
                self.statuses[answer.status] += 1
                outcome = f"{answer.status} {body}"
        except aiohttp.ClientError as error:
            self.statuses[type(error).__name__] += 1
            outcome = repr(error)
        self.requests.append(Request(sent, time.monotonic(), outcome))

    def outcomes(self, since=-math.inf, until=math.inf):
        """Count the outcomes of the requests that were sent and answered within a time."""
        return Counter(one.outcome for one in list(self.requests) if since <= one.sent and one.answered <= until)


def plausible(hits, trials, share):
    """Tell whether so many hits are within the 99.9 % interval of the binomial distribution."""

    def chance(count):
        logs = math.lgamma(trials + 1) - math.lgamma(count + 1) - math.lgamma(trials - count + 1)
        return math.exp(logs + count * math.log(share) + (trials - count) * math.log(1 - share))

    fewer = sum(chance(count) for count in range(hits + 1))
    more = sum(chance(count) for count in range(hits, trials + 1))
    return min(fewer, more) > 0.0005
