"""Stand-ins that tests hand in where Slipway talks to AWS or to Airflow's state store."""

import json
from contextlib import asynccontextmanager

from botocore.exceptions import ClientError


def client_error(code: str, *, status: int = 400, operation: str = "Operation") -> ClientError:
    """The error that boto3 raises for an AWS error code."""
    response = {"Error": {"Code": code, "Message": f"{code} says AWS"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, operation)


class Script:
    """Gives one answer after the other, the last one for ever; raises those that are exceptions."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.calls: list[dict] = []

    def __call__(self, **arguments):
        self.calls.append(arguments)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class AsyncHook:
    """A hook whose asynchronous connection is the given client; counts how often it was opened.

    :param refusals: what the first attempts at a connection raise
    """

    def __init__(self, client, *refusals: Exception) -> None:
        self.client, self.connections, self.refusals = client, 0, list(refusals)

    async def get_async_conn(self):
        self.connections += 1
        if self.refusals:
            raise self.refusals.pop(0)

        @asynccontextmanager
        async def connection():
            yield self.client

        return connection()


class MemoryStore:
    """A task's or an asset's state store."""

    def __init__(self, **entries) -> None:
        self.entries, self.writes = dict(entries), 0

    def get(self, key, default=None):
        return self.entries.get(key, default)

    def set(self, key, value, *, retention=None):
        # Airflow refuses a tuple, for instance.
        assert value is not None and value == json.loads(json.dumps(value))
        self.entries[key] = value
        self.writes += 1

    def delete(self, key):
        self.entries.pop(key, None)

    async def aget(self, key, default=None):
        return self.get(key, default)

    async def aset(self, key, value):
        self.set(key, value)

    async def adelete(self, key):
        self.delete(key)
