"""A small constant load on an endpoint, by asyncio clients in their own thread."""

import asyncio
import math
import threading
import time
from collections import Counter
from dataclasses import dataclass

import aiohttp

from tests.local_aws.signing import signed

# A signature is valid for 15 minutes.
_RENEW_SECONDS = 300.0


class _Signed:
    """The headers of one request that is sent repeatedly."""

    def __init__(self, aws, endpoint, body):
        self.url = f"{aws.endpoint_url}/endpoints/{endpoint}/invocations"
        self.body = body
        self._until = -math.inf

    @property
    def headers(self):
        if time.monotonic() >= self._until:
            self._until = time.monotonic() + _RENEW_SECONDS
            body = self.body.encode() if isinstance(self.body, str) else self.body
            self._headers = signed("POST", self.url, "sagemaker", body, {"Content-Type": "text/csv"})
        return self._headers


class _Background:
    """Runs in its own thread while it is entered."""

    def __init__(self):
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join()

    async def _run(self):
        raise NotImplementedError


class Load(_Background):
    """Sends requests at a rate until it is stopped; `rate` may change meanwhile."""

    def __init__(self, aws, endpoint, body, rate):
        self.request = _Signed(aws, endpoint, body)
        self.rate = rate
        self.statuses = Counter()
        self.bodies = Counter()
        super().__init__()

    async def _run(self):
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as requests:
            loop = asyncio.get_running_loop()
            due = loop.time()
            while not self._stopping.is_set():
                requests.create_task(self._request(session))
                due += 1 / self.rate
                await asyncio.sleep(max(0, due - loop.time()))

    async def _request(self, session):
        try:
            sent = self.request
            async with session.post(sent.url, data=sent.body, headers=sent.headers) as answer:
                self.bodies[(await answer.text()).strip()] += 1
                self.statuses[answer.status] += 1
        except aiohttp.ClientError as error:
            self.statuses[type(error).__name__] += 1


@dataclass(frozen=True)
class Request:
    """One request.

    :param sent: when, in epoch seconds
    :param answered: when
    :param outcome: the HTTP status and the body
    """

    sent: float
    answered: float
    outcome: str


class Clients(_Background):
    """Each sends its next request a little after its answer, so that a busy machine is not overloaded."""

    def __init__(self, aws, endpoint, body, count=4, pause_seconds=0.01):
        self.request = _Signed(aws, endpoint, body)
        self.requests = []
        self._pause_seconds = pause_seconds
        self._count = count
        super().__init__()

    async def _run(self):
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(self._ask(session) for _ in range(self._count)))

    async def _ask(self, session):
        while not self._stopping.is_set():
            sent = time.time()
            try:
                request = self.request
                async with session.post(request.url, data=request.body, headers=request.headers) as answer:
                    outcome = f"{answer.status} {(await answer.text()).strip()}"
            except aiohttp.ClientError as error:
                outcome = repr(error)
            self.requests.append(Request(sent, time.time(), outcome))
            await asyncio.sleep(self._pause_seconds)

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
